"""A pen that draws flat, outlined shapes through an affine frame."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
Frame = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f) maps (x, y) to (ax + by + c, dx + ey + f), in pixels."""

Canvas = Any
"""A PIL.ImageDraw.ImageDraw, or an object with its polygon, line and ellipse methods."""

_CIRCLE = [(math.cos(math.tau * k / 24), math.sin(math.tau * k / 24)) for k in range(24)]


def nested(frame: Frame, x: float, y: float, size: float, angle: float) -> Frame:
    """Returns a frame with its origin at (x, y) of `frame`, scaled by `size` and rotated by `angle` degrees."""
    a, b, c, d, e, f = frame
    cos, sin = size * math.cos(math.radians(angle)), size * math.sin(math.radians(angle))
    return (
        *(a * cos + b * sin, b * cos - a * sin, a * x + b * y + c),
        *(d * cos + e * sin, e * cos - d * sin, d * x + e * y + f),
    )


def through(frame: Frame, points: Points) -> list[float]:
    """Maps `points` through `frame` and returns them flat: x0, y0, x1, y1, ..."""
    a, b, c, d, e, f = frame
    return [v for x, y in points for v in (a * x + b * y + c, d * x + e * y + f)]


def symmetric(half: Points) -> Points:
    """Closes `half`, an outline that ends on the vertical axis, by its mirror image."""
    return [*half, *((-x, y) for x, y in reversed(half[:-1]))]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Returns the colour at `share` of the way from `first` (0) to `second` (1)."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Rendition:
    """The mapping from colours to pixels: full paint (`tint` 1), or tinted line art on `paper`, outlined in `ink`.

    `line` is the width of outlines as a fraction of the image side. If `sketch` is positive, outlines are drawn twice,
    and the second line strays from the first by up to this number of outline widths.
    """

    ink: Colour
    paper: Colour
    tint: float
    line: float
    sketch: float = 0.0

    def fill(self, colour: Colour) -> Colour:
        """Returns the fill colour of an outlined shape in `colour`."""
        return colour if self.tint == 1.0 else mix(self.paper, colour, self.tint)

    def shade(self, colour: Colour) -> Colour:
        """Returns the colour of a patch without an outline; line art shades it with ink, so that it stays visible."""
        return colour if self.tint == 1.0 else mix(self.paper, self.ink, 0.55)


@dataclass(frozen=True)
class Pen:
    """A pen that draws in the local units of its frame (x right, y down); `outline` is in pixels."""

    canvas: Canvas
    frame: Frame
    rendition: Rendition
    outline: int

    def at(self, x: float, y: float, size: float, angle: float = 0.0) -> "Pen":
        """Returns a pen whose frame is at (x, y) of this one, scaled by `size` and rotated by `angle` degrees."""
        return Pen(self.canvas, nested(self.frame, x, y, size, angle), self.rendition, self.outline)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Draws a filled and outlined polygon."""
        flat = through(self.frame, points)
        self.canvas.polygon(flat, fill=self.rendition.fill(colour))
        self._outline(flat)

    def patch(self, points: Points, colour: Colour) -> None:
        """Draws a polygon without an outline."""
        self.canvas.polygon(through(self.frame, points), fill=self.rendition.shade(colour))

    def contour(self, points: Points) -> None:
        """Draws the outline of a polygon."""
        self._outline(through(self.frame, points))

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Draws a filled and outlined ellipse with the radii `across` and `down`."""
        rim = 0.5 * self.outline / self._unit()
        for grown, paint in ((rim, self.rendition.ink), (-rim, self.rendition.fill(colour))):
            self._disc(x, y, max(across + grown, 0.0), max(down + grown, 0.0), paint)

    def mark(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draws a small disc without an outline: in `colour` for painted objects, in ink for line art."""
        self._disc(x, y, radius, radius, colour if self.rendition.tint == 1.0 else self.rendition.ink)

    def box(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Draws a filled and outlined rectangle around (x, y) with half extents `across` and `down`."""
        left, right, top, bottom = x - across, x + across, y - down, y + down
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, points: Points, width: float) -> None:
        """Draws a line in ink; `width` is in units of the frame and at least that of an outline."""
        width_in_pixels = max(self.outline, round(width * self._unit()))
        self._stroke(through(self.frame, points), width_in_pixels, self.rendition.ink)

    def tube(self, points: Points, width: float, colour: Colour) -> None:
        """Draws a thick, outlined line with round ends; `width` is in units of the frame."""
        flat, inner = through(self.frame, points), max(2, round(width * self._unit()))
        self._stroke(flat, inner + self.outline, self.rendition.ink)
        self._stroke(flat, max(1, inner - self.outline), self.rendition.fill(colour))

    def ring(self, x: float, y: float, radius: float, width: float) -> None:
        """Draws a circle in ink that is not filled."""
        points = [(x + radius * u, y + radius * v) for u, v in _CIRCLE]
        self.line([*points, points[0]], width)

    def _unit(self) -> float:
        return math.hypot(self.frame[0], self.frame[3])

    def _disc(self, x: float, y: float, across: float, down: float, paint: Colour) -> None:
        points = [(x + across * u, y + down * v) for u, v in _CIRCLE]
        self.canvas.polygon(through(self.frame, points), fill=paint)

    def _outline(self, flat: list[float]) -> None:
        self._stroke(flat + flat[:2], self.outline, self.rendition.ink)
        # Long outlines are smooth curves, which the stray line would fray.
        if self.rendition.sketch and len(flat) < 2 * len(_CIRCLE):
            reach, phase = self.rendition.sketch * self.outline, 0.35 * len(flat)
            stray = [v + reach * math.sin(2.4 * k + phase) for k, v in enumerate(flat + flat[:2])]
            self._stroke(stray, max(1, self.outline * 2 // 3), self.rendition.ink)

    def _stroke(self, flat: list[float], width: int, paint: Colour) -> None:
        """Draws a line with round joints, because PIL leaves gaps where wide segments meet."""
        self.canvas.line(flat, fill=paint, width=width)
        radius = width / 2
        for x, y in zip(flat[::2], flat[1::2], strict=True):
            self.canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=paint)


Draw = Callable[[Pen, Colour], None]
"""Draws a part or a pattern in the frame of a pen; `colour` is used for areas without a fixed colour."""
