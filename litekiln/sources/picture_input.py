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
    """Height and width of an input that takes one colour picture in floats, of fixed size."""
    shape = tensor.shape or ()
    if len(shape) != PICTURE_RANK or shape[0] not in (-1, 1) or shape[3] != COLOURS:
        cause = "its input is not a colour picture with the channels last"
        raise SourceError(f"{takes}: expected float32 [1, HEIGHT, WIDTH, 3]", cause=cause, remedy=remedy)
    if tensor.dtype != "float32":
        cause = f"it takes {tensor.dtype} pixels; integer inputs are made later, by the conversion"
        raise SourceError(f"{takes}: expected float32 [1, HEIGHT, WIDTH, 3]", cause=cause, remedy=remedy)
    if min(shape[1:3]) < 1:
        raise SourceError(f"{takes}: its size is open, but a TFLite model needs an input of fixed size", remedy=remedy)
    return shape[1], shape[2]


PICTURE_RANK, COLOURS = 4, 3
