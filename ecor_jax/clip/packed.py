"""Texts through a causal tower together, so that what several begin with is computed once.

Sorted, texts are a trie of tokens: a token depends on its ancestors and on nothing else. A pack is a piece of that
trie, run as one row whose attention mask says who is whose ancestor; each text's embedding is the one it has alone.
What many texts begin with, their trunk, is run once, and only looked at by their packs. Where nothing is shared, a pack
is some texts side by side.
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
from ecor_jax.clip.transformer import Memory

SLOTS = 96
"""Tokens of a pack. With fewer, more is computed twice; with more, each token's attention is wider."""
ROWS = 32
"""Packs (or texts of a tower that cannot share) of one call on one device."""
TRUNK = 256
"""Texts that have a trunk at least: with fewer, more is lost by packs that end with them than is saved."""


class Cost(NamedTuple):
    """Tokens of some texts: that were computed, that the texts have, and that they have if all are of full length."""

    computed: int
    own: int
    padded: int


class Packs(NamedTuple):
    """The texts of a trie, which is walked depth first and cut into packs of as many slots.

    A token sees itself and its ancestors: those before it whose `stop` is beyond its slot, and all of the trunk. A slot
    that nothing is in sees itself.
    """

    ids: Int[np.ndarray, "packs slots"]
    positions: Int[np.ndarray, "packs slots"]
    stop: Int[np.ndarray, "packs slots"]
    ends: Int[np.ndarray, "packs texts"]
    """Slots of the EOT tokens of its texts."""
    trunk: Int[np.ndarray, "packs 1"]
    """Which one it has."""
    text: Int[np.ndarray, "packs texts"]
    """Whose EOT it is; -1: nobody's."""
    trunks: Int[np.ndarray, "trunks tokens"]
    lengths: Int[np.ndarray, "trunks"]
    """Tokens of each trunk; then come others, which mean nothing."""


def encode(
    tower: TextTower, ids: Int[np.ndarray, "texts tokens"], done: Callable[[int], Any] = lambda texts: None
) -> tuple[Float[np.ndarray, "texts embed"], Cost]:
    """Unit embeddings of texts given as ids padded after EOT, and what they cost. `done` is told of texts as they come.

    Only a causal tower that is read at EOT can share. In others a token sees those behind it, padding too: texts are
    encoded one by one, of full length, and nothing is cut off. All local devices work, each on its share of a call.
    """
    context, texts = len(tower.position_embedding[...]), len(ids)
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    graph, weights = nnx.split(tower)
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
    if tower.transformer.causal:
        eot = np.asarray(eot_positions(jnp.asarray(ids), tower.eot_id))
        packs, own = pack(ids, eot), int(eot.sum()) + texts
        computed, memory = packs.trunks.size, None
        if computed:
            memory = _remember(graph, weights, packs.trunks)
        embed = functools.partial(_packed, graph, memory, packs.lengths)
        inputs, owner = packs[:5], packs.text
    else:
        embed, inputs, owner = functools.partial(_plain, graph), (ids,), np.arange(texts)[:, None]
        computed, own = 0, texts * context
    embeddings = np.empty((texts, tower.projection.out_features), np.float32)
    answers = []
    for rows, batch in _calls(inputs, mesh):
        answers.append((owner[rows], embed(weights, *batch)))
        computed += batch[0].size
        if len(answers) > 1:  # one call is put together while another one is computed
            done(_keep(embeddings, *answers.pop(0)))
    for answer in answers:
        done(_keep(embeddings, *answer))
    return embeddings, Cost(computed, own, texts * context)


def pack(ids: Int[np.ndarray, "texts tokens"], eot: Int[np.ndarray, "texts"]) -> Packs:
    """Packs of texts that end at the positions `eot`."""
    texts, longest = len(ids), max(1, int(eot.max()))
    body = np.where(np.arange(longest) < eot[:, None], ids[:, :longest] + 1, 0)
    sort = np.lexsort(body.T[::-1])
    body, length = body[sort], eot[sort]
    # Of each text: tokens that the one before has as well, but for the first of a pack, which has all to itself.
    alike = np.cumprod(body[1:] == body[:-1], axis=1).sum(axis=1)
    shared = np.minimum(np.append(0, alike), length)
    trunk, begins = _trunks(shared)
    firsts = np.flatnonzero(begins)
    slots = -(-max(SLOTS, longest + 1) // 8) * 8
    # Seldom does a pack hold a quarter more texts than on average; an end that nobody has costs a 14th of a slot.
    most = min(slots, 8 * (1 + int(1.25 * slots / (1 + (length - shared).mean())) // 8))
    row, place, before = np.empty((3, texts), np.int64)
    used, count, number, of_pack = slots, 0, -1, []
    for text, (common, tokens, begin) in enumerate(zip(shared.tolist(), length.tolist(), begins.tolist(), strict=True)):
        if begin or used + tokens - common >= slots or count == most:
            shared[text] = common = int(trunk[text])
            used = count = 0
            number += 1
            of_pack.append(text)
        row[text], place[text], before[text] = number, count, used
        used, count = used + tokens - common + 1, count + 1
    empty = np.zeros((number + 1, slots), np.int32)
    packs = Packs(
        empty,
        empty.copy(),
        empty + np.arange(1, slots + 1, dtype=np.int32),
        np.zeros((number + 1, most), np.int32),
        (np.cumsum(begins)[of_pack, None] - 1).astype(np.int32),
        np.full((number + 1, most), -1),
        *_table(body[firsts], trunk[firsts]),
    )

    def put(row, slot, token, position, stop) -> None:
        for array, values in zip(packs[:3], (token, position, stop), strict=True):
            array[row, slot] = values

    # Depth first: a text's own tokens, then its EOT.
    end = before + length - shared
    put(row, end, ids[sort, length], length, end + 1)
    packs.ends[row, place], packs.text[row, place] = end, sort
    new_pack = np.isin(np.arange(texts), of_pack)
    for depth in range(longest):
        first = np.flatnonzero((shared <= depth) | new_pack)
        last = np.append(first[1:], texts) - 1  # of the texts that go on below the same token
        has = (shared[first] <= depth) & (depth < length[first])
        first, last = first[has], last[has]
        put(row[first], before[first] + depth - shared[first], body[first, depth] - 1, depth, end[last] + 1)
    return packs


def _trunks(shared: Int[np.ndarray, "texts"]) -> tuple[Int[np.ndarray, "texts"], Bool[np.ndarray, "texts"]]:
    """Tokens of each text's trunk, and whether it is the first that has this one; texts are sorted."""
    tokens, depth = np.zeros_like(shared), 0
    while True:
        depth += 1
        run = np.cumsum(shared < depth)  # texts of one number begin with the same `depth` tokens, or have fewer
        many = np.bincount(run)[run] >= TRUNK
        if not many.any():
            break
        tokens[many] = depth
    return tokens, np.append(True, tokens[1:] != tokens[:-1]) | (shared < tokens)


def _table(bodies: Int[np.ndarray, "trunks tokens"], lengths: Int[np.ndarray, "trunks"]):
    """Trunks and their lengths in arrays of few shapes."""
    longest = -(-int(lengths.max()) // 8) * 8
    height = 1 << (len(lengths) - 1).bit_length()
    trunks = np.zeros((height if longest else 0, longest), np.int32)
    known = min(longest, bodies.shape[1])
    trunks[: len(lengths), :known] = np.maximum(bodies[:, :known] - 1, 0)
    return trunks, np.pad(lengths, (0, height - len(lengths))).astype(np.int32)


@functools.partial(jax.jit, static_argnums=0)
def _remember(graph: nnx.GraphDef, weights: nnx.State, trunks) -> Memory:
    tower: TextTower = nnx.merge(graph, weights)
    return tower.remember(trunks)


@functools.partial(jax.jit, static_argnums=0)
def _packed(
    graph: nnx.GraphDef, memory: Memory | None, lengths, weights, ids, positions, stop, ends, trunk
) -> Float[Array, "n embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    slots, trunk = jnp.arange(ids.shape[1]), trunk[:, 0]
    mask: Bool[Array, "packs slots tokens"] = (slots <= slots[:, None]) & (slots[:, None] < stop[:, None])
    if memory is not None:
        memory = Memory(*(of_trunks[:, trunk] for of_trunks in memory))
        in_trunk = jnp.arange(memory.keys.shape[2]) < lengths[trunk, None]
        in_trunk = jnp.broadcast_to(in_trunk[:, None], (*ids.shape, in_trunk.shape[-1]))
        mask = jnp.concatenate([in_trunk, mask], axis=2)
    embeddings = unit(tower.at(ends, ids, positions, mask, memory))
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
