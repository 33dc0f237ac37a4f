"""How a camera on the ribbon cable reaches the image: libcamera drives it, which the image doesn't contain."""

from litekiln_pi.place import READS_A_PIPE

PIPED = f"rpicam-vid -t 0 --codec mjpeg --flush -o - | {READS_A_PIPE}"
H264 = "rpicam-vid writes H.264 by default"
WITH_MJPEG = f"{H264}: start it with --codec mjpeg --flush"
H264_STARTS = (b"\0\0\0\1", b"\0\0\1")  # of its units
