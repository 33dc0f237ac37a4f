"""litekiln: from a trained TensorFlow detection checkpoint to a TFLite model proven to detect the same things."""

__version__ = "0.1.0"
