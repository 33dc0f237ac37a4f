"""Take a .tflite that was made elsewhere, by TF1's converter or its publisher: hold it to its variant's name, and finish it."""

import os
import shutil

import protocol

import converted
import flat

MADE = "detect.tflite"  # by TF1's converter
PICTURE = "graph-tf1.dot"  # as TF1's converter draws it
FINISHED = "model.tflite"  # by a publisher; its outputs were named when it was read


def take(args):
    exported = protocol.input_path("exported")
    contract = converted.read_contract(exported)
    made = os.path.join(protocol.input_path("made"), MADE)
    by_tf1 = os.path.exists(made)
    with open(made if by_tf1 else os.path.join(exported, FINISHED), "rb") as stream:
        model = flat.read(bytearray(stream.read()))
    if by_tf1:
        _finish_tf1(model, args["variant"], exported, contract)
    return converted.finish(model, args, contract)


def _finish_tf1(model, variant, exported, contract):
    """What today's converter does and TF1's doesn't: the same bytes each time, outputs with names."""
    shutil.copyfile(os.path.join(protocol.input_path("made"), PICTURE), protocol.output_path(PICTURE))
    flat.settle_options(model)
    if variant.endswith("-raw"):
        flat.sign_by_names(model, flat.RAW_OUTPUTS)
        converted.keep_anchors(exported, contract)


if __name__ == "__main__":
    protocol.main(take)
