"""The names of what comes out of a detector."""

POSTPROCESS_NAME = "TFLite_Detection_PostProcess"
DETECTION_OUTPUTS = ("boxes", "classes", "scores", "count")  # the ports of the PostProcess op, in its order
RAW_OUTPUTS = ("box_encodings", "class_predictions")  # what goes into the PostProcess op
