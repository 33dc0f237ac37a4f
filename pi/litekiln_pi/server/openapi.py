"""The description of the interface for programs (OpenAPI 3.1), kept by hand; a test holds it against the routes."""

from typing import Any

THRESHOLD = {
    "name": "threshold",
    "in": "query",
    "description": "leave out detections with lower scores",
    "schema": {"type": "number", "minimum": 0, "maximum": 1},
}
Schema = dict[str, Any]  # of JSON Schema
ERROR = {"$ref": "#/components/schemas/Error"}


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(**kinds: Schema) -> dict[str, Any]:
    names = {
        "json": "application/json",
        "jpeg": "image/jpeg",
        "events": "text/event-stream",
        "text": "text/plain",
        "html": "text/html",
        "form": "multipart/form-data",
    }
    return {names[kind]: {"schema": schema} for kind, schema in kinds.items()}


def _answers(description: str, content: dict[str, Any] | None = None, **refused: str) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": description, **({"content": content} if content else {})}}
    for status, why in refused.items():
        code = status.removeprefix("s")
        answers[code] = {"description": why} if code == "204" else {"description": why, "content": _content(json=ERROR)}
    return answers


BINARY = {"type": "string", "contentEncoding": "binary"}
BUSY = "too many requests at once: Retry-After says when to retry"
FRAME_HEADER = {
    "X-Litekiln-Frame": {
        "description": "the frame's data and detections, as JSON; of many detections the best, and `left_out` says how many more",
        "schema": {"type": "string"},
    }
}
FORM = {"type": "object", "properties": {"frame": {"$ref": "#/components/schemas/Seen"}, "picture": BINARY}}

_frame = {
    "summary": "The newest frame with its own detections; waits for one that is newer than `after`",
    "description": "A JPEG with the detections in a header; with `Accept: multipart/form-data` all detections and the JPEG.",
    "parameters": [
        {"name": "after", "in": "query", "description": "the number of the frame that you have", "schema": {"type": "integer"}},
        THRESHOLD,
    ],
    "responses": _answers("a frame", _content(jpeg=BINARY, form=FORM), s204="no newer frame in time", s503=BUSY),
}
NO_PICTURES = "this Pi gives no pictures, only what it counts (--counts-only)"
REFUSED = {"description": NO_PICTURES, "content": _content(json=ERROR)}
_frame["responses"]["403"] = REFUSED  # type: ignore[index]
_frame["responses"]["200"]["headers"] = FRAME_HEADER  # type: ignore[index]

PATHS: dict[str, Any] = {
    "/": {"get": {"summary": "The page", "responses": _answers("the page", _content(html={"type": "string"}))}},
    "/static/{name}": {
        "get": {
            "summary": "The page's files",
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": _answers("a file", s404="no file has this name"),
        }
    },
    "/api/frame": {"get": _frame},
    "/api/detections": {
        "get": {
            "summary": "The newest frame's detections; with `Accept: text/event-stream` those of each new frame; the newest wins",
            "description": "An event `stale` has `frames` (waiting, paused, ended or failed), `problem` and `age`. It "
            "is sent once when no new frames come.",
            "parameters": [THRESHOLD],
            "responses": _answers(
                "detections",
                _content(json=_schema("Seen"), events={"type": "string"}),
                s503="no current frame, or too many streams",
            ),
        }
    },
    "/api/detect": {
        "post": {
            "summary": "The detections in a picture: as JSON, or drawn into it with `as=jpeg` or `Accept: image/jpeg`",
            "parameters": [THRESHOLD, {"name": "as", "in": "query", "schema": {"enum": ["json", "jpeg"]}}],
            "requestBody": {"required": True, "content": {"image/*": {"schema": BINARY}}},
            "responses": _answers(
                "the detections",
                _content(json=_schema("Picture"), jpeg=BINARY),
                s400="damaged or empty",
                s408="the picture arrived too slowly",
                s413="too many bytes or pixels",
                s415="not a picture that can be decoded: another format, an animation, 16 bits per channel, CMYK",
                s503=BUSY,
            ),
        }
    },
    "/api/state": {
        "get": {"summary": "The loop's state", "responses": _answers("the state", _content(json=_schema("State")))},
        "post": {
            "summary": "Pause or resume the loop",
            "requestBody": {"required": True, "content": _content(json=_schema("Change"))},
            "responses": _answers("the state", _content(json=_schema("State")), s400="not a valid change", s415="not JSON"),
        },
    },
    "/api/snapshot": {
        "post": {
            "summary": "The newest frame with boxes and names, to download; also kept on disk if the server has a folder for it. "
            "With `for=training` the frame as it came and its boxes as Pascal VOC are only kept on disk",
            "parameters": [
                THRESHOLD,
                {"name": "for", "in": "query", "schema": {"enum": ["training"]}},
                {
                    "name": "hide",
                    "in": "query",
                    "description": "names to leave out; not for training",
                    "schema": {"type": "array", "items": {"type": "string"}},
                },
            ],
            "responses": _answers(
                "a picture, or what was kept for training",
                _content(jpeg=BINARY, json=_schema("Kept")),
                s400="a parameter is wrong",
                s409="for training, and the server has no folder, or its results are wrong",
                s500="not writable",
                s503="no current frame",
                s507="the disk is full, or nearly; or there are enough pictures for training",
            ),
        }
    },
    "/api/info": {
        "get": {
            "summary": "The model, its contract and its source",
            "responses": _answers("the model", _content(json={"type": "object"})),
        }
    },
    "/api/machine": {
        "get": {
            "summary": "The machine, its temperature in °C, and what slows it down; null where the kernel doesn't say",
            "responses": _answers("the machine", _content(json=_schema("Machine"))),
        }
    },
    "/report": {
        "get": {
            "summary": "The model's own report",
            "responses": _answers("the report", _content(html={"type": "string"}), s404="the bundle has none"),
        }
    },
    "/api/card": {
        "get": {
            "summary": "Who this Pi is and how it is, with a small picture: for the page of its room",
            "responses": _answers("the card", _content(json=_schema("Card"))),
        }
    },
    "/fleet": {
        "get": {"summary": "The page of the room's Pis", "responses": _answers("the page", _content(html={"type": "string"}))}
    },
    "/api/fleet": {
        "get": {
            "summary": "How each Pi of the room is: those of --fleet, and this one. They are asked while somebody wants to know",
            "parameters": [
                {"name": "pictures", "in": "query", "description": "0 leaves out the small pictures", "schema": {"enum": [0, 1]}}
            ],
            "responses": _answers("all Pis", _content(json=_schema("Fleet"))),
        }
    },
    "/healthz": {
        "get": {
            "summary": "Whether all parts run and results are right. A missing camera is told, but fails nothing. Needs no token",
            "security": [],
            "responses": _answers("all run", _content(json=_schema("Health")), s503="a part has failed, or the selftest did"),
        }
    },
    "/metrics": {"get": {"summary": "Metrics for Prometheus", "responses": _answers("metrics", _content(text={"type": "string"}))}},
    "/openapi.json": {"get": {"summary": "This description", "responses": _answers("OpenAPI", _content(json={"type": "object"}))}},
}

for _path, _method in (("/api/detect", "post"), ("/api/snapshot", "post")):
    PATHS[_path][_method]["responses"]["403"] = REFUSED
PATHS["/stream.mjpg"] = {
    "get": {
        "summary": "The camera's picture with boxes, as multipart/x-mixed-replace of JPEGs: for programs that show a camera",
        "parameters": [{"name": "rate", "in": "query", "description": "frames a second", "schema": {"type": "number"}}],
        "responses": _answers("pictures without end", s400="not a rate", s403=NO_PICTURES, s503="too many streams"),
    }
}
AFTER = {"name": "after", "in": "query", "description": "the number of the last event that you have", "schema": {"type": "integer"}}
PATHS["/api/events"] = {
    "get": {
        "summary": "What happened: the latest events, and counts; with `Accept: text/event-stream` each event when it happens",
        "parameters": [AFTER],
        "responses": _answers(
            "events and counts",
            _content(json=_schema("Events"), events={"type": "string"}),
            s400="no number",
            s503="too many streams",
        ),
    }
}
PATHS["/api/events/settings"] = {
    "get": {
        "summary": "Lines, zones, thresholds and hold times",
        "responses": _answers("the settings", _content(json=_schema("EventSettings"))),
    },
    "post": {
        "summary": "Change them; they are kept in the server's file, if it has one that can be written",
        "requestBody": {"required": True, "content": _content(json={"type": "object"})},
        "responses": _answers(
            "the settings, and whether they are kept",
            _content(json=_schema("EventSettings")),
            s400="not valid settings: the reason says where",
            s413="too large",
            s415="not JSON",
        ),
    },
}


def _object(**properties: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": {name: {"type": kind} for name, kind in properties.items()},
    }


def _with(schema: dict[str, Any], **properties: Schema) -> dict[str, Any]:
    return {**schema, "required": [*schema["required"], *properties], "properties": {**schema["properties"], **properties}}


LIST = {"type": "array", "items": _schema("Detection")}
TIMES = _object(decode="number", inference="number", latency="number")
BOX = {
    "type": "array",
    "items": {"type": "number"},
    "minItems": 4,
    "maxItems": 4,
    "description": "left, top, right, bottom in pixels of the original picture",
}
WRONG = {"type": "boolean", "description": "the selftest failed: this machine computes other results than were verified"}
AGE = {"type": "number", "description": "seconds since the frame arrived"}
PICTURE = _with(_object(time="number", width="integer", height="integer"), milliseconds=TIMES, detections=LIST, wrong_results=WRONG)
STATE = _object(
    name="string", model="string", source="string", status="string", frames="string", problem="string", warning="string",
    paused="boolean", resting="boolean", threshold="number", threads="integer", fps="number",
    captured_fps="number", captured="integer", looked_at="integer", dropped="integer", damaged="integer",
    keeps_snapshots="boolean", counts_only="boolean",
)  # fmt: skip
MAYBE = {"type": ["number", "null"]}
TEXTS = {"type": "array", "items": {"type": "string"}}
SMALL = {"type": "string", "contentEncoding": "base64", "description": "a small JPEG, or nothing"}
CARD = _object(
    instance="string", name="string", model="string", variant="string", version="string", sha256="string", verdict="string",
    status="string", problem="string", board="string", counts_only="boolean",
)  # fmt: skip
FLEET_PI = _object(
    id="string", name="string", address="string", how="string", state="string", words="string", well="boolean", why="string",
    model="string", variant="string", version="string", sha256="string", verdict="string", board="string",
)  # fmt: skip
SCHEMAS = {
    "Error": _object(error="string"),
    "Detection": _with(
        {**_object(name="string", score="number"), "additionalProperties": False}, box=BOX, **{"class": {"type": "integer"}}
    ),
    "Picture": PICTURE,
    "Seen": _with(PICTURE, frame={"type": "integer"}, age=AGE, paused={"type": "boolean"}),
    "State": _with(
        STATE,
        labels={"type": "array", "items": {"type": "string"}},
        kinds={"type": "array", "items": {"type": "integer"}},
        frame={"type": ["integer", "null"]},
        wrong_results=WRONG,
        age={**AGE, "type": ["number", "null"]},
        current={"type": "boolean", "description": "whether the newest frame shows what is there now"},
        current_for={"type": "number", "description": "seconds after which a frame no longer shows it"},
    ),
    "Machine": _with(
        _object(board="string", cores="integer"),
        temperature={"type": ["number", "null"]},
        throttling={"type": ["array", "null"], "items": {"type": "string"}},
    ),
    "Card": _with(CARD, age={**AGE, "type": ["number", "null"]}, fps=MAYBE, temperature=MAYBE, throttling=TEXTS, picture=SMALL),
    "Fleet": _with(
        _object(summary="string", well="integer", of="integer", finds="boolean"), pis={"type": "array", "items": _schema("FleetPi")}
    ),
    "FleetPi": _with(
        FLEET_PI,
        since={**MAYBE, "description": "seconds in this state"},
        fps=MAYBE,
        temperature=MAYBE,
        counts_only={"type": ["boolean", "null"]},
    ),
    "Kept": _object(kept="string", detections="integer", pictures="integer", most="integer"),
    "Change": {**_object(paused="boolean"), "additionalProperties": False},
    "Events": _with(
        _object(latest="integer", counts="object", resting="boolean"),
        events={"type": "array", "items": _schema("Event")},
        wrong_results=WRONG,
    ),
    "Event": _object(
        id="integer", time="number", event="string", name="string", track="integer", score="number", box="array", point="array"
    ),
    "EventSettings": _object(settings="object", has_file="boolean"),
    "Health": _object(status="string", problem="string"),
}
# What every path but the health check may answer.
ANYWHERE = {
    "400": "this is not an HTTP request, or a value in it is not valid",
    "401": "the token is missing or wrong",
    "403": "from another site's page, or for a name that is not this server's",
    "429": "too many wrong tokens from this address",
    "503": BUSY,
}
for _path, _methods in PATHS.items():
    for _operation in _methods.values():
        _told = ANYWHERE if _path != "/healthz" else {}
        _operation["responses"] |= {
            status: {"description": why, "content": _content(json=ERROR)}
            for status, why in _told.items()
            if status not in _operation["responses"]
        }

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "litekiln",
        "version": "1",
        "description": "What a camera sees. Errors are JSON with `error`. A token goes into `Authorization: Bearer`.",
    },
    "security": [{}, {"token": []}],
    "paths": PATHS,
    "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
