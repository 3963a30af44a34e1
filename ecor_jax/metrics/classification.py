"""Figures of classification as functions of a resample of the studies, and calibration.

Definitions are scikit-learn's, with `labels` all C classes and `zero_division=0`: the precision of a class that is
never predicted is 0, and so are the recall of one that no study has and the F1 of one that is neither. The predicted
class is the most probable one (of equals the first, so a finding is called present above a probability of .5).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ecor_jax.errors import UserError
from ecor_jax.metrics.auroc import weighted_auroc
from ecor_jax.metrics.bootstrap import Statistic, Weights, point, ratio

AVERAGES = ("weighted", "macro", "binary")
"""Of precision, recall and F1: mean of the classes by their number of studies; plain mean; the last class alone."""


class Statistics(NamedTuple):
    """The figures of one method as functions of a resample: what `bootstrap.paired_difference` compares.

    brier: mean squared error of the probabilities, summed over classes (Brier 1950); of two classes that of the last
    one. In [0, 1] for two classes and in [0, 2] for more, as scikit-learn's brier_score_loss.
    """

    accuracy: Statistic
    precision: Statistic
    recall: Statistic
    f1: Statistic
    auroc: Statistic
    brier: Statistic


def statistics(probabilities: Float[np.ndarray, "N C"], gold: Int[np.ndarray, "N"], average: str) -> Statistics:
    """The figures of `score_classes`, for any resample of the N studies."""
    _check(probabilities, gold, average)
    classes = np.arange(probabilities.shape[1])
    said = probabilities.argmax(axis=1)[:, None] == classes
    true = gold[:, None] == classes
    right = (said & true).astype(np.float64)
    errors = np.square(probabilities.astype(np.float64) - true)
    ones = np.ones(len(gold))

    def mean(values: Float[np.ndarray, "resamples C"], support: Float[np.ndarray, "resamples C"]) -> np.ndarray:
        if average == "binary":
            averaged = values[:, -1]
        elif average == "macro":
            averaged = values.mean(axis=1)
        else:
            averaged = _ratio((values * support).sum(axis=1), support.sum(axis=1))
        # A resample may hold no study of which this finding is known.
        return np.where(support.sum(axis=1) > 0, averaged, np.nan)

    def precision(weights: Weights) -> np.ndarray:
        return mean(_ratio(weights @ right, weights @ said), weights @ true)

    def recall(weights: Weights) -> np.ndarray:
        return mean(_ratio(weights @ right, weights @ true), weights @ true)

    def f1(weights: Weights) -> np.ndarray:
        return mean(_ratio(2 * weights @ right, weights @ said + weights @ true), weights @ true)

    def auroc(weights: Weights) -> np.ndarray:
        if len(classes) == 2:
            return weighted_auroc(probabilities[:, 1], true[:, 1], weights)
        areas = [weighted_auroc(probabilities[:, c], true[:, c], weights) for c in classes]
        return mean(np.stack(areas, axis=1), weights @ true)

    return Statistics(
        accuracy=ratio(right.sum(axis=1), ones),
        precision=precision,
        recall=recall,
        f1=f1,
        auroc=auroc,
        brier=ratio(errors[:, 1] if len(classes) == 2 else errors.sum(axis=1), ones),
    )


def finding_statistics(
    probabilities: Float[np.ndarray, "N F"], gold: Float[np.ndarray, "N F"], average: str
) -> Statistics:
    """The means over findings of `score_findings`, for any resample of the N studies.

    A finding that has no AUROC for the studies as they are is left out of the mean AUROC; every finding has to be
    known of some study.
    """
    known = [~np.isnan(column) for column in gold.T]
    each = [
        statistics(*two_classes(p[rows], y[rows]), average)
        for p, y, rows in zip(probabilities.T, gold.T, known, strict=True)
    ]

    def mean(figure: Callable[[Statistics], Statistic], which: Sequence[int]) -> Statistic:
        def over_findings(weights: Weights) -> np.ndarray:
            values = [figure(each[f])(weights[:, known[f]]) for f in which]
            return np.mean(values, axis=0) if values else np.full(len(weights), np.nan)

        return over_findings

    every = range(len(each))
    ranked = [f for f in every if not np.isnan(point(each[f].auroc, int(known[f].sum())))]
    return Statistics(
        accuracy=mean(lambda one: one.accuracy, every),
        precision=mean(lambda one: one.precision, every),
        recall=mean(lambda one: one.recall, every),
        f1=mean(lambda one: one.f1, every),
        auroc=mean(lambda one: one.auroc, ranked),
        brier=mean(lambda one: one.brier, every),
    )


def two_classes(probability: Float[np.ndarray, "N"], gold: Float[np.ndarray, "N"]) -> tuple[np.ndarray, np.ndarray]:
    """A finding as the classes absent and present. Raises UserError for a label that is neither."""
    if not np.isin(gold, (0, 1)).all():
        raise UserError(f"labels of a finding are {np.unique(gold).tolist()}; expected 0, 1 or NaN where not known")
    return np.stack([1 - probability, probability], axis=1), gold.astype(int)


def calibration_pairs(
    probabilities: Float[np.ndarray, "N C"], gold: Int[np.ndarray, "N"]
) -> tuple[Float[np.ndarray, "N"], Bool[np.ndarray, "N"]]:
    """What `calibration.reliability` takes: how sure, and whether it came true.

    Of two classes the probability of the last one and whether it is the gold one (a predicted risk); of more, that of
    the most probable class and whether it is right (Guo et al. 2017).
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], gold == 1
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == gold


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where whole is 0 (zero_division=0)."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _check(probabilities: np.ndarray, gold: np.ndarray, average: str) -> None:
    count, classes = probabilities.shape
    if average not in AVERAGES:
        raise UserError(f"evaluation.average is {average!r}; expected one of {', '.join(AVERAGES)}")
    if average == "binary" and classes != 2:
        raise UserError(f"evaluation.average is 'binary' with {classes} classes; expected 'weighted' or 'macro'")
    if not count:
        raise UserError("no study to evaluate; expected at least one")
    bad = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
    if bad.any():
        raise UserError(
            f"{bad.sum()} of {count} studies have probabilities that are not in [0, 1]: has the training diverged?"
        )
    if gold.min() < 0 or gold.max() >= classes:
        raise UserError(f"gold classes from {gold.min()} to {gold.max()}; expected 0 to {classes - 1}")
