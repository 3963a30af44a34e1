"""Reads OpenAI's CLIP files, which have no configuration, and defines their tensor names, which OpenCLIP shares."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ecor_jax.checkpoints.layouts import PATCHES, Entry, Tensor, joint, layer_norm, linear
from ecor_jax.checkpoints.tensor_files import model_tensors
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import OPENAI_VOCABULARY
from ecor_jax.errors import UserError, error_prefix

# Scalars that only OpenAI's own archives contain besides the weights. OpenAI's models have attention heads of width 64
# and quick GELU.
IGNORABLE = ("input_resolution", "context_length", "vocab_size")
_HEAD_WIDTH = 64
# Number of heads by width, the same in all published towers of that width.
PUBLISHED_HEADS = {512: 8, 768: 12, 1024: 16}

PREPARED = "pictures are prepared as OpenAI's CLIP does"
"""The assumption about preprocessing that is recorded for files that are not OpenAI's own."""

Heads = tuple[int, int]
"""Numbers of attention heads of the vision tower and of the text tower."""


def tower(name: str, path: str) -> list[Entry]:
    """Returns the entries of the transformer blocks of the tower `path`, which OpenAI stores with the prefix `name`."""
    layer, blocks = f"{name}.resblocks.{{}}", f"{path}.transformer.blocks"
    return [
        *layer_norm(f"{layer}.ln_1", f"{blocks}.ln_1"),
        *joint(f"{layer}.attn.in_proj_", f"{blocks}.attention"),
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
    *tower("visual.transformer", "vision"),
    *layer_norm("visual.ln_post", "vision.ln_post"),
    Entry("visual.proj", "vision.projection.kernel"),
    Entry("token_embedding.weight", "text.token_embedding"),
    Entry("positional_embedding", "text.position_embedding"),
    *tower("transformer", "text"),
    *layer_norm("ln_final", "text.ln_final"),
    Entry("text_projection", "text.projection.kernel"),
)


def read(
    file: Path, activation: Activation | None = None, dtype=jnp.float32, heads: Heads | None = None
) -> tuple[Clip, Preprocess, tuple[str, ...]]:
    """Reads a CLIP from a file (TorchScript or state dict) with OpenAI's tensor names.

    Returns the CLIP, OpenAI's preprocessing, and the assumptions made if the file is not OpenAI's own.
    Raises UserError if neither the file nor `activation` determines the activation, and likewise for `heads`.
    """
    if file.name.startswith("open_clip"):
        raise UserError(f"{file}: weights of OpenCLIP need their open_clip_config.json beside them")
    tensors = model_tensors(file)
    with error_prefix(file):
        config = config_of(tensors, activation, heads)
        preprocess = Preprocess(config.vision.image_size)
    clip = load_weights(config, ENTRIES, tensors, ignorable=IGNORABLE, source=str(file), dtype=dtype)
    vision, text = config.vision, config.text
    of_heads = f"{vision.heads} and {text.heads} attention heads, as in all published towers of widths {vision.width}, "
    guessed = (PREPARED,) if heads else (f"{of_heads}{text.width}", PREPARED)
    return clip, preprocess, () if is_openais(tensors) else guessed


def is_openais(tensors: Mapping[str, Tensor]) -> bool:
    """Returns whether a file is OpenAI's own, so that its activation, heads and preprocessing are known."""
    return all(name in tensors for name in IGNORABLE)


def config_of(tensors: Mapping[str, Tensor], activation: Activation | None, heads: Heads | None) -> ClipConfig:
    """Infers the configuration from the tensor shapes, as `build_model` of openai/CLIP's model.py does."""
    own = is_openais(tensors)
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

    def sizes(prefix: str, given: int | None) -> dict[str, Any]:
        mlp_width, width = shape(f"{prefix}.resblocks.0.mlp.c_fc.weight", 2)
        layers = {name.split(".resblocks.")[1].split(".")[0] for name in tensors if name.startswith(f"{prefix}.res")}
        count = given or (width // _HEAD_WIDTH if own else PUBLISHED_HEADS.get(width))
        if count is None:
            raise UserError(
                f"it does not say how many heads its attention has, of width {width}; give them as --heads=VISION,TEXT "
                "(such as 16,16 for ViT-H-14), or an open_clip_config.json beside it"
            )
        return {"width": width, "layers": len(layers), "heads": count, "mlp_width": mlp_width}

    patch = shape("visual.conv1.weight", 4)[-1]
    grid = math.isqrt(shape("visual.positional_embedding", 2)[0] - 1)
    vocabulary = shape("token_embedding.weight", 2)[0]
    if vocabulary != OPENAI_VOCABULARY and not own:
        raise UserError(
            f"its vocabulary has {vocabulary:,} tokens: which one a text is read at is known of OpenAI's alone, "
            f"of {OPENAI_VOCABULARY:,}; give its directory with config.json (Hugging Face) or open_clip_config.json"
        )
    of_vision, of_text = heads or (None, None)
    vision, text = sizes("visual.transformer", of_vision), sizes("transformer", of_text)
    if activation is None and not own:
        raise UserError(
            "it does not say its activation; give --activation=quick_gelu (OpenAI's, and what was tuned from it) or "
            "--activation=gelu (most of OpenCLIP's), or an open_clip_config.json beside it"
        )
    return ClipConfig(
        VisionConfig(image_size=grid * patch, patch_size=patch, **vision),
        TextConfig(vocabulary, shape("positional_embedding", 2)[0], **text),
        embed_dim=shape("text_projection", 2)[1],
        activation=activation or "quick_gelu",
    )
