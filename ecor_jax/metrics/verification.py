"""Face verification metrics on distances of pairs: insightface's ten-fold protocol and ROC curves.

A pair is always accepted as the same person if its distance is strictly less than the threshold.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ecor_jax.errors import UserError

FOLDS = 10
THRESHOLDS = np.arange(0, 4, 0.01)
"""The 400 thresholds on squared distance of the protocol (deepinsight/insightface, verification.py)."""


class TenFold(NamedTuple):
    """The mean accuracy of the folds, their accuracies, and the threshold with which each fold was evaluated.

    each: what each pair contributes to `accuracy`, their mean: 1 if it is right by the threshold of its fold, else 0;
    less or more than 1 in folds of more or fewer pairs than the mean.
    """

    accuracy: float
    fold_accuracies: Float[np.ndarray, "folds"]
    thresholds: Float[np.ndarray, "folds"]
    each: Float[np.ndarray, "P"]


class Roc(NamedTuple):
    """Accepted fractions of different pairs (FAR) and of same pairs (TAR), by increasing threshold.

    It has one point for each way a threshold can split the pairs, from (0, 0) to (1, 1). `different` is the number of
    different pairs.
    """

    far: Float[np.ndarray, "n"]
    tar: Float[np.ndarray, "n"]
    different: int


class TarAtFar(NamedTuple):
    """The largest TAR at a FAR of at most `far`.

    `resolved` is False if 1 / (number of different pairs) exceeds `far`, so that a single false accept is too many: the
    TAR is then the one with no false accepts and is not informative about `far`.
    """

    far: float
    tar: float
    resolved: bool


def pair_distances(first: Float[np.ndarray, "P m"], second: Float[np.ndarray, "P m"]) -> Float[np.ndarray, "P"]:
    """Returns the squared L2 distances of paired rows, in float64; 2 - 2 cosine, in [0, 4], for unit rows.

    Raises UserError if an embedding is not finite.
    """
    distances = np.square(first.astype(np.float64) - second.astype(np.float64)).sum(axis=1)
    if bad := np.count_nonzero(~np.isfinite(distances)):
        raise UserError(
            f"{bad} of {len(distances)} pairs have a distance that is not finite; the embeddings are broken: "
            "has the training diverged?"
        )
    return distances


def ten_fold(
    distances: Float[np.ndarray, "P"],
    same: Bool[np.ndarray, "P"],
    folds: int = FOLDS,
    thresholds: Float[np.ndarray, "T"] = THRESHOLDS,
) -> TenFold:
    """Computes verification accuracy by the protocol of deepinsight/insightface (verification.py, calculate_roc).

    The pairs are split in order into folds as by scikit-learn's KFold without shuffling: the first P % folds folds have
    one pair more. Each fold is evaluated with the first of `thresholds` (in increasing order) that is most accurate on
    all other folds. Raises UserError if there are fewer pairs than folds.
    """
    if not 2 <= folds <= len(distances):
        raise UserError(f"{len(distances)} pairs in {folds} folds; expected at least 2 folds and a pair for each")
    pieces = list(zip(np.array_split(distances, folds), np.array_split(same, folds), strict=True))
    right = np.stack([_right_answers(*piece, thresholds) for piece in pieces])
    # Counts rank like accuracies but without rounding, so ties are exact.
    best = np.argmax(right.sum(axis=0) - right, axis=1)
    sizes = np.array([len(piece) for piece, _ in pieces])
    accuracies = right[np.arange(folds), best] / sizes
    answers = (distances < np.repeat(thresholds[best], sizes)) == same
    each = answers * np.repeat(len(same) / (folds * sizes), sizes)
    return TenFold(float(np.mean(accuracies)), accuracies, thresholds[best], each)


def roc(distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"]) -> Roc | None:
    """Returns the exact ROC curve, in which ties are accepted together; None if all pairs are same or all different."""
    if same.all() or not same.any():
        return None
    from sklearn.metrics import roc_curve  # imported late: it takes 2 s, and every page imports this module

    far, tar, _ = roc_curve(same, -distances.astype(np.float64), drop_intermediate=False)
    return Roc(far, tar, int((~same).sum()))


def every_threshold(distances: Float[np.ndarray, "P"]) -> Float[np.ndarray, "n"]:
    """Returns increasing thresholds for all splits of the pairs: each distance, and the next float after the last.

    They are meant for embeddings so close together that the protocol's steps of .01 allow few splits or none.
    """
    values = np.unique(distances.astype(np.float64))
    return np.append(values, np.nextafter(values[-1], np.inf))


def auc(distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"]) -> float | None:
    """Returns the area under the ROC curve; None if all pairs are same or all different.

    It is the fraction of (same, different) couples of pairs in which the same pair has the smaller distance; ties count
    half.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(same, -distances)) if 0 < same.sum() < len(same) else None


def tar_at_far(curve: Roc | None, far: float) -> TarAtFar | None:
    """Returns the largest TAR with a FAR of at most `far` (in [0, 1]); None if there is no curve."""
    if curve is None:
        return None
    place = int(np.searchsorted(curve.far, far, side="right")) - 1
    return TarAtFar(far, float(curve.tar[place]), 1 / curve.different <= far)


def _right_answers(
    distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"], thresholds: Float[np.ndarray, "T"]
) -> Int[np.ndarray, "T"]:
    """Returns the number of pairs that each of `thresholds` classifies correctly."""
    positives, negatives = np.sort(distances[same]), np.sort(distances[~same])
    accepted = np.searchsorted(positives, thresholds, side="left")
    return accepted + len(negatives) - np.searchsorted(negatives, thresholds, side="left")
