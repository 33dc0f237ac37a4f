"""Draw JPEGs of 640x640 for bench/build.py, which needs too many for a repository. The same COUNT gives the same pictures.

python bench/noise_pictures.py COUNT OUT
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

PICTURE_SIZE = 640


def draw(count, out):
    """Draw smooth patches of colour with a little noise: files about as large as photographs, and quick to draw."""
    out.mkdir(parents=True)
    for place in range(count):
        random = np.random.RandomState(place)
        patches = Image.fromarray(random.randint(0, 256, (12, 12, 3)).astype(np.uint8))
        smooth = np.asarray(patches.resize((PICTURE_SIZE, PICTURE_SIZE), Image.BICUBIC), np.int16)
        noise = random.randint(-12, 13, (PICTURE_SIZE, PICTURE_SIZE, 1), dtype=np.int16)
        picture = Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))
        picture.save(out / f"{place:05d}.jpg", quality=85)


if __name__ == "__main__":
    draw(int(sys.argv[1]), Path(sys.argv[2]))
