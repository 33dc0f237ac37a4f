"""Docker, Podman and systemctl of a Pi that isn't there, as programs: what they know is in one file below LITEKILN_ROOT.

`pis.py` makes the programs. Images behave as their labels say: `selftest` and `health` fail, or don't.
$LITEKILN_ROOT/faults holds a word a line: `offline`, `full` (no space left), `down` (no daemon), `kill N` (the program that called
is killed at the Nth call), `kill-after N` (after that call was carried out).
"""

import fcntl
import json
import os
import signal
import sys
import time

ROOT = os.environ.get("LITEKILN_ROOT", "/nowhere")
REGISTRY = os.environ.get("FAKE_REGISTRY", "/nowhere")  # what any registry has: {"name@digest": image}
STATE = f"{ROOT}/fake.json"


def read(path: str, otherwise: str = "") -> str:
    """A file's text. Without pathlib, which takes longer to import than a fake takes for all else."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        return otherwise


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)


class Refused(Exception):
    """What the program says on standard error."""


def main(program: str, argv: list[str]) -> int:
    faults = read(f"{ROOT}/faults").splitlines()
    with open(f"{ROOT}/fake.lock", "w", encoding="utf-8") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(read(STATE, '{"images": {}, "container": null, "calls": []}'))
        state["calls"].append([program, *argv])
        write(STATE, json.dumps(state))
        number = len(state["calls"])
        if f"kill {number}" in faults:
            os.kill(os.getppid(), signal.SIGKILL)
            return 1
        code = 0
        try:
            print(FAKES[program](program, argv, state, faults), end="")
        except Refused as refused:
            print(f"Error: {refused}", file=sys.stderr)
            code = 1
        write(STATE, json.dumps(state))
        if f"kill-after {number}" in faults:
            os.kill(os.getppid(), signal.SIGKILL)
        return code


def engine(program: str, argv: list[str], state: dict, faults: list[str]) -> str:
    if "down" in faults:
        raise Refused("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    if argv[0] == "info":
        return f"{ROOT}/var/lib/containers\n"
    if argv[0] == "compose" or program == "docker-compose":
        if "up" in argv:
            start(state)
        return "Docker Compose version v2\n"
    asked = {
        ("image", "inspect"): inspect,
        ("image", "rm"): remove,
        ("container", "inspect"): inspect_container,
    }.get(tuple(argv[:2]))
    asked = (
        asked
        or {"load": load, "pull": pull, "tag": tag, "images": images, "run": run, "exec": health, "logs": logs, "rm": rm}[argv[0]]
    )
    return asked(program, argv, state, faults)


def find(state: dict, reference: str) -> str:
    """The id of a name, digest or id. Short names are Docker's own or Podman's localhost/."""
    bare = reference.removeprefix("sha256:")
    for identity, image in state["images"].items():
        if bare == identity or (len(bare) >= 12 and identity.startswith(bare)):
            return identity
        if {reference, f"localhost/{reference}"} & {*image["names"], *image["digests"]}:
            return identity
    return ""


def inspect(program: str, argv: list[str], state: dict, _: list[str]) -> str:
    identity = find(state, argv[2])
    if not identity:
        raise Refused(f"No such image: {argv[2]}")
    image, prefix = state["images"][identity], "" if program == "podman" else "sha256:"
    config = image["config"]
    told = {"Id": prefix + identity, "Architecture": config["architecture"], "Os": "linux", "Size": 114_000_000}
    told |= {"RepoTags": image["names"], "RepoDigests": image["digests"]}
    return json.dumps(
        [{**told, "RootFS": {"Layers": config["rootfs"]["diff_ids"]}, "Config": {"Labels": config["config"]["Labels"]}}]
    )


def load(program: str, argv: list[str], state: dict, faults: list[str]) -> str:
    import hashlib
    import io
    import tarfile

    data = sys.stdin.buffer.read()
    if "full" in faults:
        raise Refused("write /var/lib/docker/tmp/layer.tar: no space left on device")
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in json.load(archive.extractfile("manifest.json")):
                raw = archive.extractfile(entry["Config"]).read()
                add(program, state, hashlib.sha256(raw).hexdigest(), json.loads(raw), entry["RepoTags"])
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise Refused(f"unexpected EOF ({error})") from None
    return "Loaded image\n"


def add(program: str, state: dict, identity: str, config: dict, names: list[str], digest: str = "") -> None:
    names = [f"localhost/{name}" if program == "podman" and "." not in name.split("/")[0] else name for name in names]
    for image in state["images"].values():
        image["names"] = [name for name in image["names"] if name not in names]
    image = state["images"].setdefault(identity, {"config": config, "names": [], "digests": []})
    image["names"] += [name for name in names if name not in image["names"]]
    image["digests"] += [digest] if digest and digest not in image["digests"] else []


def pull(program: str, argv: list[str], state: dict, faults: list[str]) -> str:
    if "offline" in faults:
        raise Refused("Get https://registry.example.org/v2/: dial tcp: lookup registry.example.org: no such host")
    if "full" in faults:
        raise Refused("failed to register layer: write /usr/lib/libopenblas.so: no space left on device")
    known = json.loads(read(REGISTRY))
    if argv[1] not in known:
        raise Refused("manifest unknown: manifest unknown")
    image = known[argv[1]]
    add(program, state, image["id"], image["config"], [] if "@" in argv[1] else [argv[1]], image["digest"])
    return ""


def tag(program: str, argv: list[str], state: dict, _: list[str]) -> str:
    identity = find(state, argv[1])
    if not identity:
        raise Refused(f"No such image: {argv[1]}")
    add(program, state, identity, {}, [argv[2]])
    return ""


def remove(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    identity = find(state, argv[2])
    if not identity:
        raise Refused(f"No such image: {argv[2]}")
    image = state["images"][identity]
    named = [name for name in image["names"] if name in (argv[2], f"localhost/{argv[2]}")]
    image["names"] = [name for name in image["names"] if name not in named]
    left = image["names"] or (image["digests"] and named)
    if left and not named:
        raise Refused(f"conflict: unable to delete {argv[2]} (must be forced) - image is referenced in multiple repositories")
    if not left:
        if state["container"] and state["container"]["image"] == identity:
            raise Refused(f"conflict: unable to remove {argv[2]}: container is using it")
        del state["images"][identity]
    return ""


def images(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    return "".join(f"{name}\n" for image in state["images"].values() for name in image["names"] or ["<none>:<none>"])


def run(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    assert argv[argv.index("--network") + 1] == "none"
    identity = find(state, argv[-2])
    if not identity:
        raise Refused(f"Unable to find image {argv[-2]}")
    if state["images"][identity]["config"]["config"]["Labels"].get("selftest") == "fails":
        raise Refused("0 of 3 recorded detections are seen here, and 0 others; scores differ by up to 0.000 (allowed 0.05)")
    return "ok: 3 of 3 recorded detections seen here, scores differ by at most 0.0000\n"


def inspect_container(program: str, argv: list[str], state: dict, _: list[str]) -> str:
    there = state["container"]
    if not there:
        raise Refused(f"No such container: {argv[2]}")
    prefix = "" if program == "podman" else "sha256:"
    return json.dumps([{"Id": "c0ffee", "Image": prefix + there["image"], "State": {"Running": True, "StartedAt": there["since"]}}])


def health(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    there = state["container"]
    if not there or state["images"][there["image"]]["config"]["config"]["Labels"].get("health") == "fails":
        raise Refused("")
    return ""


def logs(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    return "selftest: 3 of 3 recorded detections seen\nno camera\n"


def rm(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    return ""


def start(state: dict) -> None:
    """Start the service's container, as unit and compose file do: of the image in image.env, or the unit's own."""
    chosen = read(f"{ROOT}/etc/litekiln/image.env")
    lines = dict(line.split("=", 1) for line in chosen.splitlines() if "=" in line)
    identity = find(state, lines.get("LITEKILN_IMAGE", "") or "litekiln/shapes:int8")
    state["container"] = {"image": identity, "since": f"{time.time():.6f}"} if identity else None


def systemctl(_: str, argv: list[str], state: dict, __: list[str]) -> str:
    units = json.loads(read(f"{ROOT}/units.json", "{}"))
    if argv[0] == "show":
        asked = units.get(argv[-1])
        if not asked:
            return "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nExecStart=\n"
        how = "generated" if asked == "quadlet" else "enabled"
        program = "podman" if asked in ("quadlet", "podman") else "docker"
        path = f"/usr/bin/{program}"
        return f"LoadState=loaded\nActiveState=active\nUnitFileState={how}\nExecStart={{ path={path} ; argv[]={path} run … }}\n"
    if argv[0] == "restart":
        start(state)
    return ""


FAKES = {"docker": engine, "podman": engine, "systemctl": systemctl, "docker-compose": engine}
