"""Lines and zones of a picture, in shares of its width and height: (0, 0) is its left upper corner, (1, 1) the opposite one."""

from dataclasses import dataclass

Point = tuple[float, float]
IN, OUT = "in", "out"
MARGIN = 0.01  # how far from a line a thing must be to be on one side of it: boxes tremble


@dataclass(frozen=True)
class Line:
    """A line from `start` to `end`. On the screen, "in" is a quarter turn clockwise from the way to `end`."""

    name: str
    start: Point
    end: Point
    names: tuple[str, ...] = ()  # what is counted; all names if empty

    def side(self, point: Point) -> str:
        """On which side a point is: IN, OUT, or "" when it is too near to the line."""
        across, down = self.end[0] - self.start[0], self.end[1] - self.start[1]
        distance = (across * (point[1] - self.start[1]) - down * (point[0] - self.start[0])) / (across**2 + down**2) ** 0.5
        return "" if abs(distance) < MARGIN else IN if distance > 0 else OUT

    def is_crossed(self, before: Point, after: Point) -> bool:
        """Whether the way between two points on different sides goes over the line, and not past one of its ends."""
        way = Line("", before, after)
        return before != after and _turn(way, self.start) * _turn(way, self.end) <= 0


@dataclass(frozen=True)
class Zone:
    """A polygon."""

    name: str
    points: tuple[Point, ...]
    names: tuple[str, ...] = ()

    def contains(self, point: Point) -> bool:
        """Whether a point is inside: a ray from it to the right meets an odd number of sides."""
        x, y = point
        inside = False
        for (left, top), (right, bottom) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if (top > y) != (bottom > y) and x < left + (y - top) / (bottom - top) * (right - left):
                inside = not inside
        return inside


def _turn(line: Line, point: Point) -> float:
    """Positive or negative, by the side of the line that a point is on."""
    return (line.end[0] - line.start[0]) * (point[1] - line.start[1]) - (line.end[1] - line.start[1]) * (point[0] - line.start[0])
