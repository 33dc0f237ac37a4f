"""Draw pictures of circles, squares and triangles on textured, noisy, partly occluded backgrounds.

One seed, one picture, always the same: `draw(seed)` gives it and the box of every shape in it. Needs NumPy and Pillow only.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("circle", "square", "triangle")
SUPERSAMPLING = 2
CORNERS = {"square": 4, "triangle": 3}


def draw(seed):
    """An RGB picture, and a list of (class index, left, top, right, bottom) in pixels."""
    random = np.random.RandomState(seed)
    width, height = int(random.randint(192, 321)), int(random.randint(192, 321))
    picture = _texture(random, width, height)
    boxes = []
    for _ in range(random.randint(1, 5)):
        shape = _place(random, width, height, boxes)
        if shape:
            boxes.append(_paint(random, picture, *shape))
    for box in boxes:
        if random.uniform() < 0.4:
            _occlude(random, picture, box)
    return _disturb(random, picture), boxes


def _texture(random, width, height):
    """Smooth patches of colour at two scales, sometimes striped."""
    layers = []
    for cells in (random.randint(2, 5), random.randint(8, 24)):
        patches = random.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
        layers.append(Image.fromarray(patches).resize((width, height), Image.BICUBIC))
    picture = Image.blend(layers[0], layers[1], float(random.uniform(0.1, 0.5)))
    if random.uniform() < 0.4:
        picture = Image.blend(picture, _stripes(random, width, height), float(random.uniform(0.1, 0.35)))
    return picture


def _stripes(random, width, height):
    y, x = np.mgrid[0:height, 0:width]
    angle, period = random.uniform(0, math.pi), random.uniform(6, 40)
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period) > 0
    colours = random.randint(0, 256, (2, 3)).astype(np.uint8)
    return Image.fromarray(colours[wave.astype(int)])


def _place(random, width, height, boxes):
    """A class, a centre and a radius that keeps clear of the shapes that are there; None when ten tries found no room."""
    for _ in range(10):
        kind = random.randint(len(CLASSES))
        radius = min(width, height) * random.uniform(0.12, 0.3)
        x, y = random.uniform(radius, width - radius), random.uniform(radius, height - radius)
        if all(
            x + radius < left or x - radius > right or y + radius < top or y - radius > bottom
            for _, left, top, right, bottom in boxes
        ):
            return kind, x, y, radius
    return None


def _outline(random, kind, x, y, radius):
    """The corners; a circle has many."""
    corners = CORNERS.get(CLASSES[kind], 90)
    turn = random.uniform(0, 2 * math.pi)
    squeeze = random.uniform(0.8, 1.0)
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    return [(x + radius * math.cos(angle), y + radius * squeeze * math.sin(angle)) for angle in angles]


def _paint(random, picture, kind, x, y, radius):
    points = _outline(random, kind, x, y, radius)
    across, down = [px for px, _ in points], [py for _, py in points]
    left, top = math.floor(min(across)), math.floor(min(down))
    size = math.ceil(max(across)) - left, math.ceil(max(down)) - top
    mask = Image.new("L", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), 0)
    corners = [((px - left) * SUPERSAMPLING, (py - top) * SUPERSAMPLING) for px, py in points]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    mask = mask.resize(size, Image.BOX)
    behind = picture.crop((left, top, left + size[0], top + size[1]))
    picture.paste(_filling(random, behind, mask), (left, top), mask)
    return kind, min(across), min(down), max(across), max(down)


def _filling(random, behind, mask):
    """A colour that can be told from what lies behind it, sometimes grainy."""
    covered = np.asarray(behind)[np.asarray(mask) > 127].mean(axis=0)
    colour = covered
    while np.abs(colour - covered).max() < 70:
        colour = random.uniform(0, 255, 3)
    grain = random.normal(0, random.uniform(0, 18), (behind.height, behind.width, 1))
    return Image.fromarray(np.clip(colour + grain, 0, 255).astype(np.uint8))


def _occlude(random, picture, box):
    """A thick irregular line across the shape, of a colour of its own."""
    _, left, top, right, bottom = box
    size = min(right - left, bottom - top)
    angle = random.uniform(0, 2 * math.pi)
    x = (left + right) / 2 + random.uniform(-0.3, 0.3) * size
    y = (top + bottom) / 2 + random.uniform(-0.3, 0.3) * size
    reach = size * random.uniform(0.5, 1.2)
    bend = [(x + t * reach * math.cos(angle), y + t * reach * math.sin(angle) + random.uniform(-3, 3)) for t in (-1, -0.4, 0.3, 1)]
    colour = tuple(int(value) for value in random.randint(0, 256, 3))
    ImageDraw.Draw(picture).line(bend, fill=colour, width=max(2, int(size * random.uniform(0.06, 0.2))), joint="curve")


def _disturb(random, picture):
    """What a cheap camera does: blur, noise, another exposure."""
    if random.uniform() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.3, 1.2))))
    values = np.asarray(picture).astype(np.float64)
    values = (values - 128) * random.uniform(0.7, 1.1) + 128 + random.uniform(-25, 25)
    values += random.normal(0, random.uniform(0, 12), values.shape)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
