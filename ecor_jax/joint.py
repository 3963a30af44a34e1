"""The joint distribution P(category, rationale | image) and its exact top-k pairs (ECOR, arXiv 2404.12839, III-A).

A distribution is factorised over an outer and an inner candidate, P(o, i | I) = P(o | I) P(i | o, I). For ECOR the
outer one is the rationale; for the reversed order it is the category; DROR and zero-shot CLIP do not factorise:
they take one softmax over all pairs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int


class Bank(nnx.Variable):
    """Text embeddings, encoded once and never trained."""


class Banks(NamedTuple):
    """Unit text embeddings of a method.

    outer: of every outer candidate alone; None if all pairs share one softmax.
    pair: of every inner candidate given the outer one. A leading axis of 1 means that the inner candidate does
      not depend on the outer one (the independence ablation).
    """

    outer: Float[Array, "outer embed"] | None
    pair: Float[Array, "outer_or_1 inner embed"]

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of outer and inner candidates."""
        return (len(self.pair) if self.outer is None else len(self.outer)), self.pair.shape[1]


class TopPairs(NamedTuple):
    """The k most probable pairs of each image, the best first, natural logarithms of their probabilities."""

    outer: Int[Array, "batch k"]
    inner: Int[Array, "batch k"]
    log_prob: Float[Array, "batch k"]


def top_pairs(
    images: Float[Array, "batch embed"], banks: Banks, scale: Float[Array, ""], k: int, chunk: int = 8
) -> TopPairs:
    """Exact top-k pairs of unit image embeddings, looking at `chunk` outer candidates at a time.

    P(o, i) <= P(o), so once the next P(o) is below the k-th best joint of every image, no pair left can enter and
    the search ends. Without factorisation everything has to be looked at.
    """
    outer, inner = banks.sizes
    if k > outer * inner:
        raise ValueError(f"top {k} of {outer * inner} pairs")
    if banks.outer is None:
        return _top_of_all(images, banks.pair, scale, k, chunk)
    order, log_outer = _ranked(images @ banks.outer.T * scale, chunk)
    steps = order.shape[1] // chunk

    def more(carry: tuple[Array, TopPairs]):
        at, best = carry
        ahead = jax.lax.dynamic_index_in_dim(log_outer, at * chunk, axis=1, keepdims=False)
        return (at < steps) & jnp.any(ahead > best.log_prob[:, -1])

    def look(carry: tuple[Array, TopPairs]):
        at, best = carry
        chosen = jax.lax.dynamic_slice_in_dim(order, at * chunk, chunk, axis=1)
        prior = jax.lax.dynamic_slice_in_dim(log_outer, at * chunk, chunk, axis=1)
        if len(banks.pair) == 1:
            logits = jnp.einsum("bd,id->bi", images, banks.pair[0])[:, None]
        else:
            logits = jnp.einsum("bd,bcid->bci", images, banks.pair[chosen])
        joint = prior[:, :, None] + jax.nn.log_softmax(logits * scale)
        return at + 1, _merge(best, chosen, joint)

    return jax.lax.while_loop(more, look, (jnp.int32(0), _nothing(len(images), k)))[1]


def marginals(
    images: Float[Array, "batch embed"], banks: Banks, scale: Float[Array, ""], chunk: int = 8
) -> tuple[Float[Array, "batch outer"], Float[Array, "batch inner"]]:
    """P(o|I) and P(i|I), summed over all pairs."""
    outer, inner = banks.sizes
    if banks.outer is None:
        log_total, log_outer = _log_total(images, banks.pair, scale, chunk), None
    else:
        log_total, log_outer = jnp.zeros(len(images)), jax.nn.log_softmax(images @ banks.outer.T * scale)

    def look(sums, at):
        number = at * chunk + jnp.arange(chunk)
        rows = jnp.minimum(number, outer - 1)
        pair = banks.pair if len(banks.pair) == 1 else banks.pair[rows]
        logits = jnp.einsum("bd,cid->bci", images, pair) * scale
        if log_outer is None:
            joint = jnp.exp(logits - log_total[:, None, None])
        else:
            joint = jnp.exp(log_outer[:, rows, None] + jax.nn.log_softmax(logits))
        joint = jnp.where((number < outer)[:, None], joint, 0.0)
        return sums + joint.sum(axis=1), joint.sum(axis=2)

    start = jnp.zeros((len(images), inner))
    of_inner, of_outer = jax.lax.scan(look, start, jnp.arange(-(-outer // chunk)))
    return jnp.moveaxis(of_outer, 0, 1).reshape(len(images), -1)[:, :outer], of_inner


def _ranked(logits: Float[Array, "batch outer"], chunk: int):
    """Outer candidates by falling probability, padded to whole chunks with impossible ones."""
    log_probs = jax.nn.log_softmax(logits)
    order = jnp.argsort(log_probs, axis=1, descending=True)
    ranked = jnp.take_along_axis(log_probs, order, axis=1)
    pad = ((0, 0), (0, -logits.shape[1] % chunk))
    return jnp.pad(order, pad), jnp.pad(ranked, pad, constant_values=-jnp.inf)


def _nothing(batch: int, k: int) -> TopPairs:
    return TopPairs(jnp.zeros((batch, k), jnp.int32), jnp.zeros((batch, k), jnp.int32), jnp.full((batch, k), -jnp.inf))


def _merge(best: TopPairs, outer: Int[Array, "batch chunk"], joint: Float[Array, "batch chunk inner"]) -> TopPairs:
    """The best of what was found before and one more chunk; among equals the earlier stays ahead."""
    batch, chunk, inner = joint.shape
    k = best.outer.shape[1]
    shape = (batch, chunk * inner)
    values, place = jax.lax.top_k(joint.reshape(shape), min(k, chunk * inner))
    new = TopPairs(jnp.take_along_axis(outer, place // inner, axis=1), place % inner, values)
    both = TopPairs(*(jnp.concatenate(pair, axis=1) for pair in zip(best, new, strict=True)))
    _, place = jax.lax.top_k(both.log_prob, k)
    return TopPairs(*(jnp.take_along_axis(part, place, axis=1) for part in both))


def _top_of_all(images, pair, scale, k, chunk) -> TopPairs:
    def look(best, at):
        number, logits = _logits(images, pair, scale, at, chunk)
        return _merge(best, jnp.broadcast_to(number, (len(images), chunk)), logits), None

    best, _ = jax.lax.scan(look, _nothing(len(images), k), jnp.arange(-(-len(pair) // chunk)))
    log_total = _log_total(images, pair, scale, chunk)
    return best._replace(log_prob=best.log_prob - log_total[:, None])


def _log_total(images, pair, scale, chunk) -> Float[Array, "batch"]:
    """log sum exp over all pairs' logits."""

    def look(total, at):
        _, logits = _logits(images, pair, scale, at, chunk)
        return jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=(1, 2))), None

    start = jnp.full(len(images), -jnp.inf)
    return jax.lax.scan(look, start, jnp.arange(-(-len(pair) // chunk)))[0]


def _logits(images, pair, scale, at, chunk) -> tuple[Int[Array, "chunk"], Float[Array, "batch chunk inner"]]:
    """Numbers of the outer candidates of chunk `at`, and their pairs' logits; -inf beyond the last candidate."""
    number = at * chunk + jnp.arange(chunk)
    logits = jnp.einsum("bd,cid->bci", images, pair[jnp.minimum(number, len(pair) - 1)]) * scale
    return number, jnp.where((number < len(pair))[:, None], logits, -jnp.inf)
