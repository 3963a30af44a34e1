"""Metrics of single-label (multi-class) and multi-label classification.

Definitions are scikit-learn's, with `labels` all C classes and `zero_division=0`: precision is 0 for a class that is
never predicted, recall for one without examples, and F1 for one with neither. The predicted class is the most probable
one (the first of several equal ones, so a label counts as predicted if its probability is above .5). The macro average
of recall is also called balanced accuracy.

With two classes, AUROC and average precision are those of the last class; with more, they are one-vs-rest averages (for
average precision: mAP). The Brier score is the mean squared error of the probabilities: summed over the classes (Brier
1950), in [0, 2]; with two classes only that of the last class, in [0, 1].
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import accuracy_score, average_precision_score, precision_recall_fscore_support, roc_auc_score

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import Statistic, Weights

FIGURES = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision", "brier")

Gold = Int[np.ndarray, "N"] | Float[np.ndarray, "N C"]
"""The class index of each example; or, for each label, 1 (present), 0 (absent) or NaN (unknown)."""


def figures(probabilities: Float[np.ndarray, "N C"], gold: Gold, average: str) -> dict[str, float]:
    """Returns FIGURES of N examples; AUROC and average precision are NaN if a class is missing.

    average: how precision, recall and F1 are averaged: over classes weighted by their number of examples ("weighted"),
      over classes equally ("macro"), or for the last of two classes alone ("binary").

    A label is scored as two classes, absent and present, over the examples for which it is known. The metrics are means
    over labels; those of AUROC and average precision are over the labels for which they are defined.

    Raises UserError if there are no examples, if a label is unknown for all of them, or if probabilities or gold are
    out of range.
    """
    if gold.ndim == 2:
        labels = [figures(*two_classes(*column), average) for column in zip(probabilities.T, gold.T, strict=True)]
        values = np.array([[label[name] for name in FIGURES] for label in labels])
        return dict(zip(FIGURES, _mean_where(~np.isnan(values), values).tolist(), strict=True))
    _check(probabilities, gold)
    predicted, true, errors = _evaluated(probabilities, gold)
    said, classes = predicted.argmax(axis=1), list(range(true.shape[1]))
    options: dict[str, Any] = {"labels": classes, "average": average, "zero_division": 0}
    precision, recall, f1, _ = precision_recall_fscore_support(gold, said, **options)
    auroc = average_precision = np.nan
    if true.any(axis=0).all():
        ranked = (true[:, 1], probabilities[:, 1]) if len(classes) == 2 else (true, probabilities)
        over = "macro" if average == "binary" else average
        auroc, average_precision = (area(*ranked, average=over) for area in (roc_auc_score, average_precision_score))
    values = (accuracy_score(gold, said), precision, recall, f1, auroc, average_precision, errors.mean())
    return dict(zip(FIGURES, map(float, values), strict=True))


def resampled(probabilities: Float[np.ndarray, "N C"], gold: Gold, average: str) -> Statistic:
    """Returns the statistic that computes `figures` for all resamples of the N examples at once.

    scikit-learn takes some milliseconds per resample, which is minutes for thousands of resamples, methods and labels.
    """
    if gold.ndim == 2:
        known = ~np.isnan(gold)
        by_label = zip(probabilities.T, gold.T, known.T, strict=True)
        labels = [(resampled(*two_classes(*column), average), places) for *column, places in by_label]
        defined = np.stack([~np.isnan(label(np.ones((1, places.sum())))) for label, places in labels])

        def means(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
            return _mean_where(defined, np.stack([label(weights[:, places]) for label, places in labels]))

        return means
    _check(probabilities, gold)
    predicted, true, errors = _evaluated(probabilities, gold)
    columns = np.concatenate([predicted & true, predicted, true, errors[:, None]], axis=1).astype(np.float64)
    classes = true.shape[1]

    def statistic(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
        right, said, support, error = np.split(weights @ columns, [classes, 2 * classes, 3 * classes], axis=1)
        # A resample may contain no example for which this label is known.
        count = np.where(support.any(axis=1), support.sum(axis=1), np.nan)

        def mean(values: Float[np.ndarray, "resamples classes"], average: str = average) -> np.ndarray:
            if average == "binary":
                return values[:, -1]
            return values.mean(axis=1) if average == "macro" else (values * support).sum(axis=1) / count

        ranked = [_ranking(probabilities[:, c], true[:, c], weights) for c in range(classes == 2, classes)]
        by_class = [np.stack(values, axis=1) for values in zip(*ranked, strict=True)]
        auroc, average_precision = (mean(values, "binary" if classes == 2 else average) for values in by_class)
        shares = (_ratio(right, said), _ratio(right, support), _ratio(2 * right, said + support))
        values = (right.sum(axis=1) / count, *map(mean, shares), auroc, average_precision, error[:, 0] / count)
        return np.where(np.isnan(count), np.nan, np.stack(values))

    return statistic


def two_classes(probability: Float[np.ndarray, "N"], gold: Float[np.ndarray, "N"]) -> tuple[np.ndarray, np.ndarray]:
    """Converts a label to the classes absent and present, for the examples whose gold is known (not NaN).

    Raises UserError if a known gold label is neither 0 nor 1.
    """
    probability, gold = probability[~np.isnan(gold)], gold[~np.isnan(gold)]
    if not np.isin(gold, (0, 1)).all():
        raise UserError(f"labels of a finding are {np.unique(gold).tolist()}; expected 0, 1 or NaN where not known")
    return np.stack([1 - probability, probability], axis=1), gold.astype(int)


def calibration_pairs(
    probabilities: Float[np.ndarray, "N C"], gold: Int[np.ndarray, "N"]
) -> tuple[Float[np.ndarray, "N"], Bool[np.ndarray, "N"]]:
    """Returns the confidences and correctness that `calibration.reliability` takes.

    With two classes: the probability of the last one and whether it is the gold class (a predicted risk). With more:
    the probability of the most probable class and whether it is correct (Guo et al. 2017).
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], gold == 1
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == gold


def _evaluated(probabilities: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns whether each class is predicted and whether it is true, [N, C], and the squared errors, [N]."""
    classes = np.arange(probabilities.shape[1])
    true = gold[:, None] == classes
    errors = np.square(probabilities.astype(np.float64) - true)
    predicted = probabilities.argmax(axis=1)[:, None] == classes
    return predicted, true, errors[:, 1] if len(classes) == 2 else errors.sum(axis=1)


def _ranking(
    scores: Float[np.ndarray, "N"], positive: Bool[np.ndarray, "N"], weights: Weights
) -> tuple[Float[np.ndarray, "resamples"], Float[np.ndarray, "resamples"]]:
    """Returns AUROC (Mann-Whitney: ties count half) and average precision of each resample.

    Both depend, for each positive example, only on the weights of positives and negatives with lower scores.
    """
    own = weights[:, positive]
    below, upto, totals = {}, {}, {}
    for kind in (True, False):
        order = np.flatnonzero(positive == kind)
        order = order[np.argsort(scores[order])]
        sums = np.cumsum(np.pad(weights[:, order], ((0, 0), (1, 0))), axis=1)
        below[kind], upto[kind] = (
            sums[:, np.searchsorted(scores[order], scores[positive], side)] for side in ("left", "right")
        )
        totals[kind] = sums[:, -1:]
    above = totals[True] - below[True]
    precision = _ratio(above, above + totals[False] - below[False])
    with np.errstate(invalid="ignore"):
        auroc = np.einsum("rp,rp->r", own, below[False] + upto[False]) / (2 * totals[True] * totals[False])[:, 0]
        average_precision = np.einsum("rp,rp->r", own, precision) / totals[True][:, 0]
    return auroc, np.where(np.isnan(auroc), np.nan, average_precision)


def _mean_where(defined: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the means of the defined values over the first axis; NaN if there are none."""
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=0) / defined.sum(axis=0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns the quotient, or 0 where the denominator is 0 (zero_division=0)."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _check(probabilities: np.ndarray, gold: np.ndarray) -> None:
    count, classes = probabilities.shape
    if not count:
        raise UserError("no study to evaluate; expected at least one")
    bad = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
    if bad.any():
        raise UserError(
            f"{bad.sum()} of {count} studies have probabilities that are not in [0, 1]: has the training diverged?"
        )
    if gold.min() < 0 or gold.max() >= classes:
        raise UserError(f"gold classes from {gold.min()} to {gold.max()}; expected 0 to {classes - 1}")
