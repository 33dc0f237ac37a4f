"""Which pictures of a set a step looks at: all, or some of them, the same ones each time."""

import os

import protocol

import pictures


def of(args, folder):
    """The names of all pictures of a set, in its own order: those of an evaluation set, those the recipe lists, or the index's."""
    if args.get("evaluation"):
        images = protocol.read_json(os.path.join(folder, "annotations.json"))["images"]
        return ["images/" + image["file_name"] for image in images]
    return args.get("pictures") or listed(folder)


def listed(folder):
    """The pictures that a set's index lists, in its order."""
    return protocol.read_json(os.path.join(folder, "index.json"))["pictures"]


def spread(names, most):
    """At most so many of them, spread evenly."""
    if len(names) <= most:
        return list(names)
    return [names[place * len(names) // most] for place in range(most)]


def load(folder, names, most):
    """Names and pictures of at most so many of a set; what can't be read is passed over, the calibration tells of it."""
    for name in spread(names, most):
        try:
            yield name, pictures.load(os.path.join(folder, name))
        except pictures.Unreadable:
            continue
