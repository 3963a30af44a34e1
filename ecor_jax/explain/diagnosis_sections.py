"""The parts of a diagnosis report: scores, error curves, calibration, concepts kept, overlap of texts."""

from collections.abc import Callable, Mapping, Sequence

from ecor_jax.explain.charts import reliability_chart
from ecor_jax.explain.curve_charts import Points, far_text, kept_chart, key, tar_at
from ecor_jax.explain.diagnosis_charts import auroc_kept_chart, interval_bar, rates_chart
from ecor_jax.explain.diagnosis_numbers import area, known, or_dash, with_interval
from ecor_jax.explain.diagnosis_records import DiagnosisRow, DiagnosisScore
from ecor_jax.explain.formatting import percent
from ecor_jax.explain.html import Html, join, table, tag
from ecor_jax.explain.records import Curve, Reliability
from ecor_jax.explain.sections import Part, part
from ecor_jax.explain.verification_records import RocCurve

RATES = (0.05, 0.1, 0.2, 0.5)
"""The false positive rates at which the numbers of an ROC curve are given."""


def finding_names(rows: Sequence[DiagnosisRow]) -> list[str]:
    """All findings, in the order in which the rows first name them."""
    return list(dict.fromkeys(name for row in rows for name in row.findings))


def scores_part(rows: Sequence[DiagnosisRow]) -> Part:
    """Of each finding the AUROC of every method with its interval, and a table of all scores.

    Of several findings there is a table of their AUROCs first, and each unfolds.
    """
    findings = finding_names(rows)
    scores = {name: {row.name: row.findings[name] for row in rows if name in row.findings} for name in findings}
    lead = (
        "AUROC is the chance that a study with the finding gets a higher probability than one without: guessing has "
        "0.5, the mark in the middle. Ranges are 95% intervals; where those of two methods overlap widely, the studies "
        "do not tell which is better."
    )
    if len(findings) == 1:
        (name,) = findings
        drawn = tag("div", *_scores(name, scores[name]), class_="card")
        return part("scores", f"How well {name} is told", lead, drawn)
    folded = (tag("details", tag("summary", name), *_scores(name, scores[name]), class_="card") for name in findings)
    cards = tag("div", tag("div", _areas(rows, scores), class_="card"), *folded, class_="cards")
    return part("scores", "How well each finding is told", lead, cards)


def _scores(finding: str, scores: Mapping[str, DiagnosisScore]) -> list[Html]:
    bars, lines = [], []
    for method, score in scores.items():
        auroc = known(score.auroc)
        if auroc is not None:
            named = tag("div", tag("p", method, class_="name"), tag("p", area(auroc), class_="score"))
            bars.append(tag("div", named, interval_bar(auroc, score.auroc_interval), class_="row"))
        count = f"{score.count:,}"
        if score.positives is not None:
            count = join(count, tag("small", f" {score.positives:,} with it"))
        lines.append([
            method,
            with_interval(score.accuracy, score.accuracy_interval, percent),
            or_dash(score.precision, percent),
            or_dash(score.recall, percent),
            with_interval(score.f1, score.f1_interval, percent),
            with_interval(score.auroc, score.auroc_interval, area),
            count,
        ])  # fmt: skip
    header = ["Method", "Accuracy", "Precision", "Recall", "F1", "AUROC", "Studies"]
    return [tag("div", *bars, class_="bars"), table(f"Scores of the methods on {finding}", header, lines)]


def _areas(rows: Sequence[DiagnosisRow], scores: Mapping[str, Mapping[str, DiagnosisScore]]) -> Html:
    methods = [row.name for row in rows]
    lines = []
    for finding, by_method in scores.items():
        found = [by_method.get(method) for method in methods]
        cells = [
            or_dash(None, area) if one is None else with_interval(one.auroc, one.auroc_interval, area) for one in found
        ]
        lines.append([finding, *cells])
    return table("AUROC by finding", ["Finding", *methods], lines)


def errors_part(rows: Sequence[DiagnosisRow], roc: Mapping[str, Mapping[str, RocCurve]]) -> Part:
    """The ROC curves of each finding, and their numbers at a few false positive rates."""
    areas = {(name, row.name): score.auroc for row in rows for name, score in row.findings.items()}
    figures = []
    for finding, curves in roc.items():
        notes = {name: _area_note(areas.get((finding, name))) for name in curves}
        said = "; ".join(f"{name} {note}".strip() for name, note in notes.items())
        header = ["Method", *(f"at {far_text(rate)}" for rate in RATES)]
        lines = [[name, *(percent(tar_at(curve, rate)) for rate in RATES)] for name, curve in curves.items()]
        numbers = table(f"Sensitivity on {finding}, at a false positive rate of at most so much", header, lines)
        figure = (
            tag("figcaption", tag("b", finding), " ROC curves"),
            rates_chart(curves, f"ROC curves on {finding}: {said}"),
            key(notes),
            tag("details", tag("summary", "Numbers of the curves"), numbers, class_="small quiet"),
        )
        figures.append(tag("figure", *figure, class_="card"))
    lead = (
        "A lower threshold finds more of the studies with the finding (sensitivity), and more of those without it "
        "(false positives)."
    )
    return part("errors", "Which errors, at which threshold", lead, tag("div", *figures, class_="grid wide"))


def _area_note(auroc: float | None) -> str:
    found = known(auroc)
    return "" if found is None else f"AUROC {area(found)}"


def calibration_part(calibration: Mapping[str, Reliability]) -> Part:
    """A reliability diagram for each entry, with its numbers."""
    figures = []
    for name, found in calibration.items():
        ece = f"ECE {percent(found.ece)}"
        rows = [[percent(one.confidence), percent(one.accuracy), f"{one.count:,}"] for one in found.bins if one.count]
        numbers = table(f"Reliability of {name}", ["Confidence", "Right", "Studies"], rows)
        figure = (
            tag("figcaption", tag("b", name), f" {ece}"),
            reliability_chart(found.bins, f"{name}: {ece}"),
            tag("details", tag("summary", "Numbers"), numbers, class_="small quiet"),
        )
        figures.append(tag("figure", *figure, class_="card"))
    lead = (
        "On the dashed line a confidence of 70% is right 70% of the time; below it a method is too sure of itself. "
        "Larger dots stand for more studies. ECE is the expected calibration error: 0% is perfect."
    )
    return part("calibration", "Can the probabilities be trusted?", lead, tag("div", *figures, class_="grid"))


def kept_part(accuracy: Mapping[str, Curve], auroc: Mapping[str, Curve]) -> Part:
    """Accuracy and AUROC when only the strongest concepts count, as `charts.drawable` leaves the curves."""
    figures = []
    if accuracy:
        figures.append(_kept("Accuracy", accuracy, kept_chart, percent))
    if auroc:
        figures.append(_kept("AUROC", auroc, auroc_kept_chart, area))
    lead = (
        "How well it goes when only the strongest concepts count and the others are left out. If few are enough, the "
        "descriptors on the cards tell most of the story; if a random control does as well, the words tell little."
    )
    return part("kept", "How many concepts does it take?", lead, tag("div", *figures, class_="grid wide"))


def _kept(
    what: str,
    curves: Mapping[str, Curve],
    chart: Callable[[Mapping[str, Points], str], Html],
    write: Callable[[float], str],
) -> Html:
    points = {name: sorted((float(count), value) for count, value in curve) for name, curve in curves.items()}
    counts = sorted({count for curve in curves.values() for count, _ in curve})
    values = [dict(curve) for curve in curves.values()]
    lines = [[f"{count:,}", *(or_dash(one.get(count), write) for one in values)] for count in counts]
    numbers = table(f"{what} by concepts kept", ["Concepts kept", *curves], lines)
    return tag(
        "figure",
        tag("figcaption", tag("b", what)),
        chart(points, f"{what} over the number of concepts kept: {', '.join(curves)}"),
        key({name: "" for name in curves}),
        tag("details", tag("summary", "Numbers"), numbers, class_="small quiet"),
        class_="card",
    )


def overlap_part(overlap: Mapping[str, float]) -> Part:
    """How far the descriptors that carried a diagnosis are those of the report."""
    lines = [[name, or_dash(value, "{:.3f}".format)] for name, value in overlap.items()]
    numbers = table("Overlap of the explanations with the reports", ["Measure", "Value"], lines)
    lead = (
        "The descriptors that carried the diagnoses, compared with those of the reports: 0 is nothing in common, 1 the "
        "same. ROUGE and METEOR also count the order of the words, precision and recall of sets do not."
    )
    return part("overlap", "Do the explanations say what the reports say?", lead, tag("div", numbers, class_="card"))
