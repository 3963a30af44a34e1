"""Are two pictures of the same person? insightface's ten-fold protocol, and curves of errors, on distances of pairs.

Everywhere a pair is taken for the same person if its distance is less than a threshold, strictly.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ecor_jax.errors import UserError

FOLDS = 10
THRESHOLDS = np.arange(0, 4, 0.01)
"""The 400 thresholds of squared distance that the protocol tries (deepinsight/insightface, verification.py)."""


class TenFold(NamedTuple):
    """The mean of the folds' accuracies, these accuracies, and the threshold that each fold was evaluated by."""

    accuracy: float
    fold_accuracies: Float[np.ndarray, "folds"]
    thresholds: Float[np.ndarray, "folds"]


class Roc(NamedTuple):
    """Shares of the different pairs (FAR) and of the same ones (TAR) that are accepted, by rising threshold.

    One point for every way in which a threshold can split the pairs: from (0, 0), rising, to (1, 1). `different` is
    the number of different pairs.
    """

    far: Float[np.ndarray, "n"]
    tar: Float[np.ndarray, "n"]
    different: int


class TarAtFar(NamedTuple):
    """The largest TAR at a FAR of at most `far`.

    `resolved` is False where a single false accept is already too many, because 1 / (number of different pairs) is
    above `far`: the TAR is then the one without any false accept, and says nothing of `far`.
    """

    far: float
    tar: float
    resolved: bool


def pair_distances(first: Float[np.ndarray, "P m"], second: Float[np.ndarray, "P m"]) -> Float[np.ndarray, "P"]:
    """Squared L2 distance of each pair of rows, in float64; for rows of unit length it is 2 - 2 cosine, in [0, 4].

    Raises UserError where an embedding is not finite.
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
    """Verification accuracy by the protocol of deepinsight/insightface (verification.py, calculate_roc).

    The pairs, in their order, are cut into folds as scikit-learn's KFold does without shuffling: the first
    P % folds of them hold one pair more. For each fold the first of `thresholds` (rising) that is most accurate on all
    the other folds is applied to it. Raises UserError for fewer pairs than folds.
    """
    if not 2 <= folds <= len(distances):
        raise UserError(f"{len(distances)} pairs in {folds} folds; expected at least 2 folds and a pair for each")
    pieces = list(zip(np.array_split(distances, folds), np.array_split(same, folds), strict=True))
    right = np.stack([_right_answers(*piece, thresholds) for piece in pieces])
    # Counts have the order of the accuracies and no rounding: the ties are those of exact arithmetic.
    best = np.argmax(right.sum(axis=0) - right, axis=1)
    accuracies = right[np.arange(folds), best] / [len(piece) for piece, _ in pieces]
    return TenFold(float(np.mean(accuracies)), accuracies, thresholds[best])


def roc(distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"]) -> Roc | None:
    """The exact curve, pairs of equal distance accepted together; None where all pairs are the same, or none is."""
    if same.all() or not same.any():
        return None
    from sklearn.metrics import roc_curve  # takes 2 s to import, and every page is made of this module's types

    far, tar, _ = roc_curve(same, -distances.astype(np.float64), drop_intermediate=False)
    return Roc(far, tar, int((~same).sum()))


def every_threshold(distances: Float[np.ndarray, "P"]) -> Float[np.ndarray, "n"]:
    """Rising thresholds for all ways in which one can split the pairs: each distance, and the float after the last.

    For embeddings that lie close together: there the protocol's steps of .01 leave few ways, or none.
    """
    values = np.unique(distances.astype(np.float64))
    return np.append(values, np.nextafter(values[-1], np.inf))


def auc(distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"]) -> float | None:
    """Area under the ROC curve; None where all pairs are the same or all are different.

    The share of (same, different) couples of pairs whose same pair is the nearer one, where equal distances count
    half.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(same, -distances)) if 0 < same.sum() < len(same) else None


def tar_at_far(curve: Roc | None, far: float) -> TarAtFar | None:
    """The largest TAR whose FAR is at most `far` (in [0, 1]); None where there is no curve."""
    if curve is None:
        return None
    place = int(np.searchsorted(curve.far, far, side="right")) - 1
    return TarAtFar(far, float(curve.tar[place]), 1 / curve.different <= far)


def _right_answers(
    distances: Float[np.ndarray, "P"], same: Bool[np.ndarray, "P"], thresholds: Float[np.ndarray, "T"]
) -> Int[np.ndarray, "T"]:
    """How many of the pairs each of `thresholds` evaluates rightly."""
    positives, negatives = np.sort(distances[same]), np.sort(distances[~same])
    accepted = np.searchsorted(positives, thresholds, side="left")
    return accepted + len(negatives) - np.searchsorted(negatives, thresholds, side="left")
