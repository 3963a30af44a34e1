"""A bottleneck on disk comes back to the bit, or says what does not fit."""

import json

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.bottleneck import Adapter, Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import HEAD, SavedBottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.checkpoints.tuned import load_tuned
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError

DESCRIPTORS = Descriptors.from_groups({"nose": ["long", "short"], "ears": ["big", "small", "hidden"]}, "here")


@pytest.fixture
def saved(tiny_clip):
    model = load_clip(tiny_clip)
    embed = model.clip.config.embed_dim
    bank = np.random.default_rng(0).normal(size=(5, embed)).astype(np.float32)
    adapter = Adapter(embed, 3, alpha=0.7, last_relu=False, rngs=nnx.Rngs(1))
    bottleneck = Bottleneck(
        bank, DESCRIPTORS.group_of, scale=12.5, size=4, start="orthogonal", use_bias=True, adapter=adapter,
        rngs=nnx.Rngs(2),
    )  # fmt: skip
    return SavedBottleneck(model, bottleneck, DESCRIPTORS, "a {d} face", "aggregated", 0.25)


@pytest.fixture
def directory(saved, tmp_path):
    save_bottleneck(tmp_path / "model", saved, saved.model.clip)
    return tmp_path / "model"


def test_round_trip(saved, directory):
    again = load_bottleneck(directory)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.bottleneck), nnx.state(saved.bottleneck))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.model.clip), nnx.state(saved.model.clip))
    assert (again.descriptors, again.template, again.output, again.threshold) == (
        DESCRIPTORS, "a {d} face", "aggregated", 0.25,
    )  # fmt: skip
    features = jax.random.normal(jax.random.key(0), (3, saved.model.clip.config.embed_dim))
    jax.tree.map(np.testing.assert_array_equal, again.bottleneck(features), saved.bottleneck(features))


def test_without_groups_adapter_and_bias(saved, tmp_path):
    plain = Bottleneck(np.eye(5, saved.model.clip.config.embed_dim, dtype=np.float32), None, scale=1.0, size=5,
                       rngs=nnx.Rngs(0))  # fmt: skip
    save_bottleneck(tmp_path / "m", SavedBottleneck(saved.model, plain, DESCRIPTORS, "{d}", "features", None),
                    saved.model.clip)  # fmt: skip
    again = load_bottleneck(tmp_path / "m")
    assert again.bottleneck.groups is None and again.bottleneck.adapter is None and again.threshold is None
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.bottleneck), nnx.state(plain))


def edit(directory, change):
    description = json.loads((directory / "ecor.json").read_text())
    change(description)
    (directory / "ecor.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=9), "format 9"),
        (lambda d: d.update(clip_sha256="0" * 64), "belongs to other weights"),
        (lambda d: d.pop("scale"), "not a description of a bottleneck"),
        (lambda d: d.update(size=3), r"aggregation.* has shape \(5, 4\)|aggregation.* has shape \(4,\)"),
        (lambda d: d.update(adapter=None), "holds adapter"),
        (lambda d: d["groups"]["nose"].pop(), "'nose' has 1 descriptors"),
        (lambda d: d["groups"]["nose"].append("pointed"), r"kernel has shape \(5, 4\), float32; expected \(6, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(directory, change, message):
    edit(directory, change)
    with pytest.raises(UserError, match=message):
        load_bottleneck(directory)


def test_a_damaged_head(directory):
    tensors = load_file(directory / HEAD)
    save_file({name: tensor for name, tensor in tensors.items() if "bank" not in name}, directory / HEAD)
    with pytest.raises(UserError, match=r"expected .*bank"):
        load_bottleneck(directory)
    (directory / HEAD).write_bytes(b"torn")
    with pytest.raises(UserError, match="not a description of a bottleneck"):
        load_bottleneck(directory)


def test_a_plain_clip_has_none(tiny_clip):
    with pytest.raises(UserError, match="no descriptor bottleneck"):
        load_bottleneck(tiny_clip)


def test_a_bottleneck_is_no_set_of_prompts(directory):
    with pytest.raises(UserError, match="a descriptor bottleneck"):
        load_tuned(directory)
