"""The encoders of a bottleneck: a CLIP's own features and texts, and a file of another program's."""

import io
import json
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from ecor_jax.clip.tokenizer import tokenize
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder, DualEncoder, FileEncoder
from ecor_jax.parallel.mesh import make_mesh

NAMES, TEXTS = ["p10/one.jpg", "p11/zwei ü.png", "three.dcm"], ["a sign", 'no "sign"', "ein Zeichen", "kein Zeichen"]


def rows(count: int, width: int = 5, seed: int = 0) -> np.ndarray:
    return (3 * np.random.default_rng(seed).normal(size=(count, width))).astype(np.float32)


def write(path: Path, *, tensors=None, metadata=None) -> Path:
    """A good file, but for what is given."""
    tensors = {"images": rows(3), "texts": rows(4, seed=1)} | (tensors or {})
    metadata = {"images": json.dumps(NAMES), "texts": json.dumps(TEXTS)} | (metadata or {})
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path, metadata={name: text for name, text in metadata.items() if text is not None})
    return path


@pytest.fixture
def path(tmp_path) -> Path:
    return write(tmp_path / "biovil.safetensors")


def source(*names: str) -> InMemory:
    """Records whose pictures nobody could read."""
    return InMemory([Record(image=b"", category="", rationales=(), name=name) for name in names], "here")


def test_images_and_texts_come_back_by_name_in_the_order_asked(path):
    encoder = FileEncoder(path)
    np.testing.assert_array_equal(encoder.encode_source(source(*NAMES)), rows(3), strict=True)
    np.testing.assert_array_equal(encoder.encode_source(source(NAMES[2], NAMES[0], NAMES[2])), rows(3)[[2, 0, 2]])
    texts = rows(4, seed=1).astype(np.float64)
    expected = texts / np.sqrt((texts**2).sum(axis=1, keepdims=True))
    found = encoder.encode_text(TEXTS)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(encoder.encode_text([TEXTS[3], TEXTS[0]]), expected[[3, 0]], rtol=1e-6)


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        FileEncoder(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    return str(error.value)


def test_what_the_file_does_not_hold_is_listed(path):
    encoder = FileEncoder(path)
    with pytest.raises(UserError) as error:
        encoder.encode_source(source("a.png", NAMES[0], "b.png"))
    assert str(error.value) == f"{path}: no images 'a.png', 'b.png'"
    with pytest.raises(UserError) as error:
        encoder.encode_text([*TEXTS, *(f"sign {number}" for number in range(13))])
    listed = ", ".join(repr(f"sign {number}") for number in range(10))
    assert str(error.value) == f"{path}: no texts {listed} and 3 more"


def with_a(value: float) -> np.ndarray:
    found = rows(3)
    found[1, 2] = value
    return found


DIFFERENT = "{kind} of shape {shape}, {dtype}, with {names} different names; expected float32 [names, embed]"


@pytest.mark.parametrize("kind", ["images", "texts"])
@pytest.mark.parametrize(
    ("found", "names", "message"),
    [
        (rows(2), NAMES, DIFFERENT),
        (rows(9), NAMES, DIFFERENT),
        (rows(3)[:, :, None], NAMES, DIFFERENT),
        (rows(3)[0], NAMES, DIFFERENT),
        (rows(3).astype(np.float64), NAMES, DIFFERENT),
        (rows(3).astype(np.float16), NAMES, DIFFERENT),
        (rows(3).astype(np.int32), NAMES, DIFFERENT),
        (rows(3).astype(ml_dtypes.bfloat16), NAMES, ""),
        (rows(3), [NAMES[0], NAMES[0], NAMES[1]], DIFFERENT),
        (with_a(np.nan), NAMES, "{kind} are empty or not finite"),
        (with_a(np.inf), NAMES, "{kind} are empty or not finite"),
        (with_a(-np.inf), NAMES, "{kind} are empty or not finite"),
        (rows(0), [], "{kind} are empty or not finite"),
    ],
)
def test_arrays_of_another_form(tmp_path, kind, found, names, message):
    path = write(tmp_path / "f.safetensors", tensors={kind: found}, metadata={kind: json.dumps(names)})
    shown = {"kind": kind, "shape": found.shape, "dtype": found.dtype, "names": len(set(names))}
    assert message.format(**shown) in refused(path)


def test_images_and_texts_of_different_widths(tmp_path):
    message = refused(write(tmp_path / "f.safetensors", tensors={"texts": rows(4, 6)}))
    assert "images have shape (5,) each, texts (6,)" in message


@pytest.mark.parametrize("kind", ["images", "texts"])
@pytest.mark.parametrize("part", ["tensors", "metadata"])
def test_a_part_that_is_missing(tmp_path, kind, part):
    message = refused(write(tmp_path / "f.safetensors", **{part: {kind: None}}))
    assert kind in message and 'expected "images" and "texts", and names of both as JSON lists' in message


@pytest.mark.parametrize(
    "names", ["", "a.png", "[1", "3", "null", '{"a": 0, "b": 1, "c": 2}', '"abc"', "[[1], [2], [3]]", "[1, 2, 3]"]
)
def test_names_that_are_no_list_of_texts(tmp_path, names):
    refused(write(tmp_path / "f.safetensors", metadata={"images": names}))


def test_files_of_another_kind(path, tmp_path):
    whole = path.read_bytes()
    save_file({"images": rows(3), "texts": rows(4)}, path)  # without metadata
    for content in (path.read_bytes(), whole[:-7], b"", b"{}", b"torn", b"\x80\x04K\x01.", b"\xff" * 64):
        path.write_bytes(content)
        assert "not a file of embeddings" in refused(path)
    assert "cannot be read" in refused(tmp_path / "nowhere.safetensors")
    assert "is a folder; expected a file" in refused(tmp_path)


def encoder(model, batch_size: int = 8) -> DualEncoder:
    return ClipEncoder(model, batch_size=batch_size, mesh=make_mesh(), keep=True)


@pytest.fixture(scope="module")
def pictures() -> InMemory:
    """Grey and coloured."""
    rng, records = np.random.default_rng(0), []
    for number in range(9):
        pixels = rng.integers(0, 256, (16, 16) if number % 2 else (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
        records.append(Record(image=file.getvalue(), category="", rationales=(), name=f"{number}.png"))
    return InMemory(records, "here")


def test_features_are_those_of_the_tower_unnormalised_and_in_order(model, pictures):
    found = encoder(model).encode_source(pictures)
    assert found.shape == (9, model.clip.config.embed_dim)
    for row in (0, 1, 8):
        content = pictures[row]["image"]
        assert isinstance(content, bytes)
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[None]
        normalised = normalise_pixels(jnp.asarray(pixels), model.preprocess.mean, model.preprocess.std)
        np.testing.assert_allclose(found[row], model.clip.vision(normalised)[0], atol=1e-5)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() > 0.01


def test_texts_are_unit_and_those_of_the_text_tower(model):
    texts = ["a cat", "a wet nose", "a dog with a tail"]
    found = encoder(model).encode_text(texts)
    expected = np.asarray(model.clip.text(jnp.asarray(tokenize(model.tokenizer, texts, 77))), np.float64)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
