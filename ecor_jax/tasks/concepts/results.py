"""Computes the results of the concepts task: scores, differences of methods, agreement of explanations with reports."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ecor_jax.bottleneck.head import CONCEPTS_KEPT, Bottleneck
from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import Statistic, Weights, bootstrap_intervals, ratios
from ecor_jax.metrics.classification import FIGURES, Gold, figures, resampled
from ecor_jax.metrics.scores import ClassificationScores, LabelScores, score_classes, score_labels
from ecor_jax.radiology.reports.descriptor_sets import alike, equal, set_agreement
from ecor_jax.radiology.reports.text_overlap import text_overlap
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.heads import Head, linear, outputs, probabilities
from ecor_jax.tasks.concepts.options import ConceptsOptions

CONTROL = "random_descriptors"
"""The method that `_kept` is computed for besides the first one, because its descriptors have no meaning."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The head of a method, its predictions for the test pictures, and its scores.

    cosines, typical (their means over the training pictures): None for a head without a bottleneck. measures: what each
    test picture, or each of the first ones, contributes to the measures of `evaluation.measures`, by name.
    """

    head: Head
    probabilities: Float[np.ndarray, "N classes"]
    cosines: Float[np.ndarray, "N concepts"] | None
    typical: Float[np.ndarray, "concepts"] | None
    scores: ClassificationScores | LabelScores
    measures: Mapping[str, Float[np.ndarray, "N"]] = dataclasses.field(default_factory=dict)

    @property
    def main(self) -> ClassificationScores:
        """The scores of the classes, or the means over labels."""
        return self.scores.macro if isinstance(self.scores, LabelScores) else self.scores


def evaluated(
    head: Head,
    features: Float[np.ndarray, "N embed"],
    typical: Float[np.ndarray, "concepts"] | None,
    split: Split,
    data: ConceptsDataset,
    config: ConceptsOptions,
) -> Evaluation:
    """Evaluates a head on the features of a split's pictures."""
    said = outputs(head, features)
    shares = probabilities(said.logits, data.exclusive)
    options, average = _bootstrap(config), average_of(data, config)
    if data.exclusive:
        gold = np.argmax(split.targets, axis=1)
        scores = score_classes(shares, gold, split.patients, average, **options)
    else:
        scores = score_labels(shares, split.targets, split.patients, data.classes, average, **options)
    return Evaluation(head, shares, said.cosines, typical, scores)


def average_of(data: ConceptsDataset, config: ConceptsOptions) -> str:
    """Returns the kind of average of precision, recall and F1. Raises UserError for 'binary' of over two classes."""
    average = config.evaluation.average
    if average == "auto":
        return "macro" if data.exclusive and len(data.classes) > 2 else "binary"
    if average == "binary" and data.exclusive and len(data.classes) > 2:
        raise UserError(f"evaluation.average is 'binary' of {len(data.classes)} classes; expected weighted or macro")
    return average


def results_of(rows: Mapping[str, Evaluation], data: ConceptsDataset, config: ConceptsOptions) -> dict[str, Any]:
    """Returns the content of results.json: scores, AUROC differences, agreement of explanations.

    "kept": scores of the first method and of CONTROL, if they are bottlenecks, by number of concepts kept.
    """
    first, main = next(iter(rows.items()))
    results: dict[str, Any] = {
        "dataset": config.data.name,
        "seed": config.seed,
        "findings": list(data.classes),
        "studies": {name: _counts(split, data.classes) for name, split in (("train", data.train), ("test", data.test))},
        "left_out": data.tally.lines,
        "methods": {name: row.scores.as_results() | _means(row.measures) for name, row in rows.items()},
        "auroc_differences": _differences(rows, data, config),
    }
    if main.cosines is not None:
        results["explanations"] = _explanations(main, data, config)
    kept = {name: row for name, row in rows.items() if name in (first, CONTROL) and row.cosines is not None}
    if kept:
        results["kept"] = {name: _kept(row, data, config) for name, row in kept.items()}
    return results


def _means(measures: Mapping[str, Float[np.ndarray, "N"]]) -> dict[str, Any]:
    """Returns the means, nested by the parts of their names: {"sparsity": {"ncc": 4.2}}."""
    nested: dict[str, Any] = {}
    for name, values in measures.items():
        measure, _, key = name.partition(".")
        nested.setdefault(measure, {})[key] = float(np.mean(values))
    return nested


def _counts(split: Split, classes: Sequence[str]) -> dict[str, Any]:
    positives = zip(classes, np.nansum(split.targets, axis=0).astype(int).tolist(), strict=True)
    patients = {} if split.patients is None else {"patients": len(set(split.patients))}
    return {"count": len(split.pictures)} | patients | {"positive": dict(positives)}


def _differences(rows: Mapping[str, Evaluation], data: ConceptsDataset, config: ConceptsOptions) -> dict[str, Any]:
    """Computes the AUROC of the first method minus that of each other one; None if either is undefined.

    Both AUROCs are computed on the same resamples, so that the difficulty of a resample affects both.
    """
    (first, main), *others = rows.items()
    gold, average = _gold(data), average_of(data, config)
    statistics = [resampled(row.probabilities, gold, average) for row in rows.values()]

    def ahead(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
        aurocs = np.stack([statistic(weights)[FIGURES.index("auroc")] for statistic in statistics])
        return aurocs[0] - aurocs[1:]

    intervals = _intervals(ahead, data.test.patients, config, len(others))
    differences: dict[str, Any] = {}
    for (name, other), interval in zip(others, intervals, strict=True):
        values = [row.main.auroc for row in (main, other) if row.main.auroc is not None]
        value = values[0] - values[1] if len(values) == 2 else None
        told = {"value": value} if data.test.patients is None else {"value": value, "interval": interval}
        differences[f"{first} - {name}"] = None if value is None else told
    return differences


def _explanations(row: Evaluation, data: ConceptsDataset, config: ConceptsOptions) -> dict[str, Any]:
    """Compares the model's reasons for each test study with the descriptors of its report or labels.

    Studies without such descriptors are omitted ("without_report"); scores are means over the others ("studies").
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
    named = reasons(row, data, config.evaluation.explained)
    predicted, held = ([texts[study] for study in told] for texts in (named, test.phrases))
    patients = None if test.patients is None else [test.patients[study] for study in told]
    if patients is not None:  # the text metrics are those of papers on radiology
        overlaps = text_overlap(predicted, held)
        means = ratios(np.array([overlap.each for overlap in overlaps]), np.ones(1))
        results["text"] = {
            overlap.name: {"value": overlap.value, "interval": interval, "implementation": overlap.implementation}
            for overlap, interval in zip(overlaps, _intervals(means, patients, config, len(overlaps)), strict=True)
        }
    results["sets"] = {
        match.__name__: set_agreement(predicted, held, match).as_results(patients, **options)
        for match in (equal, alike)
    }
    return results


def reasons(row: Evaluation, data: ConceptsDataset, most: int) -> list[list[str]]:
    """Returns the descriptors that are the model's reasons for its answer to each test picture, the strongest first.

    A descriptor's contribution is its weight times (cosine - typical cosine), as on the page. For classes, the weight
    is the difference of the most probable class and the next. For labels, contributions are summed over the predicted
    labels; if none is predicted, over all labels, negated. The reasons are the `most` largest positive contributions of
    seen descriptors, whose cosine exceeds the typical one. The model does not state that an unseen descriptor is
    present, even if its absence supports the answer.
    """
    assert isinstance(row.head, Bottleneck) and row.cosines is not None and row.typical is not None
    weight = np.asarray(row.head.aggregation.kernel[...])
    excess = (row.cosines - row.typical).astype(np.float64)
    if data.exclusive:
        best, rival = np.argsort(-row.probabilities, axis=1, kind="stable")[:, :2].T
        direction = np.eye(len(data.classes))[best] - np.eye(len(data.classes))[rival]
    else:
        predicted = row.probabilities > 0.5
        direction = np.where(predicted.any(axis=1, keepdims=True), predicted, -1.0)
    contributions = excess * (direction @ weight.T)
    strength = np.where(excess > 0, contributions, 0.0)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :most]
    phrases = data.descriptors.phrases
    return [
        [phrases[concept] for concept in picture if own[concept] > 0]
        for picture, own in zip(order, strength, strict=True)
    ]


def _kept(row: Evaluation, data: ConceptsDataset, config: ConceptsOptions) -> dict[str, Any]:
    """Computes accuracy and AUROC with only the n largest weights of every answer (NEC, Srivastava et al. 2024).

    A removed concept has its typical cosine in all pictures, and so contributes the same to all of them.
    """
    assert isinstance(row.head, Bottleneck) and row.cosines is not None and row.typical is not None
    end, patients = linear(row.head, data.classes, data.exclusive), data.test.patients
    order = np.argsort(-np.abs(end.weight), axis=0, kind="stable")
    base, gold, average = end.bias + row.typical @ end.weight, _gold(data), average_of(data, config)
    kept = {}
    for count in (*(n for n in CONCEPTS_KEPT if n < len(order)), len(order)):
        weight = np.zeros_like(end.weight)
        np.put_along_axis(weight, order[:count], np.take_along_axis(end.weight, order[:count], axis=0), axis=0)
        logits = (base + (row.cosines - row.typical) @ weight).astype(np.float64)
        if data.exclusive and len(data.classes) > 2:
            shares = probabilities(logits, exclusive=True)
        else:
            shares = 1 / (1 + np.exp(-logits))
            shares = np.concatenate([1 - shares, shares], axis=1) if data.exclusive else shares
        values = figures(shares, gold, average)
        kept[str(count)] = {name: None if np.isnan(values[name]) else values[name] for name in ("accuracy", "auroc")}
        if patients is not None:
            intervals = _intervals(resampled(shares, gold, average), patients, config, len(FIGURES))
            named = dict(zip(FIGURES, intervals, strict=True))
            kept[str(count)] |= {f"{name}_interval": named[name] for name in ("accuracy", "auroc")}
    return kept


def _gold(data: ConceptsDataset) -> Gold:
    """Returns the gold labels of the test pictures, in the form that `figures` expects."""
    return np.argmax(data.test.targets, axis=1) if data.exclusive else data.test.targets


def _intervals(
    statistic: Statistic, patients: Sequence[str] | None, config: ConceptsOptions, count: int
) -> list[list[float] | None]:
    """Computes `count` intervals as [low, high]; None without patients."""
    if patients is None or not count:
        return [None] * count
    intervals = bootstrap_intervals(statistic, patients, **_bootstrap(config))
    return [interval and list(interval) for interval in intervals]


def _bootstrap(config: ConceptsOptions) -> dict[str, int]:
    return {"resamples": config.evaluation.resamples, "seed": config.seed}


def table(rows: Mapping[str, Evaluation]) -> str:
    """Returns the metrics of all methods as text for a terminal, in per cent with 95 % intervals."""
    lines = [f"{'':28}{'accuracy':>20}{'F1':>20}{'AUROC':>20}"]
    for name, row in rows.items():
        cells = (_written(row.main, figure) for figure in ("accuracy", "f1", "auroc"))
        lines.append(f"{name:28}" + "".join(f"{cell:>20}" for cell in cells))
    first = next(iter(rows.values())).main
    if first.patients is None:
        return "\n".join([*lines, f"{first.count} pictures"])
    counts = f"{first.count} studies of {first.patients} patients; research software, no medical device"
    return "\n".join([*lines, f"in brackets 95 % intervals; {counts}"])


def _written(scores: ClassificationScores, figure: str) -> str:
    """Formats a share in per cent: 0.8125 with an interval from .75 to .9 is `81.2 (75.0-90.0)`."""
    value, interval = getattr(scores, figure), getattr(scores, f"{figure}_interval")
    if value is None:
        return "-"
    told = "" if interval is None else f" ({100 * interval.low:.1f}-{100 * interval.high:.1f})"
    return f"{100 * value:.1f}{told}"
