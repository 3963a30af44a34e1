"""Where an object lies: the box around its body and parts, so that a picture never cuts anything off."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from ecor_jax.data.procedural.objects import Slot
from ecor_jax.data.procedural.parts import PARTS
from ecor_jax.data.procedural.pen import Colour, Frame, Pen, Points, Rendition, nested, through

_UPRIGHT: Frame = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_BLACK = (0, 0, 0)


@dataclass
class _Touched:
    """A canvas that only notes the points it is asked to draw."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def polygon(self, xy: Sequence[float], fill: Colour) -> None:
        self.points += zip(xy[::2], xy[1::2], strict=True)

    def line(self, xy: Sequence[float], fill: Colour, width: int) -> None:
        self.polygon(xy, fill)

    def ellipse(self, xy: Sequence[float], fill: Colour) -> None:
        self.polygon(xy, fill)


@cache
def _corners(rationale: str) -> Points:
    """The corners of the box around a part, in its own frame."""
    touched = _Touched()
    unit = 100.0  # Large, as a pen rounds the widths of lines to pixels.
    pen = Pen(touched, (unit, 0.0, 0.0, 0.0, unit, 0.0), Rendition(_BLACK, _BLACK, 1.0, 0.0), outline=0)
    PARTS[rationale](pen, _BLACK)
    columns, rows = zip(*((x / unit, y / unit) for x, y in touched.points), strict=True)
    return [(x, y) for x in (min(columns), max(columns)) for y in (min(rows), max(rows))]


def place(slot: Slot, extents: tuple[float, float]) -> tuple[float, float, float, float]:
    """x, y, size and angle of what fills `slot` on a body with these half extents, in the object's frame."""
    return slot.x * extents[0], slot.y * extents[1], slot.size, slot.angle


def bounds(
    outline: Points, fixed: Sequence[tuple[str, Slot]], extents: tuple[float, float], angle: float
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an object turned by `angle` degrees, in units of its frame."""
    turned = nested(_UPRIGHT, 0.0, 0.0, 1.0, angle)
    flat = through(turned, outline)
    for rationale, slot in fixed:
        flat += through(nested(turned, *place(slot, extents)), _corners(rationale))
    return min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])
