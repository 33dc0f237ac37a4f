"""The runtime inside the Pi's image: camera to detections to web page. It knows no TensorFlow, no Docker, nothing of the host."""
