"""The parts of a verification report: accuracies, error curves, concepts kept."""

import math
from collections.abc import Mapping, Sequence

from ecor_jax.explain.charts import bar
from ecor_jax.explain.curve_charts import Points, far_text, kept_chart, key, lowest_decade, roc_chart, tar_at
from ecor_jax.explain.formatting import duration, percent
from ecor_jax.explain.html import Html, join, table, tag
from ecor_jax.explain.records import Curve
from ecor_jax.explain.score_numbers import area, or_dash
from ecor_jax.explain.sections import Part, part
from ecor_jax.explain.verification_records import BenchmarkScore, RocCurve, VerificationRow


def benchmark_names(rows: Sequence[VerificationRow]) -> list[str]:
    """All benchmarks, in the order in which the rows first name them."""
    return list(dict.fromkeys(name for row in rows for name in row.benchmarks))


def telling_names(rows: Sequence[VerificationRow]) -> list[str]:
    """The benchmarks that are in the average: those with same and different pairs."""
    idle = {name for row in rows for name, score in row.benchmarks.items() if score.one_kind}
    return [name for name in benchmark_names(rows) if name not in idle]


def average(row: VerificationRow, benchmarks: Sequence[str]) -> float | None:
    """The mean accuracy; None for a row that lacks a benchmark, since its mean would compare with no other."""
    found = [row.benchmarks[name].accuracy for name in benchmarks if name in row.benchmarks]
    return math.fsum(found) / len(found) if found and len(found) == len(benchmarks) else None


def accuracy_part(rows: Sequence[VerificationRow]) -> Part:
    """A bar per row and a table of accuracy by benchmark, their average, the alignment proxy and the time."""
    telling = telling_names(rows)
    bars = []
    for row in rows:
        mean = average(row, telling)
        name = tag("p", row.name, class_="name")
        score = tag("p", or_dash(mean, percent), class_="score")
        drawn = "" if mean is None else bar([(mean, "plus")], height=22)
        bars.append(tag("div", tag("div", name, score), drawn, class_="row"))
    lead = (
        "The share of pairs that are judged rightly, by the threshold that is best on nine tenths of them and judges "
        "the last tenth, ten times over (insightface's protocol)"
    )
    lead += ", averaged over the benchmarks." if len(telling) > 1 else "."
    lead += " Where half the pairs are the same, guessing reaches 50%."
    if len(telling) < len(benchmark_names(rows)):
        lead += " Where all pairs are of one kind, a threshold that takes them all alike is always right."
    if any(row.proxy is not None for row in rows):
        lead += " Alignment is how well words and pictures still belong together: zero-shot accuracy on another task."
    drawn = tag("div", tag("div", *bars, class_="bars"), _accuracies(rows), class_="card")
    return part("accuracy", "Verification accuracy", lead, drawn)


def _accuracies(rows: Sequence[VerificationRow]) -> Html:
    benchmarks, telling = benchmark_names(rows), telling_names(rows)
    columns: dict[str, list[float | None]] = {}
    for name in benchmarks:
        found = [row.benchmarks.get(name) for row in rows]
        columns[name] = [None if score is None else score.accuracy for score in found]
    if len(telling) > 1:
        columns["Average"] = [average(row, telling) for row in rows]
    if any(row.proxy is not None for row in rows):
        columns["Alignment"] = [row.proxy for row in rows]
    written = [_best_bold(values) for values in columns.values()]
    header = ["Model"]
    for name in columns:
        idle = name in benchmarks and name not in telling
        header.append(join(name, tag("small", " (one kind)")) if idle else name)
    if any(row.seconds is not None for row in rows):
        header.append("Time")
        written.append([or_dash(row.seconds, duration) for row in rows])
    lines = [[row.name, *cells] for row, *cells in zip(rows, *written, strict=True)]
    return table("Accuracy by benchmark; the best of each column is bold", header, lines)


def errors_part(rows: Sequence[VerificationRow], roc: Mapping[str, Mapping[str, RocCurve]]) -> Part:
    """Of each benchmark the ROC curves, AUC, and TAR at the FARs that were asked for."""
    cards = []
    for name in dict.fromkeys([*benchmark_names(rows), *roc]):
        scores = {row.name: row.benchmarks[name] for row in rows if name in row.benchmarks}
        scores = {row: score for row, score in scores.items() if score.auc is not None or score.tar}
        curves = {row: curve for row, curve in roc.get(name, {}).items() if curve}
        if scores or curves:
            cards.append(_errors(name, scores, curves))
    if not cards:
        one_kind = tag("p", "No benchmark has both same and different pairs: there is no such curve.", class_="card")
        cards.append(one_kind)
    lead = (
        "A stricter threshold takes fewer strangers for the same person, and fewer true pairs: FAR is the share of "
        "different pairs that is accepted, TAR that of same pairs. The left edge also stands for no false accept."
    )
    return part("errors", "Which errors, at which threshold", lead, tag("div", *cards, class_="grid wide"))


def _errors(benchmark: str, scores: Mapping[str, BenchmarkScore], curves: Mapping[str, RocCurve]) -> Html:
    children = [tag("figcaption", tag("b", benchmark), " ROC curves" if curves else "")]
    areas = {row: f"AUC {area(score.auc)}" for row, score in scores.items() if score.auc is not None}
    if curves:
        said = "; ".join(f"{row} {areas[row]}" if row in areas else row for row in curves)
        children.append(roc_chart(curves, f"ROC curves on {benchmark}: {said}"))
        children.append(key({row: areas.get(row, "") for row in curves}))
    if scores:
        children.append(_scores(benchmark, scores))
    if curves:
        exponents = range(lowest_decade(curves.values()), 0)
        header = ["Model", *(f"FAR {far_text(10.0**exponent)}" for exponent in exponents)]
        lines = [[row, *(percent(tar_at(curve, 10.0**one)) for one in exponents)] for row, curve in curves.items()]
        numbers = table(f"TAR of the curves on {benchmark}", header, lines)
        children.append(tag("details", tag("summary", "Numbers of the curves"), numbers, class_="small quiet"))
    return tag("figure", *children, class_="card")


def _scores(benchmark: str, scores: Mapping[str, BenchmarkScore]) -> Html:
    fars = sorted({one.far for score in scores.values() for one in score.tar}, reverse=True)
    lines, unresolved = [], False
    for row, score in scores.items():
        cells = [or_dash(score.auc, area)]
        for far in fars:
            found = next((one for one in score.tar if one.far == far), None)
            if found is None:
                cells.append(or_dash(None, percent))
            elif found.resolved:
                cells.append(percent(found.tar))
            else:
                unresolved = True
                cells.append(join(percent(found.tar), tag("small", "at FAR 0")))
        lines.append([row, *cells])
    caption = f"Area under the curve, and TAR at a FAR of so much, on {benchmark}"
    drawn = table(caption, ["Model", "AUC", *(f"TAR at {far_text(far)}" for far in fars)], lines)
    if not unresolved:
        return drawn
    note = "At FAR 0: there are too few different pairs for this FAR, a single false accept is above it."
    return join(drawn, tag("p", note, class_="quiet"))


def kept_part(kept: Mapping[str, Curve]) -> Part:
    """Accuracy when only the strongest concepts count."""
    named = ", ".join(kept)
    counts = sorted({count for curve in kept.values() for count, _ in curve})
    values = [dict(curve) for curve in kept.values()]
    header = ["Concepts kept", *kept]
    lines = [[f"{count:,}", *(or_dash(one.get(count), percent) for one in values)] for count in counts]
    numbers = table("Accuracy by concepts kept", header, lines)
    figure = tag(
        "figure",
        kept_chart(_sorted(kept), "accuracy", f"Accuracy over the number of concepts kept: {named}"),
        key({name: "" for name in kept}),
        tag("details", tag("summary", "Numbers"), numbers, class_="small quiet"),
        class_="card",
    )
    lead = (
        "Accuracy when only the strongest concepts of a pair count and the others are left out. If few are enough, "
        "the concepts on the cards tell most of the story; if a random control does as well, the words tell little."
    )
    return part("kept", "How many concepts does it take?", lead, tag("div", figure, class_="grid wide"))


def _sorted(kept: Mapping[str, Curve]) -> dict[str, Points]:
    return {name: sorted((float(count), value) for count, value in curve) for name, curve in kept.items()}


def _best_bold(values: Sequence[float | None]) -> list[str]:
    best = max((value for value in values if value is not None), default=None)
    return [
        or_dash(value, lambda one: tag("strong", percent(one)) if one == best else percent(one)) for value in values
    ]
