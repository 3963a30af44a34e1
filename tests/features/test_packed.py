"""Texts in packs: each one's embedding is that of the plain tower, whatever is shared, and what it costs."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.clip.config import ClipConfig, preset
from ecor_jax.clip.model import unit
from ecor_jax.clip.text import TextTower
from ecor_jax.features import packed

START, END = 510, 511
CLASSES = [[20], [21, 22], [23, 24, 25], [21, 26], [27]]
RATIONALES = [[30, 31, 32], [30, 31], [33], [34, 35, 36, 37], [30, 31, 32, 38], [39, 40], [33, 41]]


def padded(texts: list[list[int]], fill: int = 0) -> np.ndarray:
    ids = np.full((len(texts), max(map(len, texts))), fill, np.int32)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids


def tower_of(eot_id: int | None = None) -> TextTower:
    config = preset("tiny/16-8")
    config: ClipConfig = dataclasses.replace(config, text=dataclasses.replace(config.text, eot_id=eot_id))
    return TextTower(config, rngs=nnx.Rngs(0))


RANDOM = np.random.default_rng(0)
TEXTS = {
    "class first": [[START, 1, 2, *c, 3, 4, *r, END] for c in CLASSES for r in RATIONALES],
    "rationale first": [[START, *r, 3, *c, END] for r in RATIONALES for c in CLASSES],
    "nothing shared": [[5 + n, *RANDOM.integers(1, 500, n % 30).tolist(), END] for n in range(41)],
    "one text": [[START, 7, END]],
    "no token but EOT": [[END], [END]],
    "twice the same": [[START, 7, 8, END], [START, 7, END], [START, 7, 8, END]],
    "as long as can be": [[START, *([9] * n), END] for n in (75, 74, 3, 75)],
}


@pytest.mark.optimized
@pytest.mark.parametrize("eot_id", [None, END], ids=["largest id", "first of an id"])
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_embeddings_are_those_of_the_plain_tower(texts, eot_id, alone, monkeypatch):
    """In packs so small that all is spread over several calls."""
    tower, told = tower_of(eot_id), []
    monkeypatch.setattr(packed, "SLOTS", 8)
    monkeypatch.setattr(packed, "ROWS", 1)
    monkeypatch.setattr(packed, "MIN_SHARING", 6)
    found, cost = packed.encode(tower, padded(texts), told.append)
    np.testing.assert_allclose(found, alone(tower, texts, END), atol=1e-6)
    assert (cost.own, cost.padded) == (sum(map(len, texts)), 77 * len(texts))
    assert sum(told) == len(texts)


def test_what_follows_eot_is_dead_weight_by_both_conventions(alone):
    """Padding with EOT itself, as some tokenizers do, or with an id that is EOT by the other convention."""
    texts = TEXTS["class first"]
    for eot_id, end, fill in ((None, END, END), (9, 9, 9), (9, 9, END)):
        ended = [[*text[:-1], end] for text in texts]
        tower = tower_of(eot_id)
        np.testing.assert_allclose(packed.encode(tower, padded(ended, fill))[0], alone(tower, ended, end), atol=1e-6)


def test_what_is_shared_is_saved_and_where_nothing_is_not_much_is_lost():
    many = [[START, 1, 2, 3, *c, 4, 5, 6, *r, n, END] for c in CLASSES for r in RATIONALES for n in range(50, 90)]
    tower = tower_of()
    cost = packed.encode(tower, padded(many))[1]
    assert cost.computed < 0.4 * cost.own < 0.1 * cost.padded
    lone = [[*RANDOM.integers(1, 500, 11).tolist(), END] for _ in range(4096)]
    cost = packed.encode(tower, padded(lone))[1]
    assert cost.own <= cost.computed < 1.2 * cost.own


def test_texts_of_a_bidirectional_tower_are_encoded_whole():
    """There every token depends on all others, padding too: nothing is shared, and nothing cut off."""
    tower = TextTower(preset("tiny/siglip-16-8"), rngs=nnx.Rngs(0))
    ids = np.full((21, 64), 7, np.int32)
    ids[:, :9] = np.random.default_rng(0).integers(8, 500, (21, 9))
    ids[1, :8] = ids[0, :8]
    expected = unit(tower(jnp.asarray(ids)))
    found, cost = packed.encode(tower, ids)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert cost.own == cost.padded == 21 * 64 <= cost.computed
    with pytest.raises(ValueError, match="texts have 9 ids; expected 64, padded"):
        packed.encode(tower, ids[:, :9])


def test_bfloat16_is_as_near_as_bfloat16_is(alone):
    tower = TextTower(preset("tiny/16-8"), dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    found = packed.encode(tower, padded(TEXTS["class first"]))[0]
    np.testing.assert_allclose(found, alone(tower, TEXTS["class first"], END), atol=0.03)


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(1, 3), max_size=9), min_size=1, max_size=40), st.integers(8, 24), st.integers(2, 9)
)
def test_in_a_pack_every_token_sees_its_own_beginning_and_nothing_else(bodies, nodes, many):
    texts = [[*body, END] for body in bodies]
    ids = padded(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "SLOTS", nodes)
        patch.setattr(packed, "MIN_SHARING", many)
        packs = packed.pack(ids, np.array([len(text) - 1 for text in texts]))
    assert sorted(packs.text[packs.text >= 0].tolist()) == list(range(len(texts)))
    for row in range(len(packs.ids)):
        tokens, positions, stop, ends, (prefix,) = (array[row] for array in packs[:5])
        prefix = packs.prefixes[prefix, : packs.lengths[prefix]].tolist() if packs.prefixes.size else []
        # Many texts begin with it; here may be but a few of them.
        assert not prefix or sum(text[: len(prefix)] == prefix for text in texts) >= many
        ended = {slot: text for slot, text in zip(ends.tolist(), packs.text[row].tolist(), strict=True) if text >= 0}
        assert len(ended) == np.count_nonzero(packs.text[row] >= 0)
        beginnings = set()
        for slot in range(len(tokens)):
            seen = np.flatnonzero((np.arange(len(tokens)) <= slot) & (slot < stop))
            assert seen[-1] == slot
            if slot in ended:
                assert prefix + tokens[seen].tolist() == texts[ended[slot]]
            elif tokens[slot]:
                beginnings.add(tuple(tokens[seen].tolist()))
            else:
                assert seen.tolist() == [slot]
                continue
            assert positions[seen].tolist() == list(range(len(prefix), len(prefix) + len(seen)))
            assert not ended.keys() & set(seen[:-1].tolist())
        # Each beginning is there once.
        assert len(beginnings) == np.count_nonzero(tokens) - len(ended)
