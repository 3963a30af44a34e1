"""Scores of diagnoses: accuracy, precision, recall, F1, AUROC and calibration, with intervals over patients.

The definitions stand in `classification`.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import RESAMPLES, Interval, Statistic, bootstrap_interval, point
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.classification import (
    Statistics,
    calibration_pairs,
    finding_statistics,
    statistics,
    two_classes,
)


@dataclasses.dataclass(frozen=True)
class DiagnosisScores:
    """Scores of `count` studies of `patients` patients; intervals hold 95 % (`bootstrap.bootstrap_interval`).

    auroc: None where a class (of a finding: present or absent) is missing. An interval is None where its figure is, or
    where too few resamples have one. positives: studies that have the finding; None of more than two classes and of
    means over findings. calibration_error: of `calibration_pairs` in ten bins; it has no interval, since noise within
    the bins makes that of a resample larger, and the interval might not hold the figure.
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
    brier: float
    brier_interval: Interval | None
    calibration_error: float
    count: int
    positives: int | None
    patients: int

    def as_results(self) -> dict[str, Any]:
        """As results.json has them; an interval is [low, high]."""
        return {
            name: list(value) if isinstance(value, Interval) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclasses.dataclass(frozen=True)
class FindingScores:
    """Scores of each finding, and their plain means over the findings.

    The mean AUROC is that of the findings that have one. `macro.count` and `macro.patients` are those of the studies
    of which at least one finding is known.
    """

    macro: DiagnosisScores
    findings: dict[str, DiagnosisScores]

    def as_results(self) -> dict[str, Any]:
        """As results.json has them: the means, and the findings' own scores under "findings"."""
        return self.macro.as_results() | {"findings": {name: one.as_results() for name, one in self.findings.items()}}


def score_classes(
    probabilities: Float[np.ndarray, "N C"],
    gold: Int[np.ndarray, "N"],
    patients: Sequence[str],
    average: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> DiagnosisScores:
    """Scores of diagnoses that exclude each other: study n has the class gold[n] and is of patients[n].

    AUROC of two classes is that of the last one; of more, each class against the others, averaged as `average` says
    (scikit-learn, roc_auc_score with multi_class="ovr"). Raises UserError for an unknown average, "binary" of more
    than two classes, no study, probabilities that are none, and gold that is no class.
    """
    return _scored(
        statistics(probabilities, gold, average),
        average,
        expected_calibration_error(reliability(*calibration_pairs(probabilities, gold))),
        int((gold == 1).sum()) if probabilities.shape[1] == 2 else None,
        patients,
        resamples,
        seed,
    )


def score_findings(
    probabilities: Float[np.ndarray, "N F"],
    gold: Float[np.ndarray, "N F"],
    patients: Sequence[str],
    findings: Sequence[str],
    average: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FindingScores:
    """Scores of findings that may be present together; gold is 1, 0 or NaN: not known, and then not judged.

    A finding is scored as two classes, absent and present, over the studies of which it is known; "binary" is what
    most mean by a finding's precision, recall and F1. Raises UserError as `score_classes` does, and for a finding that
    is known of no study.
    """
    scores = {}
    for finding, probability, labels in zip(findings, probabilities.T, gold.T, strict=True):
        known = np.flatnonzero(~np.isnan(labels)).tolist()
        if not len(known):
            raise UserError(f"finding {finding!r}: its label is known of none of {len(gold)} studies; leave it out")
        scores[finding] = score_classes(
            *two_classes(probability[known], labels[known]),
            [patients[row] for row in known],
            average,
            resamples=resamples,
            seed=seed,
        )
    rows = np.flatnonzero(~np.isnan(gold).all(axis=1)).tolist()
    macro = _scored(
        finding_statistics(probabilities[rows], gold[rows], average),
        average,
        float(np.mean([one.calibration_error for one in scores.values()])),
        None,
        [patients[row] for row in rows],
        resamples,
        seed,
    )
    return FindingScores(macro, scores)


def _scored(
    figures: Statistics,
    average: str,
    calibration_error: float,
    positives: int | None,
    patients: Sequence[str],
    resamples: int,
    seed: int,
) -> DiagnosisScores:
    def value(figure: Statistic) -> float:
        return point(figure, len(patients))

    def interval(figure: Statistic) -> Interval | None:
        return bootstrap_interval(figure, patients, resamples=resamples, seed=seed)

    area = value(figures.auroc)
    return DiagnosisScores(
        average=average,
        accuracy=value(figures.accuracy),
        accuracy_interval=interval(figures.accuracy),
        precision=value(figures.precision),
        precision_interval=interval(figures.precision),
        recall=value(figures.recall),
        recall_interval=interval(figures.recall),
        f1=value(figures.f1),
        f1_interval=interval(figures.f1),
        auroc=None if math.isnan(area) else area,
        auroc_interval=interval(figures.auroc),
        brier=value(figures.brier),
        brier_interval=interval(figures.brier),
        calibration_error=calibration_error,
        count=len(patients),
        positives=positives,
        patients=len(set(patients)),
    )
