"""Write a tf.Module's `__call__` as a SavedModel, with a fixed input and what the source itself makes of it.

The module takes one tensor and gives one: what the minimal model needs.
"""

import importlib.util
import os

import numpy
import protocol
import tensorflow as tf


def export(args):
    module = _make(protocol.input_path("source"), args["name"])
    signature = getattr(module.__call__, "input_signature", None)
    if not signature or len(signature) != 1:
        raise protocol.Refused("%s.__call__ must be a tf.function with an input_signature of one tensor" % args["name"])
    concrete = module.__call__.get_concrete_function()
    tf.saved_model.save(module, protocol.output_path("saved_model"), signatures=concrete)
    picture = numpy.random.RandomState(0).uniform(-1, 1, signature[0].shape.as_list()).astype(numpy.float32)
    answer = module(tf.constant(picture)).numpy()
    numpy.savez(protocol.output_path("reference.npz"), picture=picture, answer=answer)
    return {"input": list(picture.shape), "output": list(answer.shape)}


def _make(path, name):
    spec = importlib.util.spec_from_loader("source", importlib.machinery.SourceFileLoader("source", os.path.abspath(path)))
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    found = getattr(source, name, None)
    if not (isinstance(found, type) and issubclass(found, tf.Module)):
        raise protocol.Refused("%s is not a tf.Module class in the source file" % name)
    return found()


if __name__ == "__main__":
    protocol.main(export)
