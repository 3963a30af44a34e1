"""Several named curves in one chart, and the key that tells them apart."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from ecor_jax.explain.charts import Axes, ticks
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.pair_style import CURVE_COLOURS, DASHES
from ecor_jax.explain.verification_records import RocCurve

MOST_DECADES = 6
POINTS = 240
"""So many points of an ROC curve are drawn: a phone shows no more."""

Points = Sequence[tuple[float, float]]
Ticks = Sequence[tuple[float, str]]


def curve_style(place: int) -> str:
    """The CSS classes of the curve at this place of a chart."""
    return f"several c{place % len(CURVE_COLOURS)} d{place % len(DASHES)}"


def key(notes: Mapping[str, str]) -> Html:
    """A line sample and the name of every curve, in the order of the chart, each with its note."""
    entries = []
    for place, (name, note) in enumerate(notes.items()):
        line = tag("line", x1=0, x2=28, y1=5, y2=5, class_=curve_style(place))
        sample = tag("svg", line, width=28, height=10, aria_hidden="true")
        entries.append(tag("li", sample, tag("span", name, tag("span", f" {note}", class_="quiet") if note else "")))
    return tag("ul", *entries, class_="keys")


def roc_chart(curves: Mapping[str, RocCurve], label: str) -> Html:
    """TAR over FAR, which has a logarithmic scale; the thin dashed line is what guessing gives."""
    lowest = lowest_decade(curves.values())
    axes = Axes((lowest, 0.0), (0.0, 1.0))
    grid = np.linspace(lowest, 0.0, POINTS)
    drawn = [
        axes.line([(exponent, tar_at(curve, 10**exponent)) for exponent in grid.tolist()], curve_style(place))
        for place, curve in enumerate(curves.values())
    ]
    decades = [(float(decade), far_text(10.0**decade)) for decade in range(lowest, 1)]
    frame = _frame(axes, decades, _shares(axes), "false accept rate (FAR)", "true accept rate (TAR)")
    guessing = axes.line([(exponent, 10**exponent) for exponent in grid.tolist()], "ideal")
    return axes.svg(*frame, guessing, *drawn, label=label)


def kept_chart(curves: Mapping[str, Points], what: Literal["accuracy", "AUROC"], label: str) -> Html:
    """Accuracy or AUROC over the number of concepts kept, up from a half or the lowest value."""
    numbers = [number for curve in curves.values() for number, _ in curve]
    values = [value for curve in curves.values() for _, value in curve]
    axes = Axes((min(numbers), max(numbers)), (min(0.5, *values), 1.0))
    drawn = []
    for place, curve in enumerate(curves.values()):
        drawn.append(axes.line(curve, curve_style(place)))
        for point in curve:
            x, y = axes.point(*point)
            drawn.append(tag("circle", cx=x, cy=y, r=2, class_=f"several c{place % len(CURVE_COLOURS)}"))
    whole = [(tick, f"{tick:.0f}") for tick in ticks(*axes.x) if tick == round(tick)]
    heights = _shares(axes) if what == "accuracy" else [(tick, f"{tick:.1f}") for tick in ticks(*axes.y)]
    return axes.svg(*_frame(axes, whole, heights, "concepts kept", what), *drawn, label=label)


def lowest_decade(curves: Iterable[RocCurve]) -> int:
    """The exponent of ten at or below the smallest FAR above zero, from -6 to -1."""
    smallest = min((far for curve in curves for far, _ in curve if far > 0), default=1.0)
    return min(max(math.floor(math.log10(smallest) + 1e-9), -MOST_DECADES), -1)


def tar_at(curve: RocCurve, far: float) -> float:
    """The TAR of the last point whose FAR is at most `far`, but for rounding."""
    place = bisect_right(curve, far * (1 + 1e-9), key=lambda point: point[0])
    return curve[place - 1][1] if place else 0.0


def far_text(far: float) -> str:
    """0.001 is `0.1%`."""
    return f"{round(100 * far, 9):g}%"


def _shares(axes: Axes) -> Ticks:
    return [(tick, f"{100 * tick:.0f}%") for tick in ticks(*axes.y)]


def _frame(axes: Axes, x_ticks: Ticks, y_ticks: Ticks, x_label: str, y_label: str) -> list[Html]:
    """Grid lines, tick labels and the names of the axes, as `Axes.grid` draws them, with ticks that are given."""
    shapes = []
    for tick, written in y_ticks:
        x, y = axes.point(axes.x[0], tick)
        shapes.append(tag("path", d=f"M{x} {y}H{axes.width - axes.right}", class_="grid"))
        shapes.append(tag("text", written, x=x - 6, y=y, dy="0.35em", class_="y-tick"))
    for tick, written in x_ticks:
        x, y = axes.point(tick, axes.y[0])
        shapes.append(tag("text", written, x=x, y=y + 15, class_="x-tick"))
    middle = (axes.left + axes.width - axes.right) / 2
    shapes.append(tag("text", x_label, x=middle, y=axes.height - 5, class_="x-tick"))
    across = f"translate(10 {(axes.top + axes.height - axes.bottom) / 2}) rotate(-90)"
    shapes.append(tag("text", y_label, transform=across, class_="x-tick"))
    return shapes
