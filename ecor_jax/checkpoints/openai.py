"""OpenAI's CLIP: its tensors' names, which OpenCLIP shares, and its files, which carry no configuration."""

import math
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp

from ecor_jax.checkpoints.layouts import PATCHES, Entry, Tensor, fused, layer_norm, linear
from ecor_jax.checkpoints.tensor_files import open_tensors
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.errors import UserError, about

# Numbers that OpenAI's archives hold beside the weights.
IGNORABLE = ("input_resolution", "context_length", "vocab_size")
_HEAD_WIDTH = 64


def _tower(name: str, path: str) -> list[Entry]:
    layer, blocks = f"{name}.resblocks.{{}}", f"{path}.transformer.blocks"
    joint = [
        Entry(f"{layer}.attn.in_proj_{theirs}", f"{blocks}.attention.{name}.{ours}", fused(third))
        for third, name in enumerate(("query", "key", "value"))
        for theirs, ours in (("weight", "kernel"), ("bias", "bias"))
    ]
    return [
        *layer_norm(f"{layer}.ln_1", f"{blocks}.ln_1"),
        *joint,
        *linear(f"{layer}.attn.out_proj", f"{blocks}.attention.out"),
        *layer_norm(f"{layer}.ln_2", f"{blocks}.ln_2"),
        *linear(f"{layer}.mlp.c_fc", f"{blocks}.mlp_in"),
        *linear(f"{layer}.mlp.c_proj", f"{blocks}.mlp_out"),
    ]


ENTRIES = (
    Entry("logit_scale", "logit_scale"),
    Entry("visual.class_embedding", "vision.class_embedding"),
    Entry("visual.conv1.weight", "vision.patch_embedding.kernel", PATCHES),
    Entry("visual.positional_embedding", "vision.position_embedding"),
    *layer_norm("visual.ln_pre", "vision.ln_pre"),
    *_tower("visual.transformer", "vision"),
    *layer_norm("visual.ln_post", "vision.ln_post"),
    Entry("visual.proj", "vision.projection.kernel"),
    Entry("token_embedding.weight", "text.token_embedding"),
    Entry("positional_embedding", "text.position_embedding"),
    *_tower("transformer", "text"),
    *layer_norm("ln_final", "text.ln_final"),
    Entry("text_projection", "text.projection.kernel"),
)


def read(file: Path, activation: Activation | None = None, dtype=jnp.float32) -> tuple[Clip, Preprocess]:
    """The CLIP in one of OpenAI's .pt files (TorchScript or state dict), and the preprocessing they share.

    The activation is OpenAI's quick_gelu unless `activation` says otherwise.
    """
    if file.name.startswith("open_clip"):
        raise UserError(f"{file}: weights of OpenCLIP need their open_clip_config.json beside them")
    tensors = open_tensors(file)
    with about(file):
        config = config_of(tensors, activation or "quick_gelu")
        preprocess = Preprocess(config.vision.image_size)
    clip = load_weights(config, ENTRIES, tensors, ignorable=IGNORABLE, source=str(file), dtype=dtype)
    return clip, preprocess


def config_of(tensors: Mapping[str, Tensor], activation: Activation) -> ClipConfig:
    """The configuration that the shapes imply, read as by `build_model` of openai/CLIP's model.py."""
    if "visual.layer1.0.conv1.weight" in tensors:
        raise UserError("its vision tower is a ResNet; only vision transformers are supported")

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in tensors or len(tensors[name].shape) != rank:
            stored = list(tensors[name].shape) if name in tensors else "missing"
            raise UserError(
                f"not OpenAI's CLIP, {name} is {stored}; other formats are read from their "
                "directory, with config.json (Hugging Face) or open_clip_config.json (OpenCLIP)"
            )
        return tensors[name].shape

    def tower(prefix: str) -> dict[str, int]:
        mlp_width, width = shape(f"{prefix}.resblocks.0.mlp.c_fc.weight", 2)
        layers = {name.split(".resblocks.")[1].split(".")[0] for name in tensors if name.startswith(f"{prefix}.res")}
        return {"width": width, "layers": len(layers), "heads": width // _HEAD_WIDTH, "mlp_width": mlp_width}

    patch = shape("visual.conv1.weight", 4)[-1]
    grid = math.isqrt(shape("visual.positional_embedding", 2)[0] - 1)
    return ClipConfig(
        VisionConfig(image_size=grid * patch, patch_size=patch, **tower("visual.transformer")),
        TextConfig(
            vocab_size=shape("token_embedding.weight", 2)[0],
            context_length=shape("positional_embedding", 2)[0],
            **tower("transformer"),
        ),
        embed_dim=shape("text_projection", 2)[1],
        activation=activation,
    )
