"""Draws charts as inline SVG with matplotlib, with the colours of the page's style sheet and the page's font.

matplotlib draws in reserved colours that are then replaced by `var(--name)`, so that charts follow the light or dark
colour scheme. No element refers to another by id, because one page contains several charts.
"""

import contextlib
import io
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from ecor_jax.metrics.calibration import Bin
from ecor_jax.metrics.verification import Roc
from ecor_jax.pages.numbers import far_text

FUNCTIONS = (
    "line_chart", "growth_chart", "reliability_chart", "roc_chart", "kept_chart", "patches_chart", "line_sample",
    "tar_at", "rates_of", "curves_of", "strip_ticks",
)  # fmt: skip
"""Functions of this module that templates use."""

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 12, 40
MAX_POINTS = 240
"""Maximum number of points of a curve; longer ones are averaged, because a phone shows no more."""
MAX_DECADES = 6
NAMES = ("ink", "quiet", "line", "card", "accent", "wr", "rr", "wrong")
SENTINELS = {name: f"#01{place:02x}a7" for place, name in enumerate(NAMES)}
CURVES = ("accent", "wr", "rr", "wrong", "quiet")
DASHES = ((), (7, 3), (2, 3), (9, 3, 2, 3))
"""The numbers of colours and dashes are coprime, so that twenty curves differ, and neighbours differ in both."""


def curves_of(lines: Iterable[Mapping[str, Any]], run: str) -> dict[str, list[tuple[float, float]]]:
    """Returns the curves of a run for a page, from the lines of metrics.jsonl: loss, speed and validation by step.

    Values that are not finite are left out, as are curves without finite values.
    """
    names = {"loss": "loss", "images per second": "examples_per_second"}
    names |= {"share of the time that waits for input": "waiting_share", "share of the matrix peak": "peak_share"}
    own = [line for line in lines if line["run"] == run]
    validation = dict.fromkeys(name for line in own for name in line if name.startswith("validation_"))
    names |= {name.replace("_", " "): name for name in validation}
    curves = {
        shown: [(line["step"], line[name]) for line in own if math.isfinite(line.get(name, math.nan))]
        for shown, name in names.items()
    }
    return {shown: curve for shown, curve in curves.items() if curve}


def line_chart(curve: Sequence[tuple[float, float]], y_label: str, label: str) -> Markup:
    """Draws a curve over training steps and marks its last point."""
    points = np.asarray(curve, dtype=np.float64)
    size = math.ceil(len(points) / MAX_POINTS)
    points = np.stack([points[at : at + size].mean(axis=0) for at in range(0, len(points), size)])
    steps, values = points.T
    with _axes(label, "step", y_label, (steps[0], steps[-1]), (values.min(), values.max())) as (axes, drawn):
        axes.plot(steps, values, color=SENTINELS["accent"])
        _dot(axes, steps[-1], values[-1], 7)
    return drawn[0]


def reliability_chart(bins: Sequence[Bin], label: str) -> Markup:
    """Draws accuracy over confidence; a dot's area is its share of the predictions, the dashed diagonal is ideal."""
    total = sum(entry.count for entry in bins)
    with _axes(label, "confidence", "accuracy", (0, 1), (0, 1), shares="xy") as (axes, drawn):
        _diagonal(axes, [0, 1])
        axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], color=SENTINELS["accent"])
        for entry in bins:
            _dot(axes, entry.confidence, entry.accuracy, 6 + 22 * math.sqrt(entry.count / total))
    return drawn[0]


def roc_chart(curves: Sequence[Roc], label: str, faces: bool = False) -> Markup:
    """Draws ROC curves; the thin dashed line is chance level.

    faces: labels the axes TAR and FAR, with FAR on a logarithmic scale, instead of sensitivity and false positive rate.
    """
    if faces:
        rates = [*rates_of(curves), 1.0]
        grid = np.geomspace(rates[0], 1, MAX_POINTS)
        names = ("false accept rate (FAR)", "true accept rate (TAR)")
    else:
        rates, grid = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], np.linspace(0, 1, MAX_POINTS)
        names = ("false positive rate", "sensitivity")
    with _axes(label, *names, (rates[0], 1), (0, 1), shares="y") as (axes, drawn):
        if faces:
            axes.set_xscale("log")
        axes.set_xticks(rates, [far_text(rate) for rate in rates])
        axes.minorticks_off()
        _diagonal(axes, grid)
        for place, curve in enumerate(curves):
            axes.plot(grid, [tar_at(curve, rate) for rate in grid], **_look(place))
    return drawn[0]


def kept_chart(
    curves: Mapping[str, Mapping[int, tuple[float, Any]]], what: str, label: str, x_label: str = "concepts kept"
) -> Markup:
    """Draws accuracy or AUROC over a number of concepts, from 0.5 (or the smallest value) to 1."""
    points = [[(count, found[0]) for count, found in sorted(curve.items())] for curve in curves.values()]
    counts, values = zip(*itertools.chain.from_iterable(points), strict=True)
    limits = (min(counts), max(counts)), (min(0.5, *values), 1.0)
    with _axes(label, x_label, what, *limits, shares="" if what == "AUROC" else "y") as (axes, drawn):
        _plot_points(axes, points)
    return drawn[0]


def patches_chart(curves: Mapping[str, Sequence[float]], x_label: str, label: str) -> Markup:
    """Draws mean probabilities over the share of the patches that are removed or shown, from 0 to 1 in equal steps."""
    points = [list(zip(np.linspace(0, 1, len(curve)).tolist(), curve, strict=True)) for curve in curves.values()]
    highest = max(value for curve in curves.values() for value in curve)
    with _axes(label, x_label, "probability", (0, 1), (0, highest), shares="xy") as (axes, drawn):
        _plot_points(axes, points)
    return drawn[0]


def growth_chart(
    curves: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str, label: str, share: bool
) -> Markup:
    """Draws curves over a number that grows by powers of ten. share: whether the values are shares, from 0 to 1.

    Other values have a logarithmic axis too. Points that such an axis cannot show are left out; '' if none is left.
    """
    points = [[(x, y) for x, y in sorted(curve) if x > 0 and (share or y > 0)] for curve in curves.values()]
    points = [curve for curve in points if curve]
    if not points:
        return Markup("")
    places, values = zip(*itertools.chain.from_iterable(points), strict=True)
    limits = (min(0.0, *values), max(values)) if share else (min(values) / 2, max(values) * 2)
    with _axes(label, x_label, y_label, (min(places), max(places)), limits, shares="y" if share else "") as (
        axes,
        drawn,
    ):
        axes.set_xscale("log")
        # Labels of our own: matplotlib writes powers as formulas, which are no plain text.
        axes.set_xticks(*_powers(min(places), max(places)))
        if not share:
            axes.set_yscale("log")
            axes.set_yticks(*_powers(*limits))
        axes.minorticks_off()
        _plot_points(axes, points)
    return drawn[0]


def _powers(low: float, high: float) -> tuple[list[float], list[str]]:
    """Returns the powers of ten from `low` to `high`, with their labels, such as 0.1, 10k and 1M.

    Of fewer than two powers, their doubles and halves are taken too, or else both ends.
    """
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    ticks = [power for power in powers if low <= power <= high]
    if len(ticks) < 2:
        ticks = [times * power for power in powers for times in (1, 2, 5) if low <= times * power <= high]
    if len(ticks) < 2:
        ticks = [low, high]
    units = ((1e6, "M"), (1e3, "k"), (1.0, ""))
    found = [next(((size, unit) for size, unit in units if tick >= size), (1.0, "")) for tick in ticks]
    return ticks, [f"{tick / size:g}{unit}" for tick, (size, unit) in zip(ticks, found, strict=True)]


def _plot_points(axes: Any, curves: Iterable[Sequence[tuple[float, float]]]) -> None:
    for place, curve in enumerate(curves):
        axes.plot(*zip(*curve, strict=True), **_look(place))
        for point in curve:
            _dot(axes, *point, 5, CURVES[place % len(CURVES)])


def strip_ticks(spreads: Iterable[Mapping[str, Any]]) -> list[float]:
    """Returns the ticks, in per cent unless "plain", of an axis with all values of entries of `tables.summary`."""
    from matplotlib.ticker import MaxNLocator

    shown = [(1 if spread.get("plain") else 100) * value for spread in spreads for value in _shown(spread)]
    shown += [spread["published"] for spread in spreads if spread.get("published") is not None]
    low, high = min(shown), max(shown)
    if high - low < 0.1:  # equal values that are rounded differently
        low, high = low - 0.5, high + 0.5
    return [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def _shown(spread: Mapping[str, Any]) -> list[float]:
    values = [spread["mean"], *(spread["interval"] or ()), *spread["values"].values()]
    return [value for value in values if value is not None]


def line_sample(place: int) -> Markup:
    """Draws the line style of the curve with index `place`, for a legend."""
    colour, dashes = CURVES[place % len(CURVES)], " ".join(map(str, DASHES[place % len(DASHES)]))
    style = f"stroke:var(--{colour});stroke-width:2;stroke-dasharray:{dashes or 'none'}"
    line = f'<line x1="0" x2="28" y1="5" y2="5" style="{style}"/>'
    return Markup(f'<svg width="28" height="10" aria-hidden="true">{line}</svg>')


def rates_of(curves: Iterable[Roc]) -> list[float]:
    """Returns the powers of ten up to 0.1, starting at or just below the smallest positive FAR, but not below 1e-6."""
    smallest = min((float(curve.far[curve.far > 0].min()) for curve in curves), default=1.0)
    lowest = min(max(math.floor(math.log10(smallest) + 1e-9), -MAX_DECADES), -1)
    return [10.0**exponent for exponent in range(lowest, 0)]


def tar_at(curve: Roc, far: float) -> float:
    """Returns the TAR of the last point whose FAR is at most `far`, with a tolerance for rounding."""
    place = int(np.searchsorted(curve.far, far * (1 + 1e-9), side="right"))
    return float(curve.tar[place - 1]) if place else 0.0


@contextlib.contextmanager
def _axes(
    label: str, x_label: str, y_label: str, x: tuple[float, float], y: tuple[float, float], shares: str = ""
) -> Iterator[tuple[Any, list[Markup]]]:
    """Yields axes, and a list that contains the chart afterwards. shares: the axes ("x", "y") in per cent."""
    import matplotlib  # imported late, because it takes half a second
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    drawn: list[Markup] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # ignores the user's own style
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ecor_jax", "lines.scale_dashes": False})
        figure = Figure((WIDTH / 72, HEIGHT / 72))
        place = LEFT / WIDTH, BOTTOM / HEIGHT, (WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - TOP - BOTTOM) / HEIGHT
        axes = figure.add_axes(place, frameon=False, xlim=_widened(*x), ylim=_widened(*y))
        axes.tick_params(length=0, pad=6, labelsize=11, labelcolor=SENTINELS["quiet"])
        axes.grid(axis="y", color=SENTINELS["line"], linewidth=1)
        for axis, name, text in ((axes.xaxis, "x", x_label), (axes.yaxis, "y", y_label)):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axis.set_label_text(text, fontsize=11, color=SENTINELS["quiet"])
            if name in shares:
                axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_label_coords(0.5, -0.135)
        axes.yaxis.set_label_coords(-0.155, 0.5)
        yield axes, drawn
        drawn.append(_inline(figure, label))


def _inline(figure: Any, label: str) -> Markup:
    """Returns only the figure's shapes and texts: no ids, style sheet, fonts or links."""
    file = io.StringIO()
    figure.patch.set_visible(False)
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    shapes = file.getvalue().partition("</defs>")[2].rpartition("</svg>")[0]
    shapes = re.sub(r"(?s)<defs>.*?</defs>|</?g[^>]*>", "", shapes)
    shapes = re.sub(r' (id|clip-path)="[^"]*"| transform="rotate\(-0 [^"]*"|font-family: [^;]*; ', "", shapes)
    shapes = re.sub(r"\s*\n\s*", "\n", shapes)
    for name, sentinel in SENTINELS.items():
        shapes = shapes.replace(sentinel, f"var(--{name})")
    opened = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{opened}{shapes.strip()}</svg>")


def _widened(low: float, high: float) -> tuple[float, float]:
    """Returns the limits, widened if they are equal."""
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _look(place: int) -> dict[str, Any]:
    colour, dashes = CURVES[place % len(CURVES)], DASHES[place % len(DASHES)]
    return {"color": SENTINELS[colour], "linestyle": (0, dashes) if dashes else "-", "linewidth": 2}


def _diagonal(axes: Any, values: Sequence[float] | np.ndarray) -> None:
    axes.plot(values, values, color=SENTINELS["quiet"], linestyle=(0, (4, 4)), linewidth=1)


def _dot(axes: Any, x: float, y: float, size: float, colour: str = "accent") -> None:
    """Draws a zero-length line with round caps, because matplotlib defines markers once and refers to them by id."""
    for width, name in ((size + 3, "card"), (size, colour)):
        axes.plot([x, x], [y, y], color=SENTINELS[name], linewidth=width, solid_capstyle="round")
