"""Charts as inline SVG, coloured by the page's style sheet so that they follow the light or dark scheme."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ecor_jax.explain.formatting import number
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.records import Curve, Outcomes, ReliabilityBin

OUTCOMES = ("rr", "rw", "wr", "ww")
MOST_POINTS = 240
"""A longer curve is averaged down: a phone shows no more."""


def bar(parts: Sequence[tuple[float, str]], height: int, label: str | None = None) -> Html:
    """A horizontal bar of (share, css class) parts, as wide as its box; without a label it is decoration.

    A labelled bar has the rounded share written into each part that is wide enough for it on a phone.
    """
    shapes, left = [], 0.0
    for share, colour in parts:
        if not share > 0:
            continue
        shapes.append(tag("rect", class_=colour, x=f"{100 * left:.2f}%", width=f"{100 * share:.2f}%", height="100%"))
        if label and share >= 0.08:
            at = f"{100 * (left + share / 2):.2f}%"
            shapes.append(tag("text", f"{share:.0%}", class_=f"on-{colour}", x=at, y="50%", dy="0.35em"))
        left += share
    described = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    return tag("svg", *shapes, class_="bar", width="100%", height=height, **described)


def outcome_parts(outcomes: Outcomes) -> list[tuple[float, str]]:
    """The parts of a stacked bar: RR, RW, WR, WW from left to right."""
    return [(getattr(outcomes, name), name) for name in OUTCOMES]


class Axes:
    """A plot area with ticks: maps data to pixels of a 340 by 220 drawing."""

    width, height = 340, 220
    left, right, top, bottom = 56, 18, 12, 40

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = _widened(x), _widened(y)

    def point(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(self.left + across * (self.width - self.left - self.right), 1),
            round(self.height - self.bottom - up * (self.height - self.top - self.bottom), 1),
        )

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Html:
        drawn = " ".join(f"{x},{y}" for x, y in (self.point(*point) for point in points))
        return tag("polyline", points=drawn, class_=class_)

    def grid(self, x_label: str, y_label: str, share: bool) -> list[Html]:
        """Grid lines, tick labels and the names of the axes; `share` writes ticks as percentages."""
        write = (lambda value: f"{100 * value:.0f}%") if share else number
        shapes = []
        for tick in ticks(*self.y):
            x, y = self.point(self.x[0], tick)
            shapes.append(tag("path", d=f"M{x} {y}H{self.width - self.right}", class_="grid"))
            shapes.append(tag("text", write(tick), x=x - 6, y=y, dy="0.35em", class_="y-tick"))
        for tick in ticks(*self.x):
            x, y = self.point(tick, self.y[0])
            shapes.append(tag("text", write(tick), x=x, y=y + 15, class_="x-tick"))
        middle = (self.left + self.width - self.right) / 2
        shapes.append(tag("text", x_label, x=middle, y=self.height - 5, class_="x-tick"))
        across = f"translate(10 {(self.top + self.height - self.bottom) / 2}) rotate(-90)"
        shapes.append(tag("text", y_label, transform=across, class_="x-tick"))
        return shapes

    def svg(self, *shapes: Html, label: str) -> Html:
        box = f"0 0 {self.width} {self.height}"
        return tag("svg", *shapes, class_="chart", viewBox=box, role="img", aria_label=label)


def ticks(low: float, high: float) -> list[float]:
    """At most six round numbers in [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def drawable(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves without values that are no numbers, and without the curves that are then empty."""
    finite = {name: [(step, value) for step, value in curve if math.isfinite(value)] for name, curve in curves.items()}
    return {name: curve for name, curve in finite.items() if curve}


def line_chart(curve: Curve, y_label: str, label: str, from_zero: bool) -> Html:
    """One curve over training steps, as `drawable` leaves it."""
    points = _thinned(curve)
    steps, values = zip(*points, strict=True)
    axes = Axes((min(steps), max(steps)), (0.0 if from_zero else min(values), max(values)))
    end = axes.point(*points[-1])
    return axes.svg(
        *axes.grid("step", y_label, share=False),
        axes.line(points, class_="curve"),
        tag("circle", cx=end[0], cy=end[1], r=3.5, class_="dot"),
        label=label,
    )


def reliability_chart(bins: Sequence[ReliabilityBin], label: str) -> Html:
    """Accuracy over confidence; the area of a dot is its share of the predictions, the diagonal is ideal."""
    axes = Axes((0.0, 1.0), (0.0, 1.0))
    filled = [one for one in bins if one.count]
    total = sum(one.count for one in filled)
    dots = []
    for one in filled:
        x, y = axes.point(one.confidence, one.accuracy)
        dots.append(tag("circle", cx=x, cy=y, r=round(3 + 11 * math.sqrt(one.count / total), 1), class_="dot"))
    return axes.svg(
        *axes.grid("confidence", "accuracy", share=True),
        axes.line([(0.0, 0.0), (1.0, 1.0)], class_="ideal"),
        axes.line([(one.confidence, one.accuracy) for one in filled], class_="curve"),
        *dots,
        label=label,
    )


def _widened(bounds: tuple[float, float]) -> tuple[float, float]:
    """The bounds, apart even where all values are equal."""
    low, high = bounds
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _thinned(curve: Curve) -> Curve:
    """At most `MOST_POINTS` points, each the mean of its neighbours."""
    if len(curve) <= MOST_POINTS:
        return curve
    size = math.ceil(len(curve) / MOST_POINTS)
    points = np.asarray(curve, dtype=np.float64)
    return [tuple(points[at : at + size].mean(axis=0).tolist()) for at in range(0, len(points), size)]
