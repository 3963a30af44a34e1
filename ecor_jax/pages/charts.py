"""Charts as inline SVG by matplotlib: coloured by the style sheet's variables, in the font of the page.

matplotlib draws with colours that nothing else has, which then become `var(--name)`, so that charts follow the light
or dark scheme. No shape refers to another by an id: several charts stand in one page.
"""

import contextlib
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
    "line_chart", "reliability_chart", "roc_chart", "kept_chart", "line_sample", "tar_at", "rates_of", "curves_of",
)  # fmt: skip
"""Those of this module that templates use."""

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 12, 40
MOST_POINTS = 240
"""A longer curve is thinned: a phone shows no more."""
MOST_DECADES = 6
NAMES = ("ink", "quiet", "line", "card", "accent", "wr", "rr", "wrong")
SENTINELS = {name: f"#01{place:02x}a7" for place, name in enumerate(NAMES)}
CURVES = ("accent", "wr", "rr", "wrong", "quiet")
DASHES = ((), (7, 3), (2, 3), (9, 3, 2, 3))
"""Colours and dashes have no common divisor: twenty curves look different, neighbours in both."""


def curves_of(lines: Iterable[Mapping[str, Any]], run: str) -> dict[str, list[tuple[float, float]]]:
    """What a page shows of the lines of metrics.jsonl of a run: the curves of loss, speed and validation by step.

    Values that are no finite numbers are left out, and so are the curves that have no others.
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


def line_chart(curve: Sequence[tuple[float, float]], y_label: str, label: str, from_zero: bool = False) -> Markup:
    """A curve over training steps, its last point marked."""
    points = np.asarray(curve, dtype=np.float64)
    size = math.ceil(len(points) / MOST_POINTS)
    points = np.stack([points[at : at + size].mean(axis=0) for at in range(0, len(points), size)])
    low = 0.0 if from_zero else points[:, 1].min()
    with _axes(label, "step", y_label, (points[0, 0], points[-1, 0]), (low, points[:, 1].max())) as (axes, drawn):
        axes.plot(*points.T, color=SENTINELS["accent"])
        _dot(axes, points[-1, 0], points[-1, 1], 7)
    return drawn[0]


def reliability_chart(bins: Sequence[Bin], label: str) -> Markup:
    """Accuracy over confidence; the area of a dot is its share of the answers, the dashed diagonal is ideal."""
    total = sum(entry.count for entry in bins)
    with _axes(label, "confidence", "accuracy", (0, 1), (0, 1), shares="xy") as (axes, drawn):
        _dashed(axes, [0, 1], [0, 1])
        axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], color=SENTINELS["accent"])
        for entry in bins:
            _dot(axes, entry.confidence, entry.accuracy, 6 + 22 * math.sqrt(entry.count / total))
    return drawn[0]


def roc_chart(curves: Sequence[Roc], label: str, faces: bool = False) -> Markup:
    """The share of what is there that is found over false alarms; the thin dashed line is what guessing gives.

    faces: in the words of verification, and with false accept rates on a logarithmic scale.
    """
    if faces:
        rates = [*rates_of(curves), 1.0]
        grid = np.geomspace(rates[0], 1, MOST_POINTS)
        names = ("false accept rate (FAR)", "true accept rate (TAR)")
    else:
        rates, grid = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], np.linspace(0, 1, MOST_POINTS)
        names = ("false positive rate", "sensitivity")
    with _axes(label, *names, (rates[0], 1), (0, 1), shares="y") as (axes, drawn):
        if faces:
            axes.set_xscale("log")
        axes.set_xticks(rates, [far_text(rate) for rate in rates])
        axes.minorticks_off()
        _dashed(axes, grid, grid)
        for place, curve in enumerate(curves):
            axes.plot(grid, [tar_at(curve, rate) for rate in grid], **_look(place))
    return drawn[0]


def kept_chart(curves: Mapping[str, Mapping[int, tuple[float, Any]]], what: str, label: str) -> Markup:
    """Accuracy or AUROC over the number of concepts kept, from a half (or what is lowest) to 1."""
    points = [[(count, found[0]) for count, found in sorted(curve.items())] for curve in curves.values()]
    counts, values = zip(*itertools.chain.from_iterable(points), strict=True)
    limits = (min(counts), max(counts)), (min(0.5, *values), 1.0)
    with _axes(label, "concepts kept", what, *limits, shares="y" if what == "accuracy" else "") as (axes, drawn):
        for place, curve in enumerate(points):
            axes.plot(*zip(*curve, strict=True), **_look(place))
            for point in curve:
                _dot(axes, *point, 5, CURVES[place % len(CURVES)])
    return drawn[0]


def line_sample(place: int) -> Markup:
    """The line of the curve at this place of a chart, for its key."""
    colour, dashes = CURVES[place % len(CURVES)], " ".join(map(str, DASHES[place % len(DASHES)]))
    style = f"stroke:var(--{colour});stroke-width:2;stroke-dasharray:{dashes or 'none'}"
    line = f'<line x1="0" x2="28" y1="5" y2="5" style="{style}"/>'
    return Markup(f'<svg width="28" height="10" aria-hidden="true">{line}</svg>')


def rates_of(curves: Iterable[Roc]) -> list[float]:
    """Powers of ten, from that at or below the smallest FAR above zero (1e-6 at the least) to 0.1."""
    smallest = min((float(curve.far[curve.far > 0].min()) for curve in curves), default=1.0)
    lowest = min(max(math.floor(math.log10(smallest) + 1e-9), -MOST_DECADES), -1)
    return [10.0**exponent for exponent in range(lowest, 0)]


def tar_at(curve: Roc, far: float) -> float:
    """The TAR of the last point whose FAR is at most `far`, but for rounding."""
    place = int(np.searchsorted(curve.far, far * (1 + 1e-9), side="right"))
    return float(curve.tar[place - 1]) if place else 0.0


@contextlib.contextmanager
def _axes(
    label: str,
    x_label: str,
    y_label: str,
    x: tuple[float, float],
    y: tuple[float, float],
    shares: str = "",
) -> Iterator[tuple[Any, list[Markup]]]:
    """Axes to draw on, and a list that holds the chart afterwards. shares: the axes ("x", "y") written in per cent."""
    import matplotlib  # Imported late: half a second, which who draws nothing does not wait for.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    drawn: list[Markup] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # Whatever the user's own style is.
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ecor_jax", "lines.scale_dashes": False})
        figure = Figure((WIDTH / 72, HEIGHT / 72))
        size = (WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - TOP - BOTTOM) / HEIGHT
        axes = figure.add_axes(
            (LEFT / WIDTH, BOTTOM / HEIGHT, *size), frameon=False, xlim=_widened(*x), ylim=_widened(*y)
        )
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
    """The figure's shapes and texts alone: no ids, no style sheet, no font, no links."""
    import io

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
    """The limits, apart even where all values are equal."""
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _look(place: int) -> dict[str, Any]:
    dashes = DASHES[place % len(DASHES)]
    return {
        "color": SENTINELS[CURVES[place % len(CURVES)]],
        "linestyle": (0, dashes) if dashes else "-",
        "linewidth": 2,
    }


def _dashed(axes: Any, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> None:
    axes.plot(x, y, color=SENTINELS["quiet"], linestyle=(0, (4, 4)), linewidth=1)


def _dot(axes: Any, x: float, y: float, size: float, colour: str = "accent") -> None:
    """A line without length and with round ends: markers would be drawn once and referred to by an id."""
    for width, name in ((size + 3, "card"), (size, colour)):
        axes.plot([x, x], [y, y], color=SENTINELS[name], linewidth=width, solid_capstyle="round")
