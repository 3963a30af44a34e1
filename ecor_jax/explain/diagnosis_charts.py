"""Charts of a diagnosis report as inline SVG, coloured by the page's style sheet."""

from collections.abc import Mapping, Sequence

from ecor_jax.explain.charts import Axes
from ecor_jax.explain.curve_charts import curve_style
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.verification_records import RocCurve

MOST_POINTS = 240
"""So many points of an ROC curve are drawn: a phone shows no more."""
INTERVAL_HEIGHT = 18


def rates_chart(curves: Mapping[str, RocCurve], label: str) -> Html:
    """Sensitivity over the false positive rate, both linear; the thin dashed line is what guessing gives."""
    axes = Axes((0.0, 1.0), (0.0, 1.0))
    drawn = [axes.line(thinned(curve), curve_style(place)) for place, curve in enumerate(curves.values())]
    guessing = axes.line([(0.0, 0.0), (1.0, 1.0)], "ideal")
    return axes.svg(*axes.grid("false positive rate", "sensitivity", share=True), guessing, *drawn, label=label)


def interval_bar(value: float, interval: tuple[float, float] | None) -> Html:
    """A dot on a line from 0 to 1, with its interval and a mark at 0.5; the numbers stand beside it."""
    shapes = [
        tag("line", x1="0%", x2="100%", y1="50%", y2="50%"),
        tag("line", x1="50%", x2="50%", y1="0%", y2="100%", class_="even"),
    ]
    if interval is not None:
        low, high = interval
        shapes.append(tag("line", x1=_percent(low), x2=_percent(high), y1="50%", y2="50%", class_="span"))
    shapes.append(tag("circle", cx=_percent(value), cy="50%", r=4.5))
    return tag("svg", *shapes, class_="bar interval", width="100%", height=INTERVAL_HEIGHT, aria_hidden="true")


def thinned(curve: RocCurve) -> Sequence[tuple[float, float]]:
    """At most `MOST_POINTS` of the curve's points, evenly spread along it, with both ends."""
    if len(curve) <= MOST_POINTS:
        return curve
    last = len(curve) - 1
    return [curve[round(place * last / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"
