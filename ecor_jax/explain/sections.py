"""The parts of a report below its header."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from ecor_jax.explain.charts import OUTCOMES, bar, line_chart, outcome_parts, reliability_chart
from ecor_jax.explain.formatting import duration, number, percent, percent_range
from ecor_jax.explain.html import Html, join, table, tag
from ecor_jax.explain.records import Calibration, Curve, MethodRow, Outcomes, Reliability

MEANINGS = {
    "rr": ("right category, right reason", "a right pair of category and reason is among the top pairs"),
    "rw": ("right category, wrong reason", "the category is right, but no right pair is among the top pairs"),
    "wr": ("wrong category, right reason", "a right reason is given, but for the wrong category"),
    "ww": ("wrong category, wrong reason", "neither is right"),
}
MANY_CLASSES = 12


class Part(NamedTuple):
    """A section of the page, as its table of contents names it."""

    identifier: str
    title: str
    section: Html


def part(identifier: str, title: str, lead: str, *children: Html) -> Part:
    """A section with its heading and a line that says how to read it."""
    heading = f"{identifier}-title"
    inside = (tag("h2", title, id=heading), tag("p", lead, class_="lead"), *children)
    return Part(identifier, title, tag("section", *inside, class_="part", id=identifier, aria_labelledby=heading))


def methods_part(rows: Sequence[MethodRow]) -> Part:
    """A stacked bar of the four outcomes per method, what they mean, and the same numbers as a table."""
    bars = []
    for row in rows:
        shares = ", ".join(f"{name.upper()} {percent(share)}" for share, name in outcome_parts(row.outcomes))
        name = tag("p", row.name, class_="name")
        score = tag("p", percent(row.outcomes.rr), class_="score")
        stacked = bar(outcome_parts(row.outcomes), height=34, label=f"{row.name}: {shares}")
        bars.append(tag("div", tag("div", name, score), stacked, class_="row"))
    return part(
        "methods",
        "Right, for the right reason",
        "Each picture ends in one of four ways. The large number is the share that is right in both senses.",
        _legend(),
        tag("div", tag("div", *bars, class_="bars"), _methods_table(rows), class_="card"),
    )


def _legend() -> Html:
    entries = [
        tag(
            "div",
            tag("span", name.upper(), class_=f"badge {name}", aria_hidden="true"),
            tag("dt", words),
            tag("dd", f"{name.upper()}: {more}"),
        )
        for name, (words, more) in MEANINGS.items()
    ]
    return tag("dl", *entries, class_="legend")


def _methods_table(rows: Sequence[MethodRow]) -> Html:
    timed = any(row.seconds is not None for row in rows)
    header = ["Method", "RR", "RW", "WR", "WW", "Accuracy", "Pictures"] + ["Time"] * timed
    best = max(row.outcomes.rr for row in rows)
    cells = []
    for row in rows:
        found = row.outcomes
        rr = tag("strong", percent(found.rr)) if found.rr == best else percent(found.rr)
        line = [
            row.name,
            join(rr, _range(row.rr_range)),
            percent(found.rw),
            percent(found.wr),
            percent(found.ww),
            join(percent(found.accuracy), _range(row.accuracy_range)),
            f"{found.count:,}",
        ]
        if timed:
            line.append("" if row.seconds is None else duration(row.seconds))
        cells.append(line)
    ranged = any(row.rr_range or row.accuracy_range for row in rows)
    caption = "Outcomes and accuracy (RR + RW) of the methods" + ("; ranges over seeds" if ranged else "")
    return table(caption, header, cells)


def _range(bounds: tuple[float, float] | None) -> Html:
    return join(" ", tag("small", percent_range(bounds))) if bounds else Html("")


def classes_part(classes: Mapping[str, Mapping[str, Outcomes]]) -> Part:
    """A table of the classes per method, best RR first, classes without a picture last; long ones unfold."""
    tables = []
    for method, found in classes.items():
        ranked = sorted(found.items(), key=lambda item: -item[1].rr if item[1].count else 1.0)
        header = ["Class", "Pictures", *(name.upper() for name in OUTCOMES)]
        drawn = table(f"Outcomes of {method} by class", header, [_class_row(*item) for item in ranked])
        few = len(ranked) <= MANY_CLASSES
        tables.append(tag("details", tag("summary", method), drawn, class_="card", open=few))
    lead = "Where a method knows what it sees, and where it does not: best classes first."
    return part("classes", "Class by class", lead, tag("div", *tables, class_="grid wide"))


def _class_row(name: str, outcomes: Outcomes) -> list[str]:
    parts = outcome_parts(outcomes) if outcomes.count else [(math.nan, name) for name in OUTCOMES]
    named = join(name, tag("div", bar(parts, height=10), class_="mini"))
    return [named, f"{outcomes.count:,}", *(percent(share) for share, _ in parts)]


def calibration_part(calibration: Mapping[str, Calibration]) -> Part:
    """Reliability diagrams of the categories and the rationales per method, each with its numbers."""
    categories = [_reliability(name, "category", found.category) for name, found in calibration.items()]
    rationales = [_reliability(name, "reason", found.rationale) for name, found in calibration.items()]
    lead = (
        "On the dashed line a confidence of 70% is right 70% of the time; below it a method is too sure of "
        "itself. Larger dots stand for more pictures. ECE is the expected calibration error: 0% is perfect."
    )
    return part("calibration", "Can the probabilities be trusted?", lead, _grid(categories), _grid(rationales))


def _reliability(method: str, what: str, reliability: Reliability) -> Html:
    title = f"{method}, {what}: ECE {percent(reliability.ece)}"
    rows = [[percent(one.confidence), percent(one.accuracy), f"{one.count:,}"] for one in reliability.bins if one.count]
    numbers = table(f"Reliability of {method}, {what}", ["Confidence", "Right", "Pictures"], rows)
    return tag(
        "figure",
        tag("figcaption", tag("b", f"{method}, {what}"), " ", f"ECE {percent(reliability.ece)}"),
        reliability_chart(reliability.bins, title),
        tag("details", tag("summary", "Numbers"), numbers, class_="small quiet"),
        class_="card",
    )


def training_part(loss: Mapping[str, Curve], images_per_second: Mapping[str, Curve]) -> Part:
    """The curves of loss and speed, one chart per run: losses of different methods have no common scale."""
    losses = [_curve(name, curve, "loss", _loss_words, from_zero=False) for name, curve in loss.items()]
    speeds = [
        _curve(name, curve, "images per second", _speed_words, from_zero=True)
        for name, curve in images_per_second.items()
    ]
    lead = "Each chart has its own scale: the losses of different methods cannot be compared."
    return part("training", "Training", lead, _grid(losses), _grid(speeds))


def _grid(figures: Sequence[Html]) -> Html:
    return tag("div", *figures, class_="grid") if figures else Html("")


def _curve(method: str, curve: Curve, what: str, words: Callable[[Curve], str], from_zero: bool) -> Html:
    said = words(curve)
    return tag(
        "figure",
        tag("figcaption", tag("b", f"{method}, {what}"), " ", said),
        line_chart(curve, what, f"{method}, {what}: {said}", from_zero),
        class_="card",
    )


def _loss_words(curve: Curve) -> str:
    (_, first), (step, last) = curve[0], curve[-1]
    return f"from {number(first)} to {number(last)} at step {step:,}"


def _speed_words(curve: Curve) -> str:
    return f"{number(median(value for _, value in curve))} in the median"


def commands_part(commands: Sequence[str]) -> Part:
    blocks = (tag("pre", tag("code", command)) for command in commands)
    return part("commands", "Go on from here", "Commands to copy.", *blocks)


def notes_part(notes: Sequence[str]) -> Part:
    return part(
        "notes",
        "Keep in mind",
        "What these numbers do and do not say.",
        tag("ul", *(tag("li", note) for note in notes), class_="notes"),
    )
