"""Whether a frame shows something new: frames of a still scene need not be looked at."""

import time

import numpy
from PIL import Image

CELLS = (32, 24)  # the picture as so many grey cells; the mean over a cell hides a camera's noise
LONGEST_SECONDS = 2.0  # a frame is looked at after this time, however still the scene is


class Motion:
    """`least` is the change that counts, in grey levels (of 255) of one cell; with 0 each frame is looked at.

    A frame is compared with the last one that was looked at. Comparing with the frame before would miss whatever moves slowly.
    """

    def __init__(self, least: float = 0.0) -> None:
        self.least = least
        self._known: numpy.ndarray | None = None
        self._looked = 0.0

    def worth_a_look(self, picture: Image.Image, clock: float | None = None) -> bool:
        """Whether to look at this frame. If so, later ones are compared with it."""
        if not self.least:
            return True
        clock = time.monotonic() if clock is None else clock
        cells = numpy.asarray(picture.convert("L").resize(CELLS, Image.Resampling.BOX), numpy.int16)
        still = self._known is not None and clock - self._looked < LONGEST_SECONDS and self._change(cells) < self.least
        if not still:
            self._known, self._looked = cells, clock
        return not still

    def _change(self, cells: numpy.ndarray) -> float:
        return float(numpy.abs(cells - self._known).max())
