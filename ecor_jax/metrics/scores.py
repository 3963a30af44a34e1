"""Classification scores as stored in results.json: metrics, calibration error, and intervals over patients."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import RESAMPLES, Interval, bootstrap_intervals
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.classification import FIGURES, Gold, calibration_pairs, figures, resampled, two_classes


@dataclasses.dataclass(frozen=True)
class ClassificationScores:
    """Scores of `count` examples of `patients` patients, with 95 % intervals (`bootstrap.bootstrap_intervals`).

    auroc, average_precision: None if a class (for a label: present or absent) is missing. An interval is None if its
      metric is None or defined in too few resamples, or if there are no patients. positives: number of examples with
      the label; None for more than two classes and for means over labels. calibration_error: of `calibration_pairs` in
      ten bins. It has no interval, because noise within the bins increases it in resamples, so that the interval might
      not contain the value.
    """

    average: str
    accuracy: float
    accuracy_interval: Interval | None
    precision: float
    precision_interval: Interval | None
    recall: float
    recall_interval: Interval | None
    f1: float
    f1_interval: Interval | None
    auroc: float | None
    auroc_interval: Interval | None
    average_precision: float | None
    average_precision_interval: Interval | None
    brier: float
    brier_interval: Interval | None
    calibration_error: float
    count: int
    positives: int | None
    patients: int | None

    def as_results(self) -> dict[str, Any]:
        """Returns the fields for results.json, intervals as [low, high]; if `patients` is None, without it and them."""
        return {
            name: list(value) if isinstance(value, Interval) else value
            for name, value in dataclasses.asdict(self).items()
            if self.patients is not None or not name.endswith(("_interval", "patients"))
        }


@dataclasses.dataclass(frozen=True)
class LabelScores:
    """Scores of each label, and their means over the labels.

    The mean AUROC is over the labels that have one. `macro.count` and `macro.patients` count the examples, and their
    patients, for which at least one label is known.
    """

    macro: ClassificationScores
    labels: dict[str, ClassificationScores]

    def as_results(self) -> dict[str, Any]:
        """Returns the fields for results.json: the means, and the scores of each label under "findings"."""
        return self.macro.as_results() | {"findings": {name: own.as_results() for name, own in self.labels.items()}}


def score_classes(
    probabilities: Float[np.ndarray, "N C"],
    gold: Int[np.ndarray, "N"],
    patients: Sequence[str] | None,
    average: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ClassificationScores:
    """Scores single-label classification: example n has class gold[n] and belongs to patients[n].

    Raises UserError under the same conditions as `classification.figures`.
    """
    scores = _scores(probabilities, gold, patients, average, resamples, seed)
    return ClassificationScores(
        **scores,
        calibration_error=expected_calibration_error(reliability(*calibration_pairs(probabilities, gold))),
        positives=int((gold == 1).sum()) if probabilities.shape[1] == 2 else None,
    )


def score_labels(
    probabilities: Float[np.ndarray, "N F"],
    gold: Float[np.ndarray, "N F"],
    patients: Sequence[str] | None,
    labels: Sequence[str],
    average: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LabelScores:
    """Scores multi-label classification; gold is 1, 0 or NaN (unknown, and not evaluated).

    A label is scored as two classes, absent and present, over the examples for which it is known; average "binary"
    gives the usual precision, recall and F1 of a label. Raises UserError as `score_classes` does, and if a label is
    known for no example.
    """
    known: np.ndarray = ~np.isnan(gold)
    scores = {}
    for column, label in enumerate(labels):
        if not known[:, column].any():
            raise UserError(f"finding {label!r}: its label is known of none of {len(gold)} studies; leave it out")
        classes = two_classes(probabilities[:, column], gold[:, column])
        own_patients = _chosen(patients, known[:, column])
        scores[label] = score_classes(*classes, own_patients, average, resamples=resamples, seed=seed)
    told = np.any(known, axis=1)
    means = _scores(probabilities[told], gold[told], _chosen(patients, told), average, resamples, seed)
    error = float(np.mean([own.calibration_error for own in scores.values()]))
    return LabelScores(ClassificationScores(**means, calibration_error=error, positives=None), scores)


def _chosen(patients: Sequence[str] | None, mask: np.ndarray) -> list[str] | None:
    return None if patients is None else [patients[place] for place in np.flatnonzero(mask).tolist()]


def _scores(
    probabilities: np.ndarray, gold: Gold, patients: Sequence[str] | None, average: str, resamples: int, seed: int
) -> dict[str, Any]:
    """Returns the fields of ClassificationScores that are common to single-label and multi-label classification."""
    intervals: Sequence[Interval | None] = [None] * len(FIGURES)
    values = figures(probabilities, gold, average)
    if patients is not None:
        statistic = resampled(probabilities, gold, average)
        intervals = bootstrap_intervals(statistic, patients, resamples=resamples, seed=seed)
    return {
        "average": average,
        "count": len(gold),
        "patients": None if patients is None else len(set(patients)),
        **{name: None if math.isnan(value) else value for name, value in values.items()},
        **{f"{name}_interval": interval for name, interval in zip(FIGURES, intervals, strict=True)},
    }
