"""A step program: the export of a checkpoint, with a mistake that the exporter itself never notices.

It takes the exporter's own arguments and `mistake`: "no restore" leaves the weights as they were drawn, "no statistics" leaves the
batch normalisation's at their defaults. The export's own proof is left out: what is tested is whether verify notices too.
"""

import export_detection
import protocol
import tensorflow as tf
from source_model import frozen, weights


class Unread:
    """A checkpoint that is not restored."""

    def expect_partial(self):
        return self


def export(args):
    mistake = args.pop("mistake")
    weights.compare = lambda *_: {"variables": 0, "values": 0, "equal": True}
    if mistake == "no restore":
        tf.train.Checkpoint.restore = lambda *_: Unread()
    else:
        freeze = frozen.freeze
        frozen.freeze = lambda function: freeze(_forget_statistics(function))
    return export_detection.export(args)


def _forget_statistics(function):
    forgotten = 0
    for variable in function.variables:
        for name, default in (("moving_mean", 0.0), ("moving_variance", 1.0)):
            if name in variable.name:
                variable.assign(tf.fill(variable.shape, default))
                forgotten += 1
    assert forgotten, "the model has no batch normalisation"
    return function


if __name__ == "__main__":
    protocol.main(export)
