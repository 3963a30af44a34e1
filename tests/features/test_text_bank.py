"""Texts encoded once: the same as one by one, kept on disk, and a file that does not fit is never trusted."""

import dataclasses
import shutil
import threading
import time
import weakref
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging as absl_logging
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.atomic import cache_folder
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.clip.tokenizer import TextTooLong, learn_tokenizer
from ecor_jax.errors import UserError
from ecor_jax.features import text_bank
from ecor_jax.features.packed import Cost
from ecor_jax.features.pair_texts import PairTexts
from ecor_jax.features.text_bank import TextBank, embed_pairs, embed_texts

TEXTS = ("a cat", "this is a photo of a cat because there is a long tail.", "a dog with a wet nose", "a cat", "fur")
WORDS = {"c": ["cat", "dog", "grey seal"], "r": ["a long tail", "fur", "four legs", "a wet nose"]}


@pytest.fixture(scope="module")
def bank(model, tmp_path_factory) -> tuple[np.ndarray, Path]:
    """The embeddings of TEXTS, and the folder with the file they are kept in."""
    folder = tmp_path_factory.mktemp("banks")
    return embed_texts(model, TEXTS, folder), folder


@pytest.fixture
def folder(bank, tmp_path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(bank[1], tmp_path / "banks"))


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many texts the tower was asked to encode, call by call; it answers with the sum of the ids of each."""
    calls = []

    def encode(tower, ids, done):
        calls.append(len(ids))
        done(len(ids))
        return np.repeat(ids.sum(axis=1, keepdims=True), 16, axis=1).astype(np.float32), Cost(1, 1, 1)

    monkeypatch.setattr(text_bank, "encode", encode)
    return calls


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(absl_logging, "warning", lambda message, *parts: lines.append(message % parts))
    return lines


@pytest.fixture
def one_by_one(model, alone):
    """Each text in a row of its own, padded with anything: EOT has the largest id, what follows may be any other."""
    return lambda texts: alone(model.clip.text, [model.tokenizer(text)["input_ids"] for text in texts], 5)


def test_many_texts_of_ragged_lengths_in_several_shards(model, one_by_one, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "SHARD", 4)
    texts = [f"{number} {'and a long tail ' * (number % 5)}" for number in range(11)]
    bank, expected, found = TextBank(model, texts, tmp_path), one_by_one(texts), embed_texts(model, texts, tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(bank.rows(3, 9), expected[3:9], atol=1e-6)


def test_the_order_is_that_of_the_texts_and_duplicates_are_encoded_once(model, encoded, tmp_path):
    texts = ["bb", "a", "bb", "ccc", "a"]
    sums = [sum(model.tokenizer(text)["input_ids"]) for text in texts]
    assert embed_texts(model, texts, tmp_path)[:, 0].tolist() == sums
    assert encoded == [3]


@pytest.mark.parametrize("template", ["a {c} because of {r}.", "{r}/{c}", "{r}"])
@pytest.mark.parametrize("letters", ["cr", "rc"])
def test_pairs_are_what_each_text_gives_alone(model, one_by_one, monkeypatch, tmp_path, template, letters):
    """Whichever comes first in the template and in the bank, over the ends of shards, and where a letter is missing."""
    monkeypatch.setattr(text_bank, "SHARD", 5)
    words = {letter: WORDS[letter] for letter in letters}
    first, second = words.values()
    texts = [template.format(**{letters[0]: one, letters[1]: other}) for one in first for other in second]
    expected = one_by_one(texts).reshape(len(first), len(second), 16)
    for _ in "encoded, then read":
        pairs = embed_pairs(model, template, words, tmp_path)
        np.testing.assert_allclose(pairs[:, :], expected, atol=1e-6)
        for start, stop in ((0, 2), (1, 3), (2, 4), (1, 1)):
            np.testing.assert_allclose(pairs[:, start:stop], expected[:, start:stop], atol=1e-6)


@pytest.mark.parametrize("template", ["{c} with {r}", "{c}/{r}"])
def test_of_pairs_no_more_strings_than_two_shards_are_there_at_once(model, encoded, monkeypatch, tmp_path, template):
    """One tokenizer's tokens can be put together from parts, the other's cannot; memory is bounded with both."""
    monkeypatch.setattr(text_bank, "SHARD", 32)
    alive, most = weakref.WeakSet(), [0]

    class Watched(PairTexts):
        def __getitem__(self, number):
            if isinstance(number, slice):
                return super().__getitem__(number)
            text = Text(super().__getitem__(number))
            alive.add(text)
            most[0] = max(most[0], len(alive))
            return text

    class Text(str):
        __hash__ = object.__hash__

    texts = Watched(template, {"c": [f"cat {n}" for n in range(30)], "r": [f"{n} legs" for n in range(20)]})
    assert sum(len(rows) for _, rows in TextBank(model, texts, tmp_path).shards()) == 600
    assert len(encoded) == 19 and 0 < most[0] <= 66


def test_only_the_shards_that_are_asked_for_are_encoded(model, encoded, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "SHARD", 4)
    texts = PairTexts("{c} with {r}", {"c": ["cat", "dog", "seal"], "r": ["fur", "a tail", "legs"]})
    bank = TextBank(model, texts, tmp_path)
    whole = np.array([sum(model.tokenizer(text)["input_ids"]) for text in texts])
    assert bank.rows(5, 7)[:, 0].tolist() == whole[5:7].tolist()
    assert encoded == [4]
    # Of two processes, each has its own; what one has written the other reads.
    for _ in bank.shards([0, 2]):
        pass
    assert bank.rows(0, 9)[:, 0].tolist() == whole.tolist()
    assert sorted(encoded) == [1, 4, 4] and bank.cost == Cost(3, 3, 3)


def test_templates_that_begin_alike_are_encoded_together(model, one_by_one, monkeypatch, tmp_path):
    """Whichever is asked for first, and to the same bits after a file is lost."""
    monkeypatch.setattr(text_bank, "SHARD", 5)
    calls, encode = [], text_bank.encode
    monkeypatch.setattr(
        text_bank, "encode", lambda tower, ids, done: calls.append(len(ids)) or encode(tower, ids, done)
    )
    templates = ["a {c} with {r}", "a {c} with {r}.", "{r} of a {c}"]

    def bank(template: str) -> np.ndarray:
        return embed_pairs(model, template, WORDS, tmp_path, templates)[:, :]

    expected = {template: bank(template) for template in templates}
    assert calls == [10, 10, 4, 5, 5, 2]
    for template, pairs in expected.items():
        alone = one_by_one(PairTexts(template, WORDS))
        by_class = alone.reshape(4, 3, 16).swapaxes(0, 1) if template[1] == "r" else alone.reshape(3, 4, 16)
        np.testing.assert_allclose(pairs, by_class, atol=1e-6)
    for path in list(tmp_path.iterdir()):
        path.unlink()
        for template in reversed(templates):
            np.testing.assert_array_equal(bank(template), expected[template])


def test_a_bank_says_what_was_saved(model, tmp_path):
    texts = PairTexts("a photo of a {c} with {r}", {"c": ["cat", "dog"], "r": [f"{n} long legs" for n in range(2000)]})
    bank = TextBank(model, texts, tmp_path)
    bank.rows(0, 4000)
    assert bank.cost.padded == 4000 * 77
    assert bank.cost.own == sum(len(model.tokenizer(text)["input_ids"]) for text in texts)
    assert bank.cost.computed < 0.5 * bank.cost.own


def test_the_second_time_the_file_is_read_and_the_tower_is_not_called(bank, folder, model, tiny_clip, encoded):
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]
    np.testing.assert_array_equal(embed_texts(model, TEXTS, folder), bank[0])
    # Nor for other repetitions of the same texts, or the same dtype said otherwise.
    repeated = [*dict.fromkeys(TEXTS), "fur"]
    np.testing.assert_array_equal(embed_texts(model, repeated, folder), bank[0][[0, 1, 2, 4, 4]])
    embed_texts(load_clip(tiny_clip, dtype=jnp.dtype("float32")), TEXTS, folder)
    assert encoded == []


@pytest.mark.parametrize(
    "texts",
    [
        [f"{number} {'and a long tail ' * (number % 3)}" for number in range(7)],
        PairTexts("{c} with {r}", {"c": ["cat"], "r": [f"{n} legs" for n in range(7)]}),
    ],
    ids=["a list", "pairs"],
)
def test_what_was_encoded_before_a_stop_is_not_encoded_again(model, monkeypatch, tmp_path, texts):
    monkeypatch.setattr(text_bank, "SHARD", 2)
    begun, ended, encode, lock = [], [], text_bank.encode, threading.Lock()
    whole = TextBank(model, texts, tmp_path / "undisturbed").rows(0, 7)

    def stopped_at_the_third(tower, ids, done):
        with lock:
            begun.append(ids.tolist())
            is_third = len(begun) == 3
        if is_third:
            raise KeyboardInterrupt
        answer = encode(tower, ids, done)
        ended.append(ids.tolist())
        return answer

    monkeypatch.setattr(text_bank, "encode", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        TextBank(model, texts, tmp_path / "stopped").rows(0, 7)
    assert 2 <= len(ended) <= 3
    np.testing.assert_array_equal(TextBank(model, texts, tmp_path / "stopped").rows(0, 7), whole)
    assert len(ended) == 4 and begun[2] in ended[2:]


def test_a_shard_that_nobody_waits_for_any_more_is_given_up(model, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "SHARD", 2)
    begun, given_up, of_the_first = [], [], model.tokenizer("a").input_ids[1]
    another_began = threading.Event()

    def slow_but_for_the_first(tower, ids, done):
        begun.append(ids)
        if of_the_first in ids:
            assert another_began.wait(60)
            return np.ones((len(ids), 16)), Cost(1, 1, 1)
        another_began.set()
        for _ in range(3000):
            time.sleep(0.01)
            try:
                done(0)
            except RuntimeError:
                given_up.append(ids)
                raise
        raise AssertionError("it was not told")

    monkeypatch.setattr(text_bank, "encode", slow_but_for_the_first)
    shards = TextBank(model, ["a", "b", "c", "d", "e"], tmp_path).shards()
    assert next(shards)[0] == 0
    shards.close()
    assert len(given_up) == len(begun) - 1 >= 1


def test_weights_that_make_no_numbers_are_an_error_and_nothing_is_kept(model, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "encode", lambda tower, ids, done: (np.full((len(ids), 16), np.nan), Cost(1, 1, 1)))
    with pytest.raises(UserError, match="embeddings of texts are not finite"):
        embed_texts(model, TEXTS, tmp_path)
    assert not list(tmp_path.iterdir())


def other_tokenizer(model: Model) -> Model:
    tokenizer = learn_tokenizer(["quite other words"], 512, model.clip.config.text.context_length)
    return dataclasses.replace(model, tokenizer=tokenizer)


def other_weights(model):
    return dataclasses.replace(model, clip=type(model.clip)(model.clip.config, rngs=nnx.Rngs(9)))


def in_bfloat16(model: Model) -> Model:
    clip = type(model.clip)(model.clip.config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    nnx.update(clip, nnx.state(model.clip))
    return dataclasses.replace(model, clip=clip)


def test_another_file_for_other_pairs(model, encoded, tmp_path):
    """The same texts in part, or all of them, by another template or other lists."""
    c, r = ["cat", "dog"], ["fur", "legs"]
    banks = [(template, c, r) for template in ("{c} with {r}", "{c} and {r}", "{r} with {c}")]
    banks += [("{c} with {r}", *words) for words in ((c[:1], c[1:] + r), (c, r[::-1]), ([*c, "seal"], r))]
    for number, (template, c, r) in enumerate(banks, start=1):
        for _ in range(2):
            assert embed_pairs(model, template, {"c": c, "r": r}, tmp_path)[:, :].size
        assert len(encoded) == len(list(tmp_path.iterdir())) == number


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (other_weights, TEXTS),
        (other_tokenizer, TEXTS),
        (in_bfloat16, TEXTS),
        (lambda model: model, ("a cat", "fur")),
        (lambda model: model, TEXTS[::-1]),
        # The same letters, cut elsewhere.
        (lambda model: model, ("a", " cat", *TEXTS[1:])),
    ],
    ids=["weights", "tokenizer", "dtype", "fewer texts", "order", "cut elsewhere"],
)
def test_another_file_for_anything_that_changes_the_embeddings(folder, model, encoded, change, texts):
    embed_texts(change(model), texts, folder)
    assert len(encoded) == 1
    assert len(list(folder.iterdir())) == 2


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
        lambda path: path.write_bytes(path.read_bytes()[:20]),
        lambda path: path.write_bytes(b""),
        lambda path: save_file(load_file(path), path),
        lambda path: save_file({"weights": np.zeros(3, np.float32)}, path),
        a_folder,
    ],
    ids=["truncated", "a bit flipped", "header cut", "empty", "without checksum", "another tensor", "a folder"],
)
def test_a_file_that_is_not_what_was_written_is_made_again(bank, folder, model, encoded, warnings, harm):
    (path,) = folder.iterdir()
    harm(path)
    found = embed_texts(model, TEXTS, folder)
    assert len(encoded) == 1
    assert np.abs(found).min() > 1  # the new one, not the old
    assert str(path) in warnings[0] and "made again" in warnings[0]
    if harm is not a_folder:  # which cannot be replaced
        embed_texts(model, TEXTS, folder)
        assert len(encoded) == 1


def test_a_whole_file_of_other_texts_under_its_name_is_not_believed(bank, folder, model, encoded, warnings):
    (path,) = folder.iterdir()
    embed_texts(model, ["quite", "other", "texts", "four"], folder)
    (other,) = set(folder.iterdir()) - {path}
    other.replace(path)
    encoded.clear()
    embed_texts(model, TEXTS, folder)
    assert len(encoded) == 1 and len(warnings) == 1


def test_a_cache_that_cannot_be_written_costs_a_warning_only(bank, model, encoded, warnings, tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    assert embed_texts(model, TEXTS, file / "banks").shape == bank[0].shape
    assert len(warnings) == 1 and "not kept for the next run" in warnings[0]


def test_where_the_cache_is(monkeypatch, tmp_path):
    """Empty is unset, and XDG's has to be absolute."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    at_home, xdg = tmp_path / "home" / ".cache" / "ecor_jax", tmp_path / "ecor_jax"
    for own, shared, expected in (
        (tmp_path / "own", tmp_path, tmp_path / "own"),
        (None, tmp_path, xdg),
        ("", tmp_path, xdg),
        (None, "", at_home),
        (None, "not/absolute", at_home),
        (None, None, at_home),
    ):
        for name, value in (("ECOR_CACHE", own), ("XDG_CACHE_HOME", shared)):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, str(value))
        assert cache_folder() == expected


def test_a_text_that_is_empty_or_too_long_is_an_error_and_nothing_is_kept(model, tmp_path):
    with pytest.raises(UserError, match="empty"):
        embed_texts(model, ["a cat", " "], tmp_path)
    with pytest.raises(TextTooLong, match=r"'long long .* tokens; the text tower reads at most 77"):
        embed_texts(model, ["a cat", "long " * 80], tmp_path)
    assert not list(tmp_path.iterdir())
