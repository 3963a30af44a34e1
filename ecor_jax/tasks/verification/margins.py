"""Margins on the angle between an embedding and its class centre: AdaFace, ArcFace, CosFace. Pure functions.

A margin changes the cosine of an example's own class only, so each function maps target cosines to target cosines,
and `margin_loss` puts them among the others. The class axis is only ever reduced over: sharded over the mesh, the
logits stay where they are computed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LIMITS = {"adaface": 1e-3, "arcface": 1e-4, "cosface": 1e-4}
"""How far from -1 and 1 cosines are kept, and angles from 0 and pi: the arc cosine has no gradient at one. The values
are those of AdaFace's code (head.py of mk-minchul/AdaFace), for each margin its own."""
NORM_LIMITS = (1e-3, 100.0)
EPSILON = 1e-3


class NormStatistics(NamedTuple):
    """Running mean and standard deviation of embedding norms; AdaFace's code starts them at 20 and 100."""

    mean: Float[Array, ""]
    std: Float[Array, ""]


def update_statistics(norms: Float[Array, "batch"], statistics: NormStatistics, rate: float) -> NormStatistics:
    """Exponential moving averages over the whole batch, its deviation unbiased (AdaFace section 3.3, and its code).

    No gradient passes. With a batch split over devices `norms` is the global array, so are the statistics. A batch
    of one has no deviation and leaves that of before.
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
    """Target cosines with a margin that follows image quality, read off the norm (Kim et al. 2022, eq. 13 to 15).

    `z = clip((norm - mean) / std * concentration, -1, 1)`; the angle grows by `-margin z`, then the cosine shrinks
    by `margin z + margin`: an additive margin for sharp images, an angular one, of the other sign, for blurred ones.
    """
    quality = jnp.clip((_safe(norms) - statistics.mean) / (statistics.std + EPSILON) * concentration, -1, 1)
    return _rotated(cosine, -margin * quality, LIMITS["adaface"]) - (margin + margin * quality)


def arcface(cosine: Float[Array, "batch"], margin: float = 0.5) -> Float[Array, "batch"]:
    """Target cosines `cos(angle + margin)` (Deng et al. 2019, eq. 3)."""
    return _rotated(cosine, margin, LIMITS["arcface"])


def cosface(cosine: Float[Array, "batch"], margin: float = 0.35) -> Float[Array, "batch"]:
    """Target cosines `cos - margin` (Wang et al. 2018, eq. 4)."""
    return clipped(cosine, LIMITS["cosface"]) - margin


def clipped(cosine: Float[Array, "*shape"], limit: float) -> Float[Array, "*shape"]:
    """Cosines that are not nearer to -1 or 1 than `limit`; where they are clipped no gradient passes."""
    return jnp.clip(cosine, limit - 1, 1 - limit)


def own_cosine(
    cosines: Float[Array, "batch classes"], labels: Int[Array, "batch"], classes: Int[Array, "classes"]
) -> Float[Array, "batch"]:
    """Each example's cosine to its own class; `classes` are the labels of the columns."""
    # A sum, not a gather: columns on other devices need not be fetched.
    return jnp.sum(jnp.where(labels[:, None] == classes, cosines, 0), axis=1)


def margin_loss(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    classes: Int[Array, "classes"],
    target: Float[Array, "batch"],
    scale: float = 64.0,
    *,
    limit: float,
) -> Float[Array, "batch"]:
    """Cross-entropy of `scale` times the cosines, those of the own classes replaced by `target`.

    limit: the one of LIMITS that belongs to the margin. A column whose class is -1 is padding and takes no part.
    """
    logits = scale * jnp.where(labels[:, None] == classes, target[:, None], clipped(cosines, limit))
    logits = jnp.where(classes < 0, -jnp.inf, logits)
    return jax.nn.logsumexp(logits, axis=1) - scale * target


def sampled_classes(
    key: Array, labels: Int[Array, "batch"], classes: int, count: int, shards: int
) -> Int[Array, "shards sampled"]:
    """Classes to take part in one step: all those of `labels`, the others drawn at random (Partial FC, An et al. 2022).

    Every one of `shards` equal ranges of the classes samples `count` of its own, so a sharded kernel is read where it
    lies. `count` must be the batch size at least, or a range could have more classes present than it samples.
    Returns ascending numbers within each range.
    """
    present = jnp.zeros(classes, bool).at[labels].set(True)
    rank = jax.random.uniform(key, (classes,)) + present.astype(jnp.float32)
    chosen = jax.lax.top_k(rank.reshape(shards, -1), count)[1]
    return jnp.sort(chosen, axis=1)


def _rotated(cosine: Float[Array, "batch"], angle: Float[Array, "batch"] | float, limit: float):
    return jnp.cos(jnp.clip(jnp.arccos(clipped(cosine, limit)) + angle, limit, jnp.pi - limit))


def _safe(norms: Float[Array, "batch"]) -> Float[Array, "batch"]:
    return jax.lax.stop_gradient(jnp.clip(norms, *NORM_LIMITS))
