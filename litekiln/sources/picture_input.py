"""The input that a model needs: one picture of a fixed size."""

from dataclasses import dataclass

from litekiln.errors import SourceError


@dataclass(frozen=True)
class Tensor:
    """A named input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        sizes = (
            "of unknown shape" if self.shape is None else f"[{', '.join('?' if each < 0 else str(each) for each in self.shape)}]"
        )
        return f"{self.name} {self.dtype} {sizes}"


def fixed_picture(tensor: Tensor, takes: str, remedy: str) -> tuple[int, int]:
    """Height and width of an input that takes one colour picture in floats, of fixed size. Its batch may be open: it becomes 1."""
    shape = tensor.shape or ()
    expected = f"{takes}: expected float32 [1, HEIGHT, WIDTH, 3]"
    if len(shape) != PICTURE_RANK or shape[0] not in (-1, 1) or shape[3] != COLOURS:
        cause, way_out = _other_picture(shape)
        raise SourceError(expected, cause=cause, remedy=way_out or remedy)
    if tensor.dtype != "float32":
        cause = f"it takes {tensor.dtype} pixels; integer inputs are made later, by the conversion"
        raise SourceError(expected, cause=cause, remedy=remedy)
    if min(shape[1:3]) < 1:
        raise SourceError(f"{takes}: its size is open, but a TFLite model needs an input of fixed size", remedy=remedy)
    return shape[1], shape[2]


def _other_picture(shape: tuple[int, ...]) -> tuple[str, str]:
    """What an input takes instead of one colour picture, and what to do if it isn't the usual."""
    if len(shape) != PICTURE_RANK:
        return "its input is no picture: one has four sizes, with the channels last", ""
    batch, rows, columns, channels = shape
    if channels == 1:
        return "it takes grey pictures: litekiln gives a network the pictures of a camera, in colour", FROM_GREY
    if channels == COLOURS:
        return f"it takes batches of {batch} pictures, but TFLite's programs give one: its batch must be 1 or open", ""
    if rows in (1, COLOURS) and channels not in (1, COLOURS):
        return f"its channels come first ({rows} x {columns} x {channels}), as PyTorch has them: they must be last", ""
    count = str(channels) if channels > 0 else "an open number of"
    return f"its input is not a colour picture with the channels last: it has {count} channels", ""


PICTURE_RANK, COLOURS = 4, 3
FROM_GREY = (
    "put a layer in front that makes a colour picture grey, and save both as one model: a convolution 1x1 with the weights "
    "0.299, 0.587 and 0.114, without a bias; nothing is trained again"
)
