"""Area under the ROC curve by Mann and Whitney: how often does a positive score above a negative?"""

import numpy as np
from jaxtyping import Bool, Float


def auroc(scores: Float[np.ndarray, "n"], positive: Bool[np.ndarray, "n"]) -> float | None:
    """The share of (positive, negative) couples whose positive scores higher; equal scores count half.

    None where all are positive or all negative.
    """
    area = float(weighted_auroc(scores, positive, np.ones((1, len(scores))))[0])
    return None if np.isnan(area) else area


def weighted_auroc(
    scores: Float[np.ndarray, "n"], positive: Bool[np.ndarray, "n"], weights: Float[np.ndarray, "resamples n"]
) -> Float[np.ndarray, "resamples"]:
    """`auroc` of every resample, in which example i stands weights[resample, i] times; NaN where a kind is missing."""
    if positive.all() or not positive.any():
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    # Examples of equal score are summed into one column of each kind.
    positives, negatives = (
        np.add.reduceat(np.where(kind[order], weights[:, order], 0.0), starts, axis=1) for kind in (positive, ~positive)
    )
    above = np.cumsum(negatives, axis=1) - negatives / 2
    couples = positives.sum(axis=1) * negatives.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (positives * above).sum(axis=1) / couples
