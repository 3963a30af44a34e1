"""Scores of classification as results.json has them: figures, calibration, and intervals over patients."""

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
    """Scores of `count` examples of `patients` patients; intervals hold 95 % (`bootstrap.bootstrap_intervals`).

    auroc, average_precision: None where a class (of a label: present or absent) is missing. An interval is None where
    its figure is, where too few resamples have one, and where there are no patients. positives: examples that have
    the label; None of more than two classes and of means over labels. calibration_error: of `calibration_pairs` in ten
    bins; it has no interval, since noise within the bins makes that of a resample larger, and the interval might not
    hold the figure.
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
        """As results.json has them; an interval is [low, high]. Without patients they and their number are left out."""
        return {
            name: list(value) if isinstance(value, Interval) else value
            for name, value in dataclasses.asdict(self).items()
            if self.patients is not None or not name.endswith(("_interval", "patients"))
        }


@dataclasses.dataclass(frozen=True)
class LabelScores:
    """Scores of each label, and their plain means over the labels.

    The mean AUROC is that of the labels that have one. `macro.count` and `macro.patients` are those of the examples
    of which at least one label is known.
    """

    macro: ClassificationScores
    labels: dict[str, ClassificationScores]

    def as_results(self) -> dict[str, Any]:
        """As results.json has them: the means, and the labels' own scores under "findings"."""
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
    """Scores for classes that exclude each other: example n has the class gold[n] and is of patients[n].

    Raises UserError as `classification.figures` does.
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
    """Scores of labels that may hold together; gold is 1, 0 or NaN: not known, and then not evaluated.

    A label is scored as two classes, absent and present, over the examples of which it is known; "binary" is what
    most mean by a label's precision, recall and F1. Raises UserError as `score_classes` does, and for a label that is
    known of no example.
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
    """The fields of ClassificationScores that both kinds of classification have alike."""
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
