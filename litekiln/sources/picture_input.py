"""What a model takes, as far as its file says it: one picture of a fixed size."""

from dataclasses import dataclass

from litekiln.errors import SourceError


@dataclass(frozen=True)
class Tensor:
    """What goes in or comes out, under its name."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        sizes = (
            "of unknown shape" if self.shape is None else f"[{', '.join('?' if each < 0 else str(each) for each in self.shape)}]"
        )
        return f"{self.name} {self.dtype} {sizes}"


def fixed_picture(tensor: Tensor, takes: str, remedy: str) -> tuple[int, int]:
    """Height and width, where it is a picture in colour and in floats whose size is fixed."""
    shape = tensor.shape or ()
    if len(shape) != PICTURE_RANK or shape[0] not in (-1, 1) or shape[3] != COLOURS:
        cause = "its input is no picture in colour with the channels last"
        raise SourceError(f"{takes}: expected float32 [1, HEIGHT, WIDTH, 3]", cause=cause, remedy=remedy)
    if tensor.dtype != "float32":
        cause = f"it takes {tensor.dtype} pixels; what an integer variant takes is made by the conversion"
        raise SourceError(f"{takes}: expected float32 [1, HEIGHT, WIDTH, 3]", cause=cause, remedy=remedy)
    if min(shape[1:3]) < 1:
        raise SourceError(f"{takes}: its size is open, a TFLite model needs an input of one size", remedy=remedy)
    return shape[1], shape[2]


PICTURE_RANK, COLOURS = 4, 3
