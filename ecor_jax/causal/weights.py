"""A decoder from a Hugging Face directory: config.json and safetensors, whole or in shards."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx

from ecor_jax.causal.config import CausalConfig, read_config
from ecor_jax.causal.model import Decoder
from ecor_jax.checkpoints.layouts import MATRIX, Entry
from ecor_jax.checkpoints.tensor_files import find_weights, open_tensors
from ecor_jax.checkpoints.weights import load_module

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")

_MATRICES = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.o_proj": "out",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}


def entries(config: CausalConfig) -> list[Entry]:
    """Where each tensor of a Hugging Face checkpoint belongs in a Decoder."""
    layer, biased = "model.layers.{}", ("query", "key", "value") if config.qkv_bias else ()
    return [
        Entry("model.embed_tokens.weight", "token_embedding"),
        *(Entry(f"{layer}.{name}.weight", f"blocks.{path}.kernel", MATRIX) for name, path in _MATRICES.items()),
        *(Entry(f"{layer}.{name}.bias", f"blocks.{path}.bias") for name, path in _MATRICES.items() if path in biased),
        Entry(f"{layer}.input_layernorm.weight", "blocks.norm_1.scale"),
        Entry(f"{layer}.post_attention_layernorm.weight", "blocks.norm_2.scale"),
        Entry("model.norm.weight", "norm.scale"),
        *(() if config.tied else (Entry("lm_head.weight", "head"),)),
    ]


def read_decoder(directory: Path) -> Decoder:
    """The decoder in a directory; in float32 if that is what its weights are stored in, else in bfloat16.

    A copy of tied embeddings, and the rotary tables that old versions saved, may be there; any other tensor that is
    missing, unused or of another shape raises one UserError that names them all.
    """
    config = read_config(directory / "config.json")
    path = find_weights(directory, WEIGHTS)
    tensors = open_tensors(path)
    ignorable = [f"model.layers.{layer}.self_attn.rotary_emb.inv_freq" for layer in range(config.layers)]
    if config.tied:
        ignorable.append("lm_head.weight")
    full = any(tensor.dtype == "float32" for name, tensor in tensors.items() if name not in ignorable)
    dtype = jnp.float32 if full else jnp.bfloat16
    return load_module(
        lambda: Decoder(config, dtype=dtype, rngs=nnx.Rngs(0)),
        entries(config),
        tensors,
        ignorable=ignorable,
        source=str(path),
    )
