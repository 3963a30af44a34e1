"""Packed tree attention, which encodes common prefixes of texts once in a causal text tower, without approximation.

The sorted texts form a trie of tokens, in which the hidden state of a token depends only on its ancestors. A pack is a
part of the trie that is run as one row, with an attention mask that lets a token attend to itself and its ancestors.
The embedding of a text equals that of the text encoded alone. A prefix shared by many texts is run once (prefill), and
their packs attend to its KV cache. Without common prefixes a pack contains several texts side by side.
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
from ecor_jax.clip.transformer import KVCache

SLOTS = 96
"""Tokens per pack. Smaller packs compute more tokens twice; larger ones attend over more tokens."""
ROWS = 32
"""Largest number of packs, or texts of a bidirectional tower, per call and device."""
MIN_SHARING = 256
"""Minimum number of texts with a common prefix for which that prefix is run once and its KV cache is shared. A pack
belongs to one shared prefix, so each further prefix leaves some slots empty."""


class Cost(NamedTuple):
    """Token counts: computed (with padding), of the texts, and of the texts padded to the context length."""

    computed: int
    own: int
    padded: int


class Packs(NamedTuple):
    """The packs of a trie, which is traversed depth first and cut into rows of `slots` tokens.

    The descendants of a token occupy the slots from its own to its `stop`. Thus a token attends to itself, to earlier
    tokens whose `stop` is greater than its slot, and to its shared prefix. An empty slot attends to itself.
    """

    ids: Int[np.ndarray, "packs slots"]
    positions: Int[np.ndarray, "packs slots"]
    stop: Int[np.ndarray, "packs slots"]
    ends: Int[np.ndarray, "packs texts"]
    """Slots of the EOT tokens of a pack's texts."""
    prefix: Int[np.ndarray, "packs 1"]
    """The row of `prefixes` that is a pack's shared prefix."""
    text: Int[np.ndarray, "packs texts"]
    """The number of the text of each EOT token in `ends`; -1 is padding."""
    prefixes: Int[np.ndarray, "prefixes tokens"]
    lengths: Int[np.ndarray, "prefixes"]
    """The length of each shared prefix; further tokens are padding."""


def encode(
    tower: TextTower, ids: Int[np.ndarray, "texts tokens"], done: Callable[[int], Any] = lambda texts: None
) -> tuple[Float[np.ndarray, "texts embed"], Cost]:
    """Returns unit embeddings of texts, and their cost in tokens.

    ids are padded after EOT. `done` is called with the number of texts of each finished call. A causal tower shares
    prefixes. A bidirectional tower encodes each padded text separately, because its tokens attend to later tokens and
    to padding. Each call is sharded over all local devices.
    """
    context, texts = len(tower.position_embedding[...]), len(ids)
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    graph, weights = nnx.split(tower)
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
    if tower.transformer.causal:
        eot = np.asarray(eot_positions(jnp.asarray(ids), tower.eot_id))
        packs, own = pack(ids, eot), int(eot.sum()) + texts
        computed, cache = packs.prefixes.size, None
        if computed:
            cache = _prefill(graph, weights, packs.prefixes)
        embed = functools.partial(_packed, graph, cache, packs.lengths)
        inputs, owner = packs[:5], packs.text
    else:
        embed, inputs, owner = functools.partial(_plain, graph), (ids,), np.arange(texts)[:, None]
        computed, own = 0, texts * context
    embeddings = np.empty((texts, tower.projection.out_features), np.float32)
    answers = []
    for rows, batch in _calls(inputs, mesh):
        answers.append((owner[rows], embed(weights, *batch)))
        computed += batch[0].size
        if len(answers) > 1:  # the host prepares a call while the device runs another
            done(_keep(embeddings, *answers.pop(0)))
    for answer in answers:
        done(_keep(embeddings, *answer))
    return embeddings, Cost(computed, own, texts * context)


def pack(ids: Int[np.ndarray, "texts tokens"], eot: Int[np.ndarray, "texts"]) -> Packs:
    """Packs texts whose EOT tokens are at the positions `eot`."""
    texts, longest = len(ids), max(1, int(eot.max()))
    body = np.where(np.arange(longest) < eot[:, None], ids[:, :longest] + 1, 0)
    sort = np.lexsort(body.T[::-1])
    body, length = body[sort], eot[sort]
    # `shared` is the length of a text's common prefix with the previous text; the loop below replaces it, for the first
    # text of each pack, by the length of the shared prefix of the pack.
    alike = np.cumprod(body[1:] == body[:-1], axis=1).sum(axis=1)
    shared = np.minimum(np.append(0, alike), length)
    prefix, begins = _shared_prefixes(shared)
    firsts = np.flatnonzero(begins)
    slots = -(-max(SLOTS, longest + 1) // 8) * 8
    # Packs rarely have over 1.25 times the mean number of texts; an unused entry of `ends` costs a 14th of a slot.
    most = min(slots, 8 * (1 + int(1.25 * slots / (1 + (length - shared).mean())) // 8))
    row, place, before = np.empty((3, texts), np.int64)
    used, count, number, of_pack = slots, 0, -1, []
    for text, (common, tokens, begin) in enumerate(zip(shared.tolist(), length.tolist(), begins.tolist(), strict=True)):
        if begin or used + tokens - common >= slots or count == most:
            shared[text] = common = int(prefix[text])
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
        *_table(body[firsts], prefix[firsts]),
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
        last = np.append(first[1:], texts) - 1  # of the texts below the same token
        has = (shared[first] <= depth) & (depth < length[first])
        first, last = first[has], last[has]
        put(row[first], before[first] + depth - shared[first], body[first, depth] - 1, depth, end[last] + 1)
    return packs


def _shared_prefixes(shared: Int[np.ndarray, "texts"]) -> tuple[Int[np.ndarray, "texts"], Bool[np.ndarray, "texts"]]:
    """Returns the length of each sorted text's shared prefix, and whether the text is the first with that prefix."""
    tokens, depth = np.zeros_like(shared), 0
    while True:
        depth += 1
        run = np.cumsum(shared < depth)  # texts of equal number share their first `depth` tokens, or are shorter
        many = np.bincount(run)[run] >= MIN_SHARING
        if not many.any():
            break
        tokens[many] = depth
    return tokens, np.append(True, tokens[1:] != tokens[:-1]) | (shared < tokens)


def _table(bodies: Int[np.ndarray, "prefixes tokens"], lengths: Int[np.ndarray, "prefixes"]):
    """Returns shared prefixes and their lengths, padded so that few shapes are compiled."""
    longest = -(-int(lengths.max()) // 8) * 8
    height = 1 << (len(lengths) - 1).bit_length()
    prefixes = np.zeros((height if longest else 0, longest), np.int32)
    known = min(longest, bodies.shape[1])
    prefixes[: len(lengths), :known] = np.maximum(bodies[:, :known] - 1, 0)
    return prefixes, np.pad(lengths, (0, height - len(lengths))).astype(np.int32)


@functools.partial(jax.jit, static_argnums=0)
def _prefill(graph: nnx.GraphDef, weights: nnx.State, prefixes) -> KVCache:
    tower: TextTower = nnx.merge(graph, weights)
    return tower.prefill(prefixes)


@functools.partial(jax.jit, static_argnums=0)
def _packed(
    graph: nnx.GraphDef, cache: KVCache | None, lengths, weights, ids, positions, stop, ends, prefix
) -> Float[Array, "n embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    slots, prefix = jnp.arange(ids.shape[1]), prefix[:, 0]
    query, key = slots[:, None], slots[None]
    mask: Bool[Array, "packs slots tokens"] = (key <= query)[None] & (query[None] < stop[:, None])
    if cache is not None:
        cache = KVCache(*(of_prefixes[:, prefix] for of_prefixes in cache))
        in_prefix = jnp.arange(cache.keys.shape[2])[None] < lengths[prefix, None]
        in_prefix = jnp.broadcast_to(in_prefix[:, None], (*ids.shape, in_prefix.shape[-1]))
        mask = jnp.concatenate([in_prefix, mask], axis=2)
    embeddings = unit(tower.at(ends, ids, positions, mask, cache))
    return embeddings.reshape(-1, embeddings.shape[-1])


@functools.partial(jax.jit, static_argnums=0)
def _plain(graph: nnx.GraphDef, weights: nnx.State, ids) -> Float[Array, "n embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    return unit(tower(ids))


def _calls(inputs: tuple[np.ndarray, ...], mesh: Mesh) -> Iterator[tuple[slice, list[Array]]]:
    """Yields batches of rows of the inputs, sharded over the mesh, in few sizes so that few programs are compiled."""
    start, split = 0, NamedSharding(mesh, PartitionSpec("rows"))
    while start < len(inputs[0]):
        left = -(-(len(inputs[0]) - start) // mesh.size)
        height = mesh.size * min(ROWS, 1 << (left - 1).bit_length())
        rows = slice(start, start + height)
        batch = [np.pad(array[rows], ((0, height - len(array[rows])), (0, 0)), "edge") for array in inputs]
        yield rows, jax.device_put(batch, split)
        start += height


def _keep(embeddings: np.ndarray, whose: np.ndarray, answer: Array) -> int:
    """Copies the results of a call to the rows of their texts; returns the number of texts."""
    whose = whose.reshape(-1)
    real = whose >= 0
    embeddings[whose[real]] = np.asarray(answer)[: len(whose)][real]
    return int(real.sum())
