"""Texts through a causal tower together, so that what several begin with is computed once.

Sorted, texts are a trie of tokens: a token depends on its ancestors and on nothing else. A pack is a piece of that
trie, run as one row whose attention mask says who is whose ancestor; each text's embedding is the one it has alone.
Where nothing is shared, a pack is some texts side by side.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.clip.model import unit
from ecor_jax.clip.text import TextTower, eot_positions

NODES = 96
"""Tokens of a pack but for EOT. With fewer, more is computed twice; with more, each token's attention is wider."""
ROWS = 32
"""Packs (or texts of a tower that cannot share) of one call on one device."""


class Cost(NamedTuple):
    """Tokens of some texts: that were computed, that the texts have, and that they have if all are of full length."""

    computed: int
    own: int
    padded: int


class Packs(NamedTuple):
    """The texts of a trie, in packs of `ends` slots for the EOT tokens of its texts, then others for their ancestors.

    A token sees those in whose interval [order, stop) its own `order` lies: in a trie that is walked depth first these
    are its ancestors and itself. A slot that nothing is in sees itself.
    """

    ids: Int[np.ndarray, "packs slots"]
    positions: Int[np.ndarray, "packs slots"]
    order: Int[np.ndarray, "packs slots"]
    stop: Int[np.ndarray, "packs slots"]
    ends: int
    text: Int[np.ndarray, "packs ends"]
    """Whose EOT is in the slot; -1: nobody's."""


def encode(
    tower: TextTower, ids: Int[np.ndarray, "texts tokens"], done: Callable[[int], Any] = lambda texts: None
) -> tuple[Float[np.ndarray, "texts embed"], Cost]:
    """Unit embeddings of texts given as ids padded after EOT, and what they cost. `done` is told of texts as they come.

    Only a causal tower that is read at EOT can share; what is any other is given whole texts of full length.
    All local devices work, each on its share of a call.
    """
    eot = np.asarray(eot_positions(jnp.asarray(ids), tower.eot_id))
    context, texts = len(tower.position_embedding[...]), len(ids)
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    graph, weights = nnx.split(tower)
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
    if tower.transformer.causal:
        packs = pack(ids, eot)
        embed, inputs, owner = functools.partial(_packed, graph, packs.ends), packs[:4], packs.text
    else:
        whole = np.zeros((texts, context), np.int32)
        whole[:, : ids.shape[1]] = ids
        embed, inputs, owner = functools.partial(_plain, graph), (whole,), np.arange(texts)[:, None]
    embeddings = np.empty((texts, tower.projection.out_features), np.float32)
    computed, answers = 0, []
    for rows, batch in _calls(inputs, mesh):
        answers.append((owner[rows], embed(weights, *batch)))
        computed += batch[0].size
        if len(answers) > 1:  # one call is put together while another one is computed
            done(_keep(embeddings, *answers.pop(0)))
    for answer in answers:
        done(_keep(embeddings, *answer))
    return embeddings, Cost(computed, int(eot.sum()) + texts, texts * context)


def pack(ids: Int[np.ndarray, "texts tokens"], eot: Int[np.ndarray, "texts"]) -> Packs:
    """Packs of texts that end at the positions `eot`."""
    texts, longest = len(ids), max(1, int(eot.max()))
    body = np.where(np.arange(longest) < eot[:, None], ids[:, :longest] + 1, 0)
    sort = np.lexsort(body.T[::-1])
    body, length = body[sort], eot[sort]
    # Of each text: tokens that the one before has as well, but for the first of a pack, which has all to itself.
    alike = np.cumprod(body[1:] == body[:-1], axis=1).sum(axis=1)
    shared = np.minimum(np.append(0, alike), length)
    nodes = -(-max(NODES, longest) // 8) * 8
    ends = min(nodes, -(-nodes * texts // max(int((length - shared).sum()), 1) // 8) * 8)
    row, slot, before = np.empty((3, texts), np.int64)
    used, count, number = nodes, ends, -1
    for text, (common, own) in enumerate(zip(shared.tolist(), length.tolist(), strict=True)):
        if used + own - common > nodes or count == ends:
            shared[text] = common = used = count = 0
            number += 1
        row[text], slot[text], before[text] = number, count, used
        used, count = used + own - common, count + 1
    empty = np.tile(np.arange(nodes + ends, dtype=np.int32) + nodes + ends, (number + 1, 1))
    packs = Packs(np.zeros_like(empty), np.zeros_like(empty), empty, empty + 1, ends, np.full((number + 1, ends), -1))

    def put(row, slot, token, position, order, stop) -> None:
        for array, values in zip(packs[:4], (token, position, order, stop), strict=True):
            array[row, slot] = values

    # Depth first: a text's own tokens, then its EOT.
    end = before + length - shared + slot
    put(row, slot, ids[sort, length], length, end, end + 1)
    packs.text[row, slot] = sort
    for depth in range(longest):
        first = np.flatnonzero(shared <= depth)
        last = np.append(first[1:], texts) - 1  # of the texts that go on below the same token
        has = length[first] > depth
        first, last = first[has], last[has]
        at = before[first] + depth - shared[first]
        put(row[first], ends + at, body[first, depth] - 1, depth, at + slot[first], end[last] + 1)
    return packs


@functools.partial(jax.jit, static_argnums=(0, 1))
def _packed(graph: nnx.GraphDef, ends: int, weights: nnx.State, ids, positions, order, stop) -> Float[Array, "n embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    asks = order[:, :, None]
    mask: Bool[Array, "packs slots slots"] = (order[:, None] <= asks) & (asks < stop[:, None])
    embeddings = unit(tower.first_of(ids, positions, mask, ends))
    return embeddings.reshape(-1, embeddings.shape[-1])


@functools.partial(jax.jit, static_argnums=0)
def _plain(graph: nnx.GraphDef, weights: nnx.State, ids) -> Float[Array, "n embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    return unit(tower(ids))


def _calls(inputs: tuple[np.ndarray, ...], mesh: Mesh) -> Iterator[tuple[slice, list[Array]]]:
    """Rows of the inputs in batches of few heights, so few programs to compile, spread over the mesh."""
    start, split = 0, NamedSharding(mesh, PartitionSpec("rows"))
    while start < len(inputs[0]):
        left = -(-(len(inputs[0]) - start) // mesh.size)
        height = mesh.size * min(ROWS, 1 << (left - 1).bit_length())
        rows = slice(start, start + height)
        batch = [np.pad(array[rows], ((0, height - len(array[rows])), (0, 0)), "edge") for array in inputs]
        yield rows, jax.device_put(batch, split)
        start += height


def _keep(embeddings: np.ndarray, whose: np.ndarray, answer: Array) -> int:
    """Puts answers where they belong; how many texts they are of."""
    whose = whose.reshape(-1)
    real = whose >= 0
    embeddings[whose[real]] = np.asarray(answer)[: len(whose)][real]
    return int(real.sum())
