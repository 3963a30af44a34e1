"""The joint distribution P(category, rationale | image) and its exact top-k pairs (ECOR, arXiv 2404.12839, III-A).

The distribution is factorised over an outer and an inner candidate, P(o, i | I) = P(o | I) P(i | o, I). For ECOR the
outer candidate is the rationale; for the reversed order it is the category. DROR and zero-shot CLIP do not factorise:
they use one softmax over all pairs.

If the inner candidates are sharded over devices, these functions run within `parallel.shards.over_shards`. The logits
of all pairs are never in memory at once.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from ecor_jax.parallel.mesh import platform
from ecor_jax.parallel.progress import count_first
from ecor_jax.parallel.shards import Shards

LOGITS, GATHERED = 2**22, 2**23
"""Maximum number of elements per iteration of a loop over outer candidates: of logits, and of pair embeddings."""
GATHER_COST = 4
"""Cost of evaluating one image with an outer candidate of its own, in units of the whole batch with a common one."""


Condition = Literal["prompt", "plane", "cone", "mean"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Banks:
    """Unit text embeddings of a method.

    outer: the prompts of the outer candidates alone; None if all pairs share one softmax.
    pair: the prompts of all pairs. A leading axis of 1 means that the prompts of inner candidates do not contain the
      outer one.
    condition: 'prompt', the inner candidate depends on the outer one by its prompts alone; if these do not contain the
      outer one, it is independent (the ablation). Else by `conditioned`.
    """

    outer: Float[Array, "outer embed"] | None
    pair: Float[Array, "outer_or_1 inner embed"]
    condition: Condition = dataclasses.field(default="prompt", metadata={"static": True})

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of outer and inner candidates; in a shard, inner candidates are its columns."""
        return (len(self.pair) if self.outer is None else len(self.outer)), self.pair.shape[1]


class TopPairs(NamedTuple):
    """The k most probable pairs of each image, best first, with the natural logarithms of their probabilities."""

    outer: Int[Array, "batch k"]
    inner: Int[Array, "batch k"]
    log_prob: Float[Array, "batch k"]


class Likeliest(NamedTuple):
    """The outer and inner candidates with the largest marginals P(o|I) and P(i|I), and these probabilities."""

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
    """Computes the exact top-k pairs of unit image embeddings, evaluating `chunk` outer candidates per iteration.

    The search ends when the next P(o) is below the k-th best joint probability of every image, because P(o, i) <= P(o).
    Without factorisation, all pairs are evaluated. Raises ValueError if there are fewer than k pairs.
    """
    outer, inner = banks.sizes
    shards = shards or Shards(inner)
    if k > outer * shards.count:
        raise ValueError(f"top {k} of {outer * shards.count} pairs")
    batch, embed = images.shape
    if banks.outer is None:
        chunk = min(chunk or _chunk_size(images, banks.pair, outer), outer)
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
) -> TopPairs:
    """Computes `top_pairs` of one image without a bank of pairs, whose embeddings are expensive to compute.

    texts_of: returns the pair embeddings of one outer candidate. It is called in descending order of P(o), until the
      k-th best pair is at least as probable as the next P(o).
    """
    prior = np.asarray(jax.nn.log_softmax(cosines(image[None], outer) * scale))[0]
    best = _no_pairs(1, k)
    with tqdm(desc="looking at candidates", unit="", mininterval=1, delay=1) as bar:
        for at, number in enumerate(np.argsort(-prior, kind="stable").tolist()):
            bar.total = int((prior > float(best.log_prob[0, -1])).sum())
            if at >= bar.total:
                break
            best = _look_at(image, jnp.asarray(texts_of(number)), scale, jnp.int32(number), prior[number], best)
            bar.update() if at else count_first(bar, 1)
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
) -> Likeliest:
    """Computes the candidates with the largest marginal probabilities; evaluates all pairs."""
    shards = shards or Shards(banks.pair.shape[1])
    of_outer, of_inner = marginals(images, banks, scale, shards)
    outer = jnp.argmax(of_outer, axis=1), jnp.max(of_outer, axis=1)
    return Likeliest(*outer, *shards.argmax(of_inner))


def marginals(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    shards: Shards | None = None,
    chunk: int | None = None,
) -> tuple[Float[Array, "batch outer"], Float[Array, "batch columns"]]:
    """Computes P(o|I), and P(i|I) of this device's columns, by summing over all pairs."""
    outer, inner = banks.sizes
    shards, chunk = shards or Shards(inner), min(chunk or _chunk_size(images, banks.pair, outer), outer)
    if banks.outer is None:
        log_total, log_outer = pairs_log_total(images, banks.pair, scale, shards, chunk), None
    else:
        log_total, log_outer = jnp.zeros(len(images)), jax.nn.log_softmax(cosines(images, banks.outer) * scale)

    def look(sums, at):
        of_outer, of_inner = sums
        number, logits = _logits(images, banks, scale, at, chunk, outer, shards)
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
    """Computes the logsumexp over the logits of all pairs. Its gradient recomputes the logits to save memory."""
    chunk = min(chunk or _chunk_size(images, pair, len(pair)), len(pair))

    @jax.checkpoint
    def look(total, at):
        number, logits = _logits(images, Banks(None, pair), scale, at, chunk, len(pair), shards)
        logits = jnp.where((number < len(pair))[:, None], logits, -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=(1, 2))), None

    start = shards.start(jnp.full(len(images), -jnp.inf))
    return shards.logsumexp(jax.lax.scan(look, start, jnp.arange(-(-len(pair) // chunk)))[0])


def conditional_logits(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    outer: Int[Array, "*batch_or_chosen"],
    shards: Shards,
) -> Float[Array, "*batch_or_chosen_or_1 columns"]:
    """Computes logits of this device's inner candidates, given one outer candidate per image, or several [batch, n].

    The shape is [batch, 1, columns] if several were given and the inner candidate does not depend on them.
    """
    pair = banks.pair
    if banks.condition != "prompt":
        assert banks.outer is not None
        several = outer if outer.ndim == 2 else outer[:, None]
        logits = conditioned(images, banks.outer[several], pair[0], banks.condition)
        logits = logits if outer.ndim == 2 else logits[:, 0]
    elif len(pair) == 1:
        logits = cosines(images, pair[0])
        logits = logits if outer.ndim == 1 else logits[:, None]
    else:

        def look(image: Float[Array, "embed"], chosen: Int[Array, ""]) -> Float[Array, "columns"]:
            texts = jax.lax.dynamic_index_in_dim(pair, chosen, keepdims=False)
            return jnp.einsum("d,id->i", image, texts, preferred_element_type=jnp.float32)

        def look_at_several(image: Float[Array, "embed"], chosen: Int[Array, "n"]) -> Float[Array, "n columns"]:
            return each(lambda number: look(image, number), chosen)

        # On CPUs, `vmap` copies the texts of all images and multiplies them elementwise: ten times slower than a loop.
        each = _one_by_one if platform() == "cpu" else lambda function, *of: jax.vmap(function)(*of)
        logits = each(look if outer.ndim == 1 else look_at_several, images.astype(pair.dtype), outer)
    return shards.masked(logits * scale)


def conditioned(
    images: Float[Array, "batch embed"],
    outer: Float[Array, "batch_or_1 n embed"],
    texts: Float[Array, "columns embed"],
    condition: Condition,
) -> Float[Array, "batch n columns"]:
    """Compares texts with an image and an outer candidate together (CCI, arXiv 2508.14280); all are unit embeddings.

    Written from the paper's abstract, by which image and outer candidate span a subspace that scores a text. Which of
    these is the paper's formula was not checked:
    'plane': the cosine of the text to its projection onto their plane. 'cone': the largest cosine to a sum of both with
    weights of at least 0; it differs where the nearest vector of the plane points away from one of them. 'mean': the
    cosine to the sum of both.
    """
    own = cosines(images, texts)[:, None]
    given = jnp.einsum("xnd,cd->xnc", outer.astype(texts.dtype), texts, preferred_element_type=jnp.float32)
    if len(outer) == 1:
        between = cosines(images, outer[0])[:, :, None]
    else:
        between = jnp.einsum("bd,bnd->bn", images.astype(outer.dtype), outer, preferred_element_type=jnp.float32)[
            ..., None
        ]
    if condition == "mean":
        return (own + given) / jnp.sqrt(jnp.maximum(2 + 2 * between, 1e-6))
    apart = jnp.maximum(1 - between**2, 1e-6)
    # The square of the length of the projection of a unit vector, by its cosines to the two that span the plane.
    within = jnp.sqrt(jnp.maximum((own**2 + given**2 - 2 * own * given * between) / apart, 1e-12))
    if condition == "plane":
        return within
    inside = (own >= given * between) & (given >= own * between)
    return jnp.where(inside, within, jnp.maximum(own, given))


def _one_by_one(function: Callable[..., Array], *arrays: Array) -> Array:
    return jax.lax.map(lambda each: function(*each), arrays)


def pair_embeddings(
    pair: Float[Array, "outer_or_1 columns embed"],
    outer: Int[Array, "batch"],
    inner: Int[Array, "batch"],
    shards: Shards,
) -> Float[Array, "batch embed"]:
    """Returns the float32 text embedding of one pair per image, from the device whose shard has it."""
    columns = pair.shape[1]
    column = inner - shards.numbers(columns)[0]
    own = (column >= 0) & (column < columns)
    chosen = pair[outer if len(pair) > 1 else 0, jnp.clip(column, 0, columns - 1)].astype(jnp.float32)
    return shards.sum(jnp.where(own[:, None], chosen, 0.0))


def cosines(images: Float[Array, "batch embed"], texts: Float[Array, "texts embed"]) -> Float[Array, "batch texts"]:
    """Computes cosine similarities of unit embeddings: products in the dtype of the texts, sums in float32."""
    return jnp.einsum("bd,td->bt", images.astype(texts.dtype), texts, preferred_element_type=jnp.float32)


def _chunk_size(images: Float[Array, "batch embed"], pair: Float[Array, "outer_or_1 columns embed"], outer: int) -> int:
    """Returns the number of outer candidates per iteration if all images are evaluated with the same ones."""
    _, columns, embed = pair.shape
    return max(1, min(LOGITS // (len(images) * columns), GATHERED // (columns * embed), outer))


def _top_of_likeliest(images, banks: Banks, scale, k: int, shards: Shards, chunk: int) -> TopPairs:
    """First evaluates each image with its own likeliest outer candidates, then, if some images need more of them, all
    images together with each candidate that is left.

    The second phase is a matrix product of all images with a candidate's texts, which is much cheaper than texts
    gathered per image. The first phase ends at the latest when it has cost as much as the second phase for all
    candidates, so that the total is at most twice the cost of the cheaper phase alone.
    """
    assert banks.outer is not None
    batch, outer = len(images), len(banks.outer)
    log_outer = jax.nn.log_softmax(cosines(images, banks.outer) * scale)
    steps = min(max(1, int(outer / (GATHER_COST * batch * chunk))), -(-outer // chunk))
    singly = min(steps * chunk, outer)
    ranked, order = jax.lax.top_k(log_outer, singly)
    pad = ((0, 0), (0, -singly % chunk))
    ranked, order = jnp.pad(ranked, pad, constant_values=-jnp.inf), jnp.pad(order, pad)

    def bar(best: TopPairs) -> Float[Array, "batch"]:
        # The k-th best pair of all devices is at least as probable as the k-th best of each device.
        return shards.max(best.log_prob[:, -1])

    def more(carry: tuple[Array, TopPairs]):
        at, best = carry
        ahead = jax.lax.dynamic_index_in_dim(ranked, at * chunk, axis=1, keepdims=False)
        return (at < steps) & jnp.any(ahead > bar(best))

    def look(carry: tuple[Array, TopPairs]):
        at, best = carry
        chosen = jax.lax.dynamic_slice_in_dim(order, at * chunk, chunk, axis=1)
        prior = jax.lax.dynamic_slice_in_dim(ranked, at * chunk, chunk, axis=1)
        # Finished images all read candidate 0, which stays in the cache.
        needed = prior > bar(best)[:, None]
        chosen, prior = jnp.where(needed, chosen, 0), jnp.where(needed, prior, -jnp.inf)
        logits = conditional_logits(images, banks, scale, chosen, shards)
        return at + 1, _merge(best, chosen, prior[:, :, None] + shards.log_softmax(logits), shards)

    at, best = jax.lax.while_loop(more, look, (jnp.int32(0), shards.start(_no_pairs(batch, k))))
    if singly == outer:
        return best
    seen = jnp.where(jnp.arange(steps * chunk) < at * chunk, order, outer)
    left = log_outer.at[jnp.arange(batch)[:, None], seen].set(-jnp.inf, mode="drop")
    wide = _chunk_size(images, banks.pair, outer)

    def look_together(best: TopPairs, at: Array):
        prior = _of(left, _numbers(at, wide, outer))

        def merged() -> TopPairs:
            number, logits = _logits(images, banks, scale, at, wide, outer, shards)
            joint = prior + shards.log_softmax(logits)
            return _merge(best, jnp.broadcast_to(number, (batch, wide)), joint, shards)

        return jax.lax.cond(jnp.any(prior > bar(best)[:, None, None]), merged, lambda: best), None

    return jax.lax.scan(look_together, best, jnp.arange(-(-outer // wide)))[0]


def _top_of_all(images, pair, scale, k: int, shards: Shards, chunk: int) -> TopPairs:
    outer = len(pair)

    def look(carry, at):
        best, total = carry
        number, logits = _logits(images, Banks(None, pair), scale, at, chunk, outer, shards)
        logits = jnp.where((number < outer)[:, None], logits, -jnp.inf)
        total = jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=(1, 2)))
        return (_merge(best, jnp.broadcast_to(number, (len(images), chunk)), logits, shards), total), None

    start = shards.start((_no_pairs(len(images), k), jnp.full(len(images), -jnp.inf)))
    (best, total), _ = jax.lax.scan(look, start, jnp.arange(-(-outer // chunk)))
    return best._replace(log_prob=best.log_prob - shards.logsumexp(total)[:, None])


def _no_pairs(batch: int, k: int) -> TopPairs:
    return TopPairs(jnp.zeros((batch, k), jnp.int32), jnp.zeros((batch, k), jnp.int32), jnp.full((batch, k), -jnp.inf))


def _merge(
    best: TopPairs, outer: Int[Array, "batch chunk"], joint: Float[Array, "batch chunk columns"], shards: Shards
) -> TopPairs:
    """Merges the best pairs so far with those of a chunk; ties keep their order."""
    batch, chunk, columns = joint.shape
    k = best.outer.shape[1]
    if chunk > k:
        # The k best pairs belong to the k outer candidates with the largest maxima; only these are sorted.
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
    """Returns the candidates of chunk `at`. The last chunk is full too; `outer` replaces those of earlier chunks."""
    number = jnp.minimum(at * chunk, outer - chunk) + jnp.arange(chunk)
    return jnp.where(number < at * chunk, outer, number)


def _of(log_outer: Float[Array, "batch outer"], number: Int[Array, "chunk"]) -> Float[Array, "batch chunk 1"]:
    return jnp.take(log_outer, number, axis=1, mode="fill", fill_value=-jnp.inf)[:, :, None]


def _logits(
    images, banks: Banks, scale, at, chunk: int, outer: int, shards: Shards
) -> tuple[Int[Array, "chunk"], Float[Array, "batch chunk columns"]]:
    """Returns `_numbers` of a chunk and its pairs' logits; those at positions marked `outer` are to be ignored."""
    pair = banks.pair
    _, columns, embed = pair.shape
    if banks.condition != "prompt":
        assert banks.outer is not None
        chosen = jax.lax.dynamic_slice_in_dim(banks.outer, jnp.minimum(at * chunk, outer - chunk), chunk)
        logits = conditioned(images, chosen[None], pair[0], banks.condition)
    elif len(pair) == 1:
        logits = jnp.broadcast_to(cosines(images, pair[0])[:, None], (len(images), chunk, columns))
    else:
        chosen = jax.lax.dynamic_slice_in_dim(pair, jnp.minimum(at * chunk, outer - chunk), chunk)
        # On CPUs, XLA's product of two matrices is four times as fast as that of three-dimensional arrays.
        logits = cosines(images, chosen.reshape(-1, embed)).reshape(len(images), chunk, columns)
    return _numbers(at, chunk, outer), shards.masked(logits * scale)
