"""The Pi image's runtime: from camera to detections to web page. It uses no TensorFlow, no Docker and no code of the host."""
