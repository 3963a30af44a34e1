"""What a diagnosis run measures: scores, how far methods differ, explanations against labels or reports."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import Findings
from ecor_jax.metrics.bootstrap import Interval, Statistic, Weights, bootstrap_intervals, ratios
from ecor_jax.metrics.classification import FIGURES, Gold, figures, resampled
from ecor_jax.metrics.descriptor_sets import alike, equal, set_agreement
from ecor_jax.metrics.scores import ClassificationScores, LabelScores, score_classes, score_labels
from ecor_jax.metrics.text_overlap import text_overlap
from ecor_jax.tasks.concepts.data import DiagnosisData, Part
from ecor_jax.tasks.concepts.model import BlackBox
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.studies import Linear, answers, linear, probabilities

KEPT = (1, 2, 3, 5, 10, 20, 40, 80)
"""Numbers of concepts whose weights are kept."""
CONTROL = "random_descriptors"
"""The method beside the first one whose concepts are cut as well: what it keeps owes nothing to meaning."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A method: its head, what it says of the test studies, its scores.

    cosines and typical (means over the training studies) are None of a black box.
    """

    head: Bottleneck | BlackBox
    probabilities: Float[np.ndarray, "studies outputs"]
    cosines: Float[np.ndarray, "studies concepts"] | None
    typical: Float[np.ndarray, "concepts"] | None
    scores: ClassificationScores | LabelScores

    @property
    def main(self) -> ClassificationScores:
        """Of the one finding, or the means over several."""
        return self.scores.macro if isinstance(self.scores, LabelScores) else self.scores


def judged(
    head: Bottleneck | BlackBox,
    features: Float[np.ndarray, "studies embed"],
    typical: Float[np.ndarray, "concepts"] | None,
    data: DiagnosisData,
    config: ConceptsOptions,
) -> Row:
    """A head on the features of the test studies."""
    said = answers(head, features)
    single = config.data.single_label
    found = probabilities(said.logits, single)
    return Row(head, found, said.cosines, typical, _scores(found, data, config))


def _scores(found: np.ndarray, data: DiagnosisData, config: ConceptsOptions) -> ClassificationScores | LabelScores:
    test, options = data.test, _bootstrap(config)
    average, patients = config.evaluation.average, test.studies.patients
    if config.data.single_label:
        return score_classes(found, _gold(data, config), patients, average, **options)
    return score_labels(found, test.targets, patients, data.classes, average, **options)


def results_of(rows: Mapping[str, Row], data: DiagnosisData, config: ConceptsOptions) -> dict[str, Any]:
    """results.json: every method's scores, how far the first is ahead of each other one, its explanations.

    "kept": of the first method and of CONTROL, where they are bottlenecks, by number of concepts kept.
    """
    first, main = next(iter(rows.items()))
    results: dict[str, Any] = {
        "dataset": config.data.name,
        "seed": config.seed,
        "findings": list(data.classes),
        "studies": {name: _counts(part, data.classes) for name, part in (("train", data.train), ("test", data.test))},
        "left_out": list(dict.fromkeys((*data.train.studies.left_out, *data.test.studies.left_out))),
        "methods": {name: row.scores.as_results() for name, row in rows.items()},
        "auroc_differences": _differences(rows, data, config),
    }
    if main.cosines is not None:
        results["explanations"] = _explanations(main, data, config)
    kept = {name: row for name, row in rows.items() if name in (first, CONTROL) and row.cosines is not None}
    if kept:
        results["kept"] = {name: _kept(row, data, config) for name, row in kept.items()}
    return results


def _counts(part: Part, classes: Sequence[str]) -> dict[str, Any]:
    positives = zip(classes, np.nansum(part.targets, axis=0).astype(int).tolist(), strict=True)
    return {"count": len(part.studies), "patients": len(set(part.studies.patients)), "positive": dict(positives)}


def _differences(rows: Mapping[str, Row], data: DiagnosisData, config: ConceptsOptions) -> dict[str, Any]:
    """How far the AUROC of the first method is above that of each other one; None where one of them has none.

    Both are of the same resamples: what makes a resample hard is then common to both.
    """
    (first, main), *others = rows.items()
    statistics = [_resampled(row.probabilities, data, config) for row in rows.values()]

    def ahead(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
        aurocs = np.stack([statistic(weights)[FIGURES.index("auroc")] for statistic in statistics])
        return aurocs[0] - aurocs[1:]

    intervals = _intervals(ahead, data.test.studies.patients, config) if others else []
    differences: dict[str, Any] = {}
    for (name, other), interval in zip(others, intervals, strict=True):
        values = [row.main.auroc for row in (main, other) if row.main.auroc is not None]
        value = values[0] - values[1] if len(values) == 2 else None
        differences[f"{first} - {name}"] = None if value is None else {"value": value, "interval": interval}
    return differences


def _explanations(row: Row, data: DiagnosisData, config: ConceptsOptions) -> dict[str, Any]:
    """What the model says of each test study against all that its report, or its labels, say holds of it.

    Studies of which these say nothing are left out ("without_report"); scores are means over the others ("studies").
    """
    test, options = data.test, _bootstrap(config)
    told = [study for study, held in enumerate(test.phrases) if held]
    results: dict[str, Any] = {
        "reference": config.concepts.source,
        "descriptors": config.evaluation.explained,
        "studies": len(told),
        "without_report": len(test.phrases) - len(told),
    }
    if not told:
        return results | {"text": {}, "sets": {}}
    named = reasons(row, data, config.evaluation.explained, config.data.single_label)
    predicted, held = ([texts[study] for study in told] for texts in (named, test.phrases))
    patients = [test.studies.patients[study] for study in told]
    overlaps = text_overlap(predicted, held)
    means = ratios(np.array([overlap.each for overlap in overlaps]), np.ones(1))
    return results | {
        "text": {
            overlap.name: {"value": overlap.value, "interval": interval, "implementation": overlap.implementation}
            for overlap, interval in zip(overlaps, _intervals(means, patients, config), strict=True)
        },
        "sets": {
            match.__name__: set_agreement(predicted, held, match).as_results(patients, **options)
            for match in (equal, alike)
        },
    }


def reasons(row: Row, data: DiagnosisData, most: int, single_label: bool) -> list[list[str]]:
    """Of each test study the descriptors that the model gives as reasons for its answer, the strongest first.

    A descriptor's contribution to a finding is its weight times (cosine less the typical cosine), as on the page. It
    counts for the answer: as it is for a finding that is predicted, with its sign turned where the finding is not. Of
    several findings the contributions to those that are predicted are added up; where none is, the turned ones of
    all. Reasons are the `most` largest positive ones of descriptors that are seen, a cosine above the typical one: of
    a descriptor that is not seen the model does not say that it holds, even where its absence speaks for the answer.
    """
    assert row.cosines is not None and row.typical is not None
    end = _linear(row, data, single_label)
    excess = (row.cosines - row.typical).astype(np.float64)
    predicted = row.probabilities[:, -len(end.findings) :] > 0.5
    direction = np.where(predicted.any(axis=1, keepdims=True), predicted, -1.0)
    contributions = excess * (direction @ end.weight.T)
    strength = np.where(excess > 0, contributions, 0.0)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :most]
    phrases = data.descriptors.phrases
    return [
        [phrases[concept] for concept in study if own[concept] > 0] for study, own in zip(order, strength, strict=True)
    ]


def _kept(row: Row, data: DiagnosisData, config: ConceptsOptions) -> dict[str, Any]:
    """Accuracy and AUROC with the n largest weights of every finding alone (NEC, Srivastava et al. 2024).

    A concept that is cut has its typical cosine everywhere, so what is left is a base all studies share.
    """
    assert row.cosines is not None and row.typical is not None
    end, patients = _linear(row, data, config.data.single_label), data.test.studies.patients
    order = np.argsort(-np.abs(end.weight), axis=0, kind="stable")
    base = end.bias + row.typical @ end.weight
    kept = {}
    for count in (*(n for n in KEPT if n < len(order)), len(order)):
        weight = np.zeros_like(end.weight)
        np.put_along_axis(weight, order[:count], np.take_along_axis(end.weight, order[:count], axis=0), axis=0)
        positive = 1 / (1 + np.exp(-(base + (row.cosines - row.typical) @ weight).astype(np.float64)))
        if config.data.single_label:
            positive = np.concatenate([1 - positive, positive], axis=1)
        values = figures(positive, _gold(data, config), config.evaluation.average)
        intervals = dict(zip(FIGURES, _intervals(_resampled(positive, data, config), patients, config), strict=True))
        kept[str(count)] = {
            "accuracy": values["accuracy"],
            "accuracy_interval": intervals["accuracy"],
            "auroc": None if np.isnan(values["auroc"]) else values["auroc"],
            "auroc_interval": intervals["auroc"],
        }
    return kept


def _linear(row: Row, data: DiagnosisData, single_label: bool) -> Linear:
    assert isinstance(row.head, Bottleneck) and row.typical is not None
    return linear(row.head, Findings(data.classes, single_label, row.typical))


def _gold(data: DiagnosisData, config: ConceptsOptions) -> Gold:
    """Of the test studies, as `figures` takes it."""
    return np.argmax(data.test.targets, axis=1) if config.data.single_label else data.test.targets


def _resampled(
    probabilities: Float[np.ndarray, "studies outputs"], data: DiagnosisData, config: ConceptsOptions
) -> Statistic:
    """The figures of resamples of the test studies."""
    return resampled(probabilities, _gold(data, config), config.evaluation.average)


def _intervals(statistic: Statistic, patients: Sequence[str], config: ConceptsOptions) -> list[list[float] | None]:
    """As results.json has them."""
    intervals = bootstrap_intervals(statistic, patients, **_bootstrap(config))
    return [interval and list(interval) for interval in intervals]


def _bootstrap(config: ConceptsOptions) -> dict[str, int]:
    return {"resamples": config.evaluation.resamples, "seed": config.seed}


def table(rows: Mapping[str, Row]) -> str:
    """All methods for a terminal, in per cent, each figure with its 95 % interval."""
    lines = [f"{'':28}{'accuracy':>20}{'F1':>20}{'AUROC':>20}"]
    for name, row in rows.items():
        scores = row.main
        figures = (
            (scores.accuracy, scores.accuracy_interval),
            (scores.f1, scores.f1_interval),
            (scores.auroc, scores.auroc_interval),
        )
        lines.append(f"{name:28}" + "".join(f"{_written(*one):>20}" for one in figures))
    counts = (
        f"in brackets 95 % intervals; {row.main.count} studies of {row.main.patients} patients; "
        "research software, no medical device"
    )
    return "\n".join([*lines, counts])


def _written(value: float | None, interval: Interval | None) -> str:
    """0.8125 with an interval from .75 to .9 is `81.2 (75.0-90.0)`."""
    if value is None:
        return "-"
    told = "" if interval is None else f" ({100 * interval.low:.1f}-{100 * interval.high:.1f})"
    return f"{100 * value:.1f}{told}"
