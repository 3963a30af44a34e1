"""The parts of a diagnosis report: scores, error curves, calibration, concepts kept."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ecor_jax.explain.charts import reliability_chart
from ecor_jax.explain.curve_charts import Points, far_text, kept_chart, key, tar_at
from ecor_jax.explain.diagnosis_charts import interval_bar, rates_chart
from ecor_jax.explain.diagnosis_records import DiagnosisRow, DiagnosisScore, Figure
from ecor_jax.explain.formatting import percent
from ecor_jax.explain.html import Html, join, table, tag
from ecor_jax.explain.pair_numbers import signed
from ecor_jax.explain.records import Reliability
from ecor_jax.explain.score_numbers import area, known, or_dash, with_interval
from ecor_jax.explain.sections import Part, part
from ecor_jax.explain.verification_records import RocCurve

RATES = (0.05, 0.1, 0.2, 0.5)
"""The false positive rates at which the numbers of an ROC curve are given."""


AVERAGES = {
    "binary": "of the finding itself",
    "macro": "the plain mean of those of its presence and its absence",
    "weighted": "the mean of those of its presence and its absence, by how many studies each has",
}


def finding_names(rows: Sequence[DiagnosisRow]) -> list[str]:
    """All findings, in the order in which the rows first name them."""
    return list(dict.fromkeys(name for row in rows for name in row.findings))


def scores_part(rows: Sequence[DiagnosisRow], average: str, differences: Mapping[str, Figure]) -> Part:
    """Of each finding the AUROC of every method with its interval, a table of all scores, and how far methods differ.

    Of several findings there is a table of their AUROCs first, and each unfolds.
    """
    findings = finding_names(rows)
    scores = {name: {row.name: row.findings[name] for row in rows if name in row.findings} for name in findings}
    lead = (
        "AUROC is the chance that a study with the finding gets a higher probability than one without: guessing has "
        "0.5, the mark in the middle. Brier is the mean squared error of the probabilities: 0 is perfect. Ranges are "
        "95% intervals over the test patients. Whether one method is better than another their ranges do not tell, "
        "since all are judged on the same patients: the differences do."
    )
    said = f"Precision, recall and F1 ({average}): {AVERAGES[average]}." if average in AVERAGES else ""
    compared = [_differences(differences, len(findings) > 1)] if differences else []
    if len(findings) == 1:
        (name,) = findings
        drawn = tag("div", *_scores(name, scores[name], said), class_="card")
        return part("scores", f"How well {name} is told", lead, tag("div", drawn, *compared, class_="cards"))
    folded = (
        tag("details", tag("summary", name), *_scores(name, scores[name], said), class_="card") for name in findings
    )
    cards = tag("div", tag("div", _areas(rows, scores), class_="card"), *compared, *folded, class_="cards")
    return part("scores", "How well each finding is told", lead, cards)


def _differences(differences: Mapping[str, Figure], several: bool) -> Html:
    lines = [
        [name, with_interval(one.value, one.interval, lambda value: signed(value, 3))]
        for name, one in differences.items()
    ]
    caption = "AUROC of one method less that of another" + (", mean over the findings" if several else "")
    drawn = table(caption, ["Methods", "Difference"], lines)
    note = "Both are judged on the same resamples of the patients. A range that holds 0 does not tell which is better."
    return tag("div", drawn, tag("p", note, class_="quiet"), class_="card")


def _scores(finding: str, scores: Mapping[str, DiagnosisScore], said: str) -> list[Html]:
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
            with_interval(score.precision, score.precision_interval, percent),
            with_interval(score.recall, score.recall_interval, percent),
            with_interval(score.f1, score.f1_interval, percent),
            with_interval(score.auroc, score.auroc_interval, area),
            with_interval(score.brier, score.brier_interval, area),
            count,
        ])  # fmt: skip
    header = ["Method", "Accuracy", "Precision", "Recall", "F1", "AUROC", "Brier", "Studies"]
    caption = f"Scores of the methods on {finding}. {said}".strip()
    return [tag("div", *bars, class_="bars"), table(caption, header, lines)]


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


def kept_part(accuracy: Mapping[str, Mapping[int, Figure]], auroc: Mapping[str, Mapping[int, Figure]]) -> Part | None:
    """Accuracy and AUROC when only the strongest concepts count; None where none of them is a number."""
    drawn = (_kept("Accuracy", "accuracy", accuracy, percent), _kept("AUROC", "AUROC", auroc, area))
    figures = [figure for figure in drawn if figure is not None]
    if not figures:
        return None
    lead = (
        "How well it goes when only the strongest concepts count and the others are left out. If few are enough, the "
        "descriptors on the cards tell most of the story; if a random control does as well, the words tell little."
    )
    return part("kept", "How many concepts does it take?", lead, tag("div", *figures, class_="grid wide"))


def _kept(
    title: str,
    what: Literal["accuracy", "AUROC"],
    methods: Mapping[str, Mapping[int, Figure]],
    write: Callable[[float], str],
) -> Html | None:
    found = {
        name: [(float(count), value) for count in sorted(kept) if (value := known(kept[count].value)) is not None]
        for name, kept in methods.items()
    }
    curves: dict[str, Points] = {name: points for name, points in found.items() if points}
    if not curves:
        return None
    none = Figure(None)
    lines = []
    for count in sorted({count for name in curves for count in methods[name]}):
        cells = [methods[name].get(count, none) for name in curves]
        lines.append([f"{count:,}", *(with_interval(one.value, one.interval, write) for one in cells)])
    numbers = table(f"{title} by concepts kept", ["Concepts kept", *curves], lines)
    return tag(
        "figure",
        tag("figcaption", tag("b", title)),
        kept_chart(curves, what, f"{title} over the number of concepts kept: {', '.join(curves)}"),
        key({name: "" for name in curves}),
        tag("details", tag("summary", "Numbers, with 95% intervals"), numbers, class_="small quiet"),
        class_="card",
    )
