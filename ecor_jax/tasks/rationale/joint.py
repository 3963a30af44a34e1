"""The joint distribution P(category, rationale | image) and its exact top-k pairs (ECOR, arXiv 2404.12839, III-A).

A distribution is factorised over an outer and an inner candidate, P(o, i | I) = P(o | I) P(i | o, I). For ECOR the
outer one is the rationale; for the reversed order it is the category; DROR and zero-shot CLIP do not factorise:
they take one softmax over all pairs.

A device may have a share of the inner candidates only: then these functions run within `parallel.shards.over_shards`.
The logits of all pairs are never there at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from ecor_jax.parallel.mesh import platform
from ecor_jax.parallel.shards import Shards

LOGITS, GATHERED = 2**22, 2**23
"""Numbers that a step of a loop over outer candidates makes at most: logits, and embeddings of pairs."""
DEAR = 4
"""Outer candidates that all images look at together in the time in which one image looks at one of its own choice."""


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
        """Numbers of outer and inner candidates (of a share of them: its columns)."""
        return (len(self.pair) if self.outer is None else len(self.outer)), self.pair.shape[1]


class TopPairs(NamedTuple):
    """The k most probable pairs of each image, the best first, natural logarithms of their probabilities."""

    outer: Int[Array, "batch k"]
    inner: Int[Array, "batch k"]
    log_prob: Float[Array, "batch k"]


class Likeliest(NamedTuple):
    """The outer and the inner candidate of the largest marginal probability P(o|I) and P(i|I), and that."""

    outer: Int[Array, "batch"]
    outer_probability: Float[Array, "batch"]
    inner: Int[Array, "batch"]
    inner_probability: Float[Array, "batch"]


def top_pairs(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    k: int,
    shards: Shards | None = None,
    chunk: int | None = None,
) -> TopPairs:
    """Exact top-k pairs of unit image embeddings, looking at `chunk` outer candidates at a time.

    P(o, i) <= P(o), so once the next P(o) is below the k-th best joint of every image, no pair left can enter and
    the search ends. Without factorisation everything has to be looked at.
    """
    outer, inner = banks.sizes
    shards = shards or Shards(inner)
    if k > outer * shards.count:
        raise ValueError(f"top {k} of {outer * shards.count} pairs")
    batch, embed = images.shape
    if banks.outer is None:
        chunk = min(chunk or _together(images, banks.pair, outer), outer)
        best = _top_of_all(images, banks.pair, scale, k, shards, chunk)
    else:
        chunk = chunk or max(1, min(GATHERED // (batch * inner * embed), outer, 8))
        best = _top_of_likeliest(images, banks, scale, k, shards, chunk)
    if not shards.split:
        return best
    best = shards.gathered(best)
    _, place = jax.lax.top_k(best.log_prob, k)
    return TopPairs(*(jnp.take_along_axis(values, place, axis=1) for values in best))


def top_pairs_of(
    image: Float[Array, "embed"],
    outer: Float[Array, "outer embed"],
    scale: Float[Array, ""],
    k: int,
    texts_of: Callable[[int], Float[np.ndarray, "inner embed"]],
    most: int,
) -> TopPairs | None:
    """`top_pairs` of one image, where the texts of pairs are dear: `texts_of` gives those of an outer candidate.

    It is called for one after another, the likeliest first, until the k-th best pair is likelier than the next. None if
    that takes more than `most` of them.
    """
    prior = np.asarray(jax.nn.log_softmax(cosines(image[None], outer) * scale))[0]
    best = _nothing(1, k)
    with tqdm(desc="looking at candidates", unit="", mininterval=1, delay=1) as bar:
        for at, number in enumerate(np.argsort(-prior, kind="stable").tolist()):
            bar.total = int((prior > float(best.log_prob[0, -1])).sum())
            if at >= bar.total:
                break
            if at == most:
                return None
            best = _look_at(image, jnp.asarray(texts_of(number)), scale, jnp.int32(number), prior[number], best)
            bar.update()
    return best


@jax.jit
def _look_at(image, texts: Float[Array, "inner embed"], scale, number, prior, best: TopPairs) -> TopPairs:
    joint = prior + jax.nn.log_softmax(cosines(image[None], texts) * scale)
    return _merge(best, number[None, None], joint[:, None], Shards(len(texts)))


def likeliest(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    shards: Shards | None = None,
    chunk: int | None = None,
) -> Likeliest:
    """The likeliest candidates by themselves; all pairs are looked at."""
    shards = shards or Shards(banks.pair.shape[1])
    of_outer, of_inner = marginals(images, banks, scale, shards, chunk)
    outer = jnp.argmax(of_outer, axis=1), jnp.max(of_outer, axis=1)
    return Likeliest(*outer, *shards.argmax(of_inner))


def marginals(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    shards: Shards | None = None,
    chunk: int | None = None,
) -> tuple[Float[Array, "batch outer"], Float[Array, "batch columns"]]:
    """P(o|I) and, of this device's columns, P(i|I), summed over all pairs."""
    outer, inner = banks.sizes
    shards, chunk = shards or Shards(inner), min(chunk or _together(images, banks.pair, outer), outer)
    if banks.outer is None:
        log_total, log_outer = pairs_log_total(images, banks.pair, scale, shards, chunk), None
    else:
        log_total, log_outer = jnp.zeros(len(images)), jax.nn.log_softmax(cosines(images, banks.outer) * scale)

    def look(sums, at):
        of_outer, of_inner = sums
        number, logits = _logits(images, banks.pair, scale, at, chunk, outer, shards)
        if log_outer is None:
            joint = jnp.exp(logits - log_total[:, None, None])
        else:
            joint = jnp.exp(_of(log_outer, number) + shards.log_softmax(logits))
        joint = jnp.where((number < outer)[:, None], joint, 0.0)
        return (of_outer.at[:, number].add(joint.sum(axis=2), mode="drop"), of_inner + joint.sum(axis=1)), None

    start = shards.start((jnp.zeros((len(images), outer)), jnp.zeros((len(images), inner))))
    (of_outer, of_inner), _ = jax.lax.scan(look, start, jnp.arange(-(-outer // chunk)))
    return shards.sum(of_outer), of_inner


def pairs_log_total(
    images: Float[Array, "batch embed"],
    pair: Float[Array, "outer columns embed"],
    scale: Float[Array, ""],
    shards: Shards,
    chunk: int | None = None,
) -> Float[Array, "batch"]:
    """log sum exp over all pairs' logits. Its gradient computes them again rather than keep them."""
    chunk = min(chunk or _together(images, pair, len(pair)), len(pair))

    @jax.checkpoint
    def look(total, at):
        number, logits = _logits(images, pair, scale, at, chunk, len(pair), shards)
        logits = jnp.where((number < len(pair))[:, None], logits, -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=(1, 2))), None

    start = shards.start(jnp.full(len(images), -jnp.inf))
    return shards.logsumexp(jax.lax.scan(look, start, jnp.arange(-(-len(pair) // chunk)))[0])


def conditional_logits(
    images: Float[Array, "batch embed"],
    pair: Float[Array, "outer_or_1 columns embed"],
    scale: Float[Array, ""],
    outer: Int[Array, "*batch_or_chosen"],
    shards: Shards,
) -> Float[Array, "*batch_or_chosen_or_1 columns"]:
    """Logits of this device's inner candidates, given one outer candidate for each image, or several [batch, n].

    [batch, 1, columns] where several were given and make no difference.
    """
    if len(pair) == 1:
        logits = cosines(images, pair[0])
        logits = logits if outer.ndim == 1 else logits[:, None]
    else:

        def look(image: Float[Array, "embed"], chosen: Int[Array, ""]) -> Float[Array, "columns"]:
            texts = jax.lax.dynamic_index_in_dim(pair, chosen, keepdims=False)
            return jnp.einsum("d,id->i", image, texts, preferred_element_type=jnp.float32)

        def look_at_several(image: Float[Array, "embed"], chosen: Int[Array, "n"]) -> Float[Array, "n columns"]:
            return each(lambda number: look(image, number), chosen)

        # CPUs copy what is chosen for all images, and multiply it, number by number: ten times slower than one by one.
        each = _one_by_one if platform() == "cpu" else lambda function, *of: jax.vmap(function)(*of)
        logits = each(look if outer.ndim == 1 else look_at_several, images.astype(pair.dtype), outer)
    return shards.masked(logits * scale)


def _one_by_one(function: Callable[..., Array], *arrays: Array) -> Array:
    return jax.lax.map(lambda each: function(*each), arrays)


def pair_embeddings(
    pair: Float[Array, "outer_or_1 columns embed"],
    outer: Int[Array, "batch"],
    inner: Int[Array, "batch"],
    shards: Shards,
) -> Float[Array, "batch embed"]:
    """The text embedding of a pair of candidates for each image, float32, from the device that has it."""
    columns = pair.shape[1]
    column = inner - shards.numbers(columns)[0]
    own = (column >= 0) & (column < columns)
    chosen = pair[outer if len(pair) > 1 else 0, jnp.clip(column, 0, columns - 1)].astype(jnp.float32)
    return shards.sum(jnp.where(own[:, None], chosen, 0.0))


def cosines(images: Float[Array, "batch embed"], texts: Float[Array, "texts embed"]) -> Float[Array, "batch texts"]:
    """Of unit embeddings, multiplied in what the texts are stored in, and summed in float32."""
    return jnp.einsum("bd,td->bt", images.astype(texts.dtype), texts, preferred_element_type=jnp.float32)


def _together(images: Float[Array, "batch embed"], pair: Float[Array, "outer_or_1 columns embed"], outer: int) -> int:
    """How many of the outer candidates all images look at in a step."""
    _, columns, embed = pair.shape
    return max(1, min(LOGITS // (len(images) * columns), GATHERED // (columns * embed), outer))


def _top_of_likeliest(images, banks: Banks, scale, k: int, shards: Shards, chunk: int) -> TopPairs:
    """Each image looks at its likeliest outer candidates; where some need many, they go on through all of them at once.

    A matrix product of all images with a candidate's texts costs so much less than texts chosen for each image. They
    choose until that has cost what it costs to look at everything: so it is at most twice what the better way costs.
    """
    assert banks.outer is not None
    batch, outer = len(images), len(banks.outer)
    log_outer = jax.nn.log_softmax(cosines(images, banks.outer) * scale)
    steps = min(max(1, int(outer / (DEAR * batch * chunk))), -(-outer // chunk))
    singly = min(steps * chunk, outer)
    ranked, order = jax.lax.top_k(log_outer, singly)
    pad = ((0, 0), (0, -singly % chunk))
    ranked, order = jnp.pad(ranked, pad, constant_values=-jnp.inf), jnp.pad(order, pad)

    def bar(best: TopPairs) -> Float[Array, "batch"]:
        # The k-th best of all devices' pairs is at least the k-th best of those of any.
        return shards.max(best.log_prob[:, -1])

    def more(carry: tuple[Array, TopPairs]):
        at, best = carry
        ahead = jax.lax.dynamic_index_in_dim(ranked, at * chunk, axis=1, keepdims=False)
        return (at < steps) & jnp.any(ahead > bar(best))

    def look(carry: tuple[Array, TopPairs]):
        at, best = carry
        chosen = jax.lax.dynamic_slice_in_dim(order, at * chunk, chunk, axis=1)
        prior = jax.lax.dynamic_slice_in_dim(ranked, at * chunk, chunk, axis=1)
        # Images that have found theirs look at what the others of them look at: it is in the cache.
        needed = prior > bar(best)[:, None]
        chosen, prior = jnp.where(needed, chosen, 0), jnp.where(needed, prior, -jnp.inf)
        logits = conditional_logits(images, banks.pair, scale, chosen, shards)
        return at + 1, _merge(best, chosen, prior[:, :, None] + shards.log_softmax(logits), shards)

    at, best = jax.lax.while_loop(more, look, (jnp.int32(0), shards.start(_nothing(batch, k))))
    if singly == outer:
        return best
    seen = jnp.where(jnp.arange(steps * chunk) < at * chunk, order, outer)
    left = log_outer.at[jnp.arange(batch)[:, None], seen].set(-jnp.inf, mode="drop")
    wide = _together(images, banks.pair, outer)

    def look_together(best: TopPairs, at: Array):
        prior = _of(left, _numbers(at, wide, outer))

        def merged() -> TopPairs:
            number, logits = _logits(images, banks.pair, scale, at, wide, outer, shards)
            joint = prior + shards.log_softmax(logits)
            return _merge(best, jnp.broadcast_to(number, (batch, wide)), joint, shards)

        return jax.lax.cond(jnp.any(prior > bar(best)[:, None, None]), merged, lambda: best), None

    return jax.lax.scan(look_together, best, jnp.arange(-(-outer // wide)))[0]


def _top_of_all(images, pair, scale, k: int, shards: Shards, chunk: int) -> TopPairs:
    outer = len(pair)

    def look(carry, at):
        best, total = carry
        number, logits = _logits(images, pair, scale, at, chunk, outer, shards)
        logits = jnp.where((number < outer)[:, None], logits, -jnp.inf)
        total = jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=(1, 2)))
        return (_merge(best, jnp.broadcast_to(number, (len(images), chunk)), logits, shards), total), None

    start = shards.start((_nothing(len(images), k), jnp.full(len(images), -jnp.inf)))
    (best, total), _ = jax.lax.scan(look, start, jnp.arange(-(-outer // chunk)))
    return best._replace(log_prob=best.log_prob - shards.logsumexp(total)[:, None])


def _nothing(batch: int, k: int) -> TopPairs:
    return TopPairs(jnp.zeros((batch, k), jnp.int32), jnp.zeros((batch, k), jnp.int32), jnp.full((batch, k), -jnp.inf))


def _merge(
    best: TopPairs, outer: Int[Array, "batch chunk"], joint: Float[Array, "batch chunk columns"], shards: Shards
) -> TopPairs:
    """The best of what was found before and one more chunk; among equals the earlier stays ahead."""
    batch, chunk, columns = joint.shape
    k = best.outer.shape[1]
    if chunk > k:
        # The k best are of the k outer candidates whose best is the best: those alone are sorted.
        _, rows = jax.lax.top_k(joint.max(axis=2), k)
        rows = jnp.sort(rows, axis=1)
        outer = jnp.take_along_axis(outer, rows, axis=1)
        joint = jnp.take_along_axis(joint, rows[:, :, None], axis=1)
    values, place = jax.lax.top_k(joint.reshape(batch, -1), min(k, joint[0].size))
    inner = shards.numbers(columns)[place % columns]
    new = TopPairs(jnp.take_along_axis(outer, place // columns, axis=1), inner, values)
    both = TopPairs(*(jnp.concatenate(pair, axis=1) for pair in zip(best, new, strict=True)))
    _, place = jax.lax.top_k(both.log_prob, k)
    return TopPairs(*(jnp.take_along_axis(values, place, axis=1) for values in both))


def _numbers(at, chunk: int, outer: int) -> Int[Array, "chunk"]:
    """Of the outer candidates in the places of chunk `at`, the last of which reaches back; `outer` for those before."""
    number = jnp.minimum(at * chunk, outer - chunk) + jnp.arange(chunk)
    return jnp.where(number < at * chunk, outer, number)


def _of(log_outer: Float[Array, "batch outer"], number: Int[Array, "chunk"]) -> Float[Array, "batch chunk 1"]:
    return jnp.take(log_outer, number, axis=1, mode="fill", fill_value=-jnp.inf)[:, :, None]


def _logits(
    images, pair, scale, at, chunk: int, outer: int, shards: Shards
) -> tuple[Int[Array, "chunk"], Float[Array, "batch chunk columns"]]:
    """`_numbers` of the candidates of a chunk, and their pairs' logits; those of no candidate mean nothing."""
    _, columns, embed = pair.shape
    if len(pair) == 1:
        logits = jnp.broadcast_to(cosines(images, pair[0])[:, None], (len(images), chunk, columns))
    else:
        chosen = jax.lax.dynamic_slice_in_dim(pair, jnp.minimum(at * chunk, outer - chunk), chunk)
        # As one matrix: XLA's matrix product on CPUs is four times as fast as of three axes.
        logits = cosines(images, chosen.reshape(-1, embed)).reshape(len(images), chunk, columns)
    return _numbers(at, chunk, outer), shards.masked(logits * scale)
