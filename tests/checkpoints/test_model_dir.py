"""Model directories: what is saved is what is loaded, by us and by transformers; never half of it."""

import dataclasses
import json
import os
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.checkpoints import model_dir
from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.checkpoints.weights import flat_parameters, weights_digest
from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import tokenize
from ecor_jax.errors import UserError

TEXTS = ["a dog", "four legs", "a tail!"]


PREPROCESS = Preprocess(24, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def clip(config: ClipConfig) -> Clip:
    return Clip(dataclasses.replace(config, activation="gelu"), rngs=nnx.Rngs(3))


@pytest.fixture
def saved(tmp_path, clip, tokenizer):
    save_clip(tmp_path / "model", clip, tokenizer, PREPROCESS)
    return tmp_path / "model"


def test_round_trip_through_our_reader(saved, clip, tokenizer):
    model = load_clip(saved)
    assert (model.clip.config, model.path, model.preprocess) == (clip.config, saved, PREPROCESS)
    assert model.tokenizer(TEXTS).input_ids == tokenizer(TEXTS).input_ids
    assert model.digest == weights_digest(clip)
    assert all(value.dtype == np.float32 for value in flat_parameters(model.clip).values())
    # Computing in another type keeps the parameters; files of others beside them are let be.
    (saved / "ecor.json").write_text(json.dumps({}))
    (saved / "prompts.safetensors").touch()
    low = load_clip(saved, dtype=jnp.bfloat16)
    assert low.digest == model.digest and low.clip.text.dtype == jnp.bfloat16


def test_round_trip_through_transformers(saved, torch, clip, tokenizer, tmp_path):
    from transformers import AutoTokenizer, CLIPModel, CLIPProcessor

    loaded: Any = CLIPModel.from_pretrained(saved, output_loading_info=True)
    reference, report = loaded
    assert not any(report.values())
    assert AutoTokenizer.from_pretrained(saved)(TEXTS).input_ids == tokenizer(TEXTS).input_ids
    assert CLIPProcessor.from_pretrained(saved)(text=TEXTS).input_ids == tokenizer(TEXTS).input_ids
    ids = tokenize(tokenizer, ["a dog", "four legs"], 16)
    with torch.no_grad():
        expected = reference.get_text_features(input_ids=torch.tensor(ids)).pooler_output.numpy()
    np.testing.assert_allclose(clip.text(jnp.asarray(ids)), expected, rtol=0, atol=1e-5)

    reference.save_pretrained(tmp_path / "theirs")
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(saved / name, tmp_path / "theirs")
    assert load_clip(tmp_path / "theirs").digest == weights_digest(clip)


def test_the_convention_of_the_end_of_text_is_kept(config, tokenizer, tmp_path):
    def save(place, eot_id):
        text = dataclasses.replace(config.text, eot_id=eot_id)
        save_clip(place, Clip(dataclasses.replace(config, text=text), rngs=nnx.Rngs(0)), tokenizer, PREPROCESS)
        assert load_clip(place).clip.config.text == text

    save(tmp_path / "largest", None)
    save(tmp_path / "first", tokenizer.eos_token_id)
    with pytest.raises(UserError, match="cannot say that EOT is token 2"):
        save(tmp_path / "other", 2)
    assert sorted(os.listdir(tmp_path)) == ["first", "largest"]


def test_the_digest_sees_weights_and_configuration(clip):
    digest = weights_digest(clip)
    other = nnx.clone(clip)
    assert weights_digest(other) == digest
    other.vision.ln_post.bias[...] = other.vision.ln_post.bias[...].at[0].add(1e-7)
    assert weights_digest(other) != digest
    other = nnx.clone(clip)
    other.config = dataclasses.replace(clip.config, activation="quick_gelu")
    assert weights_digest(other) != digest


def test_only_an_older_model_is_overwritten_and_only_when_asked(saved, clip, tokenizer, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    (tmp_path / "link").symlink_to(saved)
    for name, overwrite, message in [
        ("model", False, "is not empty"),
        ("link", True, "is a link"),
        ("thesis", True, "something else than a model"),
        ("thesis/chapter", False, "is a file"),
    ]:
        with pytest.raises(UserError, match=message):
            save_clip(tmp_path / name, clip, tokenizer, None, overwrite=overwrite)
    (saved / "notes.txt").write_text("the user's own")
    save_clip(saved, clip, tokenizer, None, overwrite=True)
    assert (saved / "notes.txt").read_text() == "the user's own"
    assert not (saved / "preprocessor_config.json").exists()
    assert sorted(os.listdir(tmp_path)) == ["link", "model", "thesis"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_failed_write_leaves_what_was_there(exists, clip, tokenizer, tmp_path, monkeypatch):
    if exists:
        save_clip(tmp_path / "model", clip, tokenizer, None)
    before = sorted(tmp_path.rglob("*"))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_dir, "save_file", full)
    with pytest.raises(UserError, match=r"cannot be written.*No space left"):
        save_clip(tmp_path / "model", clip, tokenizer, None, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_needs_its_tokenizer_and_preprocessing_of_its_size(saved, edit_json):
    for key in ("size", "crop_size"):
        edit_json(saved / "preprocessor_config.json", key, 32)
    with pytest.raises(UserError, match="prepared at 32 pixels, but the vision tower takes 24"):
        load_clip(saved)
    (saved / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"no preprocessor_config\.json"):
        load_clip(saved)
    (saved / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"no tokenizer.*ecor-jax convert.*--tokenizer"):
        load_clip(saved)


def test_a_directory_of_two_formats_is_read_as_hugging_face(openclip_dir, huggingface_dir, assert_embeds):
    shutil.copytree(openclip_dir, huggingface_dir, dirs_exist_ok=True)
    model = load_clip(huggingface_dir)
    assert model.preprocess.resize == "shortest"
    (huggingface_dir / "model.safetensors").unlink()
    model = load_clip(huggingface_dir)
    assert model.preprocess.resize == "squash"
    assert_embeds(model.clip)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no such file or directory"),
        ("./no/where/at/all", "no such file or directory"),
        ("a b/c", "no such file or directory"),
        ("empty", r"not a model; expected config\.json"),
        ("openai/clip-vit-base-patch32", r"patch32: .*cannot be fetched.*path of a local copy"),  # without network
        ("locked", "locked: cannot be read"),
    ],
)
def test_what_is_no_model(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("empty", "locked"):
        (tmp_path / name).mkdir()
    # By hand: chmod does not keep out the superuser, who may be running the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "locked")
    with pytest.raises(UserError, match=message):
        load_clip(source)
