"""Texts encoded once: the same as one by one, kept on disk, and a file that does not fit is never trusted."""

import dataclasses
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging as absl_logging
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax import text_bank
from ecor_jax.array_cache import cache_folder
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.clip.tokenizer import TextTooLong, learn_tokenizer
from ecor_jax.errors import UserError
from ecor_jax.text_bank import embed_texts

TEXTS = ("a cat", "this is a photo of a cat because there is a long tail.", "a dog with a wet nose", "a cat", "fur")


@pytest.fixture(scope="module")
def model(tiny_clip) -> Model:
    return load_clip(tiny_clip)


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
def encoded(monkeypatch) -> list[list[str]]:
    """The texts that the tower was asked to encode, call by call; it answers with the length of each."""
    calls = []

    def encode(model, texts, done):
        calls.append(list(texts))
        return np.array([[len(text)] * model.clip.config.embed_dim for text in texts], np.float32)

    monkeypatch.setattr(text_bank, "_encode", encode)
    return calls


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(absl_logging, "warning", lambda message, *parts: lines.append(message % parts))
    return lines


def one_by_one(model: Model, texts) -> np.ndarray:
    """Each text alone, in the whole context, padded with anything after EOT."""
    length, rows = model.clip.config.text.context_length, []
    tower = nnx.jit(lambda tower, ids: tower(ids))
    for text in texts:
        ids = model.tokenizer(text)["input_ids"]
        # EOT has the largest id; what follows may be any other.
        padded = np.array([ids + [5] * (length - len(ids))], np.int32)
        row = np.asarray(tower(model.clip.text, padded), np.float64)[0]
        rows.append(row / np.sqrt((row**2).sum()))
    return np.stack(rows)


def test_a_bank_is_what_each_text_gives_alone_and_uncut(bank, model):
    np.testing.assert_allclose(bank[0], one_by_one(model, TEXTS), atol=1e-6)
    assert bank[0].dtype == np.float32


def test_progress_goes_by_tokens_and_ends_at_all_texts(model):
    """Short texts come first: half of the texts are less than half of the work."""
    told: list[int] = []
    text_bank._encode(model, ["cat"] * text_bank.ROWS + ["a dog with four legs and a wet nose"] * 200, told.append)
    assert sum(told) == text_bank.ROWS + 200 and 0 < told[0] < 0.7 * text_bank.ROWS


def test_many_texts_of_ragged_lengths_in_several_calls_of_the_tower(model, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "ROWS", 4)
    texts = [f"{number} {'and a long tail ' * (number % 5)}" for number in range(11)]
    np.testing.assert_allclose(embed_texts(model, texts, tmp_path), one_by_one(model, texts), atol=1e-6)


def test_the_order_is_that_of_the_texts_and_duplicates_are_encoded_once(model, encoded, tmp_path):
    texts = ["bb", "a", "bb", "ccc", "a"]
    assert embed_texts(model, texts, tmp_path)[:, 0].tolist() == [2, 1, 2, 3, 1]
    assert encoded == [["bb", "a", "ccc"]]


def test_the_second_time_the_file_is_read_and_the_tower_is_not_called(bank, folder, model, tiny_clip, encoded):
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]
    np.testing.assert_array_equal(embed_texts(model, TEXTS, folder), bank[0])
    # Nor for other repetitions of the same texts, or the same dtype said otherwise.
    repeated = [*dict.fromkeys(TEXTS), "fur"]
    np.testing.assert_array_equal(embed_texts(model, repeated, folder), bank[0][[0, 1, 2, 4, 4]])
    embed_texts(load_clip(tiny_clip, dtype=jnp.dtype("float32")), TEXTS, folder)
    assert encoded == []


def test_what_was_encoded_before_a_stop_is_not_encoded_again(model, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "SHARD", 2)
    texts = [f"{number} {'and a long tail ' * (number % 3)}" for number in range(7)]
    whole, calls, encode = embed_texts(model, texts, tmp_path / "undisturbed"), [], text_bank._encode

    def stopped_at_the_third(model, texts, done):
        calls.append(texts)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(model, texts, done)

    monkeypatch.setattr(text_bank, "_encode", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        embed_texts(model, texts, tmp_path / "stopped")
    np.testing.assert_array_equal(embed_texts(model, texts, tmp_path / "stopped"), whole)
    assert calls == [texts[0:2], texts[2:4], texts[4:6], texts[4:6], texts[6:7]]


def test_weights_that_make_no_numbers_are_an_error_and_nothing_is_kept(model, monkeypatch, tmp_path):
    monkeypatch.setattr(text_bank, "_encode", lambda model, texts, done: np.full((len(texts), 16), np.nan))
    with pytest.raises(UserError, match="embeddings of texts are not finite"):
        embed_texts(model, TEXTS, tmp_path)
    assert not list(tmp_path.iterdir())


def other_tokenizer(model: Model) -> Model:
    tokenizer = learn_tokenizer(["quite other words"], 512, model.clip.config.text.context_length)
    return dataclasses.replace(model, tokenizer=tokenizer)


def in_bfloat16(model: Model) -> Model:
    clip = type(model.clip)(model.clip.config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    return dataclasses.replace(model, clip=clip)


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (lambda model: dataclasses.replace(model, digest="0" * 64), TEXTS),
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
    assert found[:, 0].tolist() == [len(text) for text in TEXTS]  # the new one, not the old
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
    monkeypatch.setenv("ECOR_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("ECOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ecor_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "ecor_jax"


def test_a_text_that_is_empty_or_too_long_is_an_error_and_nothing_is_kept(model, tmp_path):
    with pytest.raises(UserError, match="empty"):
        embed_texts(model, ["a cat", " "], tmp_path)
    with pytest.raises(TextTooLong, match=r"'long long .* tokens; the text tower reads at most 77"):
        embed_texts(model, ["a cat", "long " * 80], tmp_path)
    assert not list(tmp_path.iterdir())
