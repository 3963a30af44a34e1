"""Margin losses on the angle between an embedding and its class centre, as pure functions: AdaFace, ArcFace, CosFace.

A margin changes the cosine of an example's own class only, so each function maps target cosines to target cosines,
and `margin_loss` inserts them among the others. The class axis is only reduced over, so that logits of sharded classes
are not gathered.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LIMITS = {"adaface": 1e-3, "arcface": 1e-4, "cosface": 1e-4}
"""Minimum distance of cosines from -1 and 1 and of angles from 0 and pi, because the gradient of the arc cosine is
infinite at 1. The values are those of AdaFace's code (head.py of mk-minchul/AdaFace) for each margin."""
NORM_LIMITS = (1e-3, 100.0)
EPSILON = 1e-3


class NormStatistics(NamedTuple):
    """Running mean and standard deviation of embedding norms; AdaFace's code initialises them to 20 and 100."""

    mean: Float[Array, ""]
    std: Float[Array, ""]


def update_statistics(norms: Float[Array, "batch"], statistics: NormStatistics, rate: float) -> NormStatistics:
    """Updates exponential moving averages with a batch, with its unbiased deviation (AdaFace, section 3.3 and code).

    Gradients are stopped. `norms` is the global array of a sharded batch, so that the statistics are global too. A
    batch of one example leaves the deviation unchanged.
    """
    norms = _safe(norms)
    std = jnp.std(norms, ddof=1) if len(norms) > 1 else statistics.std
    return NormStatistics(
        mean=rate * jnp.mean(norms) + (1 - rate) * statistics.mean,
        std=rate * std + (1 - rate) * statistics.std,
    )


def adaface(
    cosine: Float[Array, "batch"],
    norms: Float[Array, "batch"],
    statistics: NormStatistics,
    margin: float = 0.5,
    concentration: float = 0.333,
) -> Float[Array, "batch"]:
    """Computes target cosines with a margin that depends on image quality, estimated by the norm (Kim et al. 2022).

    Equations 13 to 15: `z = clip((norm - mean) / std * concentration, -1, 1)`; `-margin z` is added to the angle, then
    `margin z + margin` is subtracted from the cosine. The margin is additive for images of high quality (z = 1, with a
    negative angular term) and purely angular and positive for those of low quality (z = -1).
    """
    quality = jnp.clip((_safe(norms) - statistics.mean) / (statistics.std + EPSILON) * concentration, -1, 1)
    return _rotated(cosine, -margin * quality, LIMITS["adaface"]) - (margin + margin * quality)


def arcface(cosine: Float[Array, "batch"], margin: float = 0.5) -> Float[Array, "batch"]:
    """Computes target cosines `cos(angle + margin)` (Deng et al. 2019, eq. 3)."""
    return _rotated(cosine, margin, LIMITS["arcface"])


def cosface(cosine: Float[Array, "batch"], margin: float = 0.35) -> Float[Array, "batch"]:
    """Computes target cosines `cos - margin` (Wang et al. 2018, eq. 4)."""
    return clipped(cosine, LIMITS["cosface"]) - margin


def clipped(cosine: Float[Array, "*shape"], limit: float) -> Float[Array, "*shape"]:
    """Clips cosines to [limit - 1, 1 - limit]; the gradient of clipped ones is zero."""
    return jnp.clip(cosine, limit - 1, 1 - limit)


def own_cosine(
    cosines: Float[Array, "batch classes"], labels: Int[Array, "batch"], classes: Int[Array, "classes"]
) -> Float[Array, "batch"]:
    """Returns each example's cosine to its own class; `classes` are the labels of the columns."""
    # A sum instead of a gather, so that columns on other devices need not be fetched.
    return jnp.sum(jnp.where(labels[:, None] == classes[None], cosines, 0), axis=1)


def margin_loss(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    classes: Int[Array, "classes"],
    target: Float[Array, "batch"],
    scale: float = 64.0,
    *,
    limit: float,
) -> Float[Array, "batch"]:
    """Computes the cross-entropy of `scale` times the cosines, each example's own cosine replaced by `target`.

    limit: the entry of LIMITS for the margin. Columns of class -1 are padding and are ignored.
    """
    logits = scale * jnp.where(labels[:, None] == classes[None], target[:, None], clipped(cosines, limit))
    logits = jnp.where(classes[None] < 0, -jnp.inf, logits)
    return jax.nn.logsumexp(logits, axis=1) - scale * target


def sampled_classes(
    key: Array, labels: Int[Array, "batch"], classes: int, count: int, shards: int
) -> Int[Array, "shards sampled"]:
    """Samples the classes of one step: all those of `labels` and random others (Partial FC, An et al. 2022).

    The classes are divided into `shards` equal ranges, and `count` classes are sampled from each, so that a sharded
    kernel is read locally. `count` must be at least the batch size; otherwise a range could contain more classes of
    `labels` than are sampled.
    Returns ascending indices within each range.
    """
    present = jnp.zeros(classes, bool).at[labels].set(True)
    rank = jax.random.uniform(key, (classes,)) + present.astype(jnp.float32)
    chosen = jax.lax.top_k(rank.reshape(shards, -1), count)[1]
    return jnp.sort(chosen, axis=1)


def _rotated(cosine: Float[Array, "batch"], angle: Float[Array, "batch"] | float, limit: float):
    return jnp.cos(jnp.clip(jnp.arccos(clipped(cosine, limit)) + angle, limit, jnp.pi - limit))


def _safe(norms: Float[Array, "batch"]) -> Float[Array, "batch"]:
    return jax.lax.stop_gradient(jnp.clip(norms, *NORM_LIMITS))
