"""Directories of weights: whole, in shards, tied, torn, not fitting."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.causal.config import CausalConfig
from ecor_jax.causal.model import Decoder
from ecor_jax.causal.weights import entries, read_decoder
from ecor_jax.errors import UserError


@pytest.fixture
def directory(models, tmp_path):
    """A copy of the tiny Llama's directory."""
    return shutil.copytree(models("llama")[1], tmp_path / "model")


def leaves(decoder):
    return jax.tree.leaves(nnx.state(decoder))


def test_shards_hold_the_same_model(directory, models):
    whole = read_decoder(directory)
    (directory / "model.safetensors").unlink()
    models("llama")[0].save_pretrained(directory, max_shard_size="20KB")
    assert len(list(directory.glob("model-*.safetensors"))) > 2
    for found, expected in zip(leaves(read_decoder(directory)), leaves(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    shard = min(directory.glob("model-*.safetensors"))
    shard.unlink()
    with pytest.raises(UserError, match=f"shard {shard.name} is missing"):
        read_decoder(directory)


def test_all_that_does_not_fit_is_reported_at_once(directory):
    tensors = load_file(directory / "model.safetensors")
    del tensors["lm_head.weight"]
    tensors["model.layers.3.mlp.up_proj.weight"] = tensors.pop("model.layers.1.mlp.up_proj.weight")
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:-1]
    tensors["model.layers.0.self_attn.q_proj.bias"] = np.zeros(32, np.float32)
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(UserError) as caught:
        read_decoder(directory)
    message = str(caught.value)
    assert "2 missing: model.layers.1.mlp.up_proj.weight, lm_head.weight" in message
    assert "2 unused: model.layers.0.self_attn.q_proj.bias, model.layers.3.mlp.up_proj.weight" in message
    assert "1 of another shape: model.norm.weight [31] (expected [32])" in message
    assert "\n" not in message and str(directory / "model.safetensors") in message


def test_what_old_versions_saved_beside_the_weights_is_passed_over(directory, edit_config):
    tensors = load_file(directory / "model.safetensors")
    tensors["model.layers.2.self_attn.rotary_emb.inv_freq"] = np.zeros(4, np.float32)
    save_file(tensors, directory / "model.safetensors")
    read_decoder(directory)
    # The head's copy of tied embeddings.
    edit_config(directory / "config.json", tie_word_embeddings=True)
    assert not hasattr(read_decoder(directory), "head")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_bfloat16(dtype, directory):
    tensors = load_file(directory / "model.safetensors")
    halved = {name: value.astype(jnp.dtype(dtype)) for name, value in tensors.items()}
    save_file(halved, directory / "model.safetensors")
    decoder = read_decoder(directory)
    assert {leaf.dtype for leaf in leaves(decoder)} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_array_equal(
        decoder.blocks.up.kernel[2], halved["model.layers.2.mlp.up_proj.weight"].astype(jnp.bfloat16).T
    )


def test_only_safetensors_are_read(directory):
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no weights; expected one of model\.safetensors, model\.safetensors\.index"):
        read_decoder(directory)


def test_damaged_files(directory):
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole safetensors file"):
        read_decoder(directory)
    index = {"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}}
    file.unlink()
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="not a plain file name"):
        read_decoder(directory)


def test_mistral_7b_has_as_many_parameters_as_published():
    config = CausalConfig(
        vocab_size=32768,
        context_length=32768,
        width=4096,
        layers=32,
        heads=32,
        kv_heads=8,
        head_size=128,
        mlp_width=14336,
        norm_eps=1e-5,
        rope_theta=1e6,
        rope_scaling=None,
        qkv_bias=False,
        tied=False,
        window=None,
    )
    shapes = nnx.eval_shape(lambda: Decoder(config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)))
    sizes = dict.fromkeys((entry.path for entry in entries(config)), 0)
    for path, variable in nnx.to_flat_state(nnx.state(shapes)):
        sizes[".".join(map(str, path))] = int(np.prod(variable.shape))
    assert sum(sizes.values()) == 7_248_023_552 and all(sizes.values()) and len(sizes) == len(entries(config))
