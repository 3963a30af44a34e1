"""The top pairs of pictures where the pairs of a candidate are encoded when its turn comes."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.api import load
from ecor_jax.clip.model import Clip
from ecor_jax.features import text_bank
from ecor_jax.tasks.rationale import explain

RATIONALES = {f"class {n}": [f"{n} long legs", f"a tail of {n} feet", "fur"] for n in range(6)}


@pytest.fixture
def texts(monkeypatch, tmp_path) -> list[int]:
    """How many texts were encoded, call by call."""
    monkeypatch.setenv("ECOR_CACHE", str(tmp_path))
    calls, encode = [], text_bank.encode

    def counted(tower, ids, done):
        calls.append(len(ids))
        return encode(tower, ids, done)

    monkeypatch.setattr(text_bank, "encode", counted)
    return calls


def said(clip, method: str, pictures: int = 3):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(pictures)]
    return [
        [(pair.category, pair.rationale, pair.probability) for pair in explained.pairs]
        for explained in load(str(clip), rationales=RATIONALES).explain(images, method=method, top_k=4)
    ]


@pytest.mark.parametrize("method", ["ecor", "ecor_reversed", "ecor_false_condition"])
def test_they_are_those_of_the_whole_bank(tiny_clip, texts, monkeypatch, method, capsys):
    with_bank, before = said(tiny_clip, method), list(texts)
    monkeypatch.setattr(explain, "MANY", 0)
    without = said(tiny_clip, method)
    for here, there in zip(without, with_bank, strict=True):
        assert [pair[:2] for pair in here] == [pair[:2] for pair in there]
        np.testing.assert_allclose([pair[2] for pair in here], [pair[2] for pair in there], rtol=1e-5)
    sizes = "6 x 13 candidates; 13 prompts" if method == "ecor_reversed" else "13 x 6 candidates; 6 prompts"
    assert f"{method}: {sizes} are encoded for each of the first that the search reaches" in capsys.readouterr().err
    # Those of a candidate at a time; a second look encodes nothing.
    inner = 13 if method == "ecor_reversed" else 6
    assert set(texts[len(before) :]) == {inner}
    encoded = len(texts)
    assert said(tiny_clip, method) == without and len(texts) == encoded


def test_one_candidate_that_is_certain_is_all_that_is_encoded(tiny_clip, texts, monkeypatch):
    """Of the others not even the likeliest pair can enter."""
    monkeypatch.setattr(explain, "MANY", 0)
    monkeypatch.setattr(Clip, "scale", lambda self: jnp.float32(1e4))
    said(tiny_clip, "ecor", pictures=1)
    assert texts == [13, 6]


def test_a_bank_of_many_pairs_is_announced_with_what_it_takes(tiny_clip, monkeypatch, capsys):
    monkeypatch.setattr(explain, "MANY", 77)
    said(tiny_clip, "clip", pictures=1)
    assert re.search("clip: one softmax over 78 pairs, which are all encoded: 0.0 GiB", capsys.readouterr().err)
    monkeypatch.setattr(explain, "MANY", 78)
    said(tiny_clip, "clip", pictures=1)
    assert "softmax" not in capsys.readouterr().err
