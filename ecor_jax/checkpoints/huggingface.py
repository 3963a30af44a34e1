"""Hugging Face's CLIPModel: its config.json and the names of its tensors, in and out."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
from transformers import PreTrainedTokenizerBase

from ecor_jax.checkpoints.fields import MOST_LAYERS, Section, positive, shown, stated_activation, whole_number
from ecor_jax.checkpoints.layouts import MATRIX, PATCHES, Entry, layer_norm, linear
from ecor_jax.checkpoints.tensor_files import find_weights, model_tensors
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.errors import UserError, about
from ecor_jax.untrusted.json_text import read_object

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Buffers that transformers before 4.31 saved with the weights.
IGNORABLE = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")
# In text_config this eos_token_id does not mean token 2: it marks checkpoints from before transformers#24773,
# whose EOT is the largest id of a row.
LARGEST_IS_EOT = 2
# Of what config.json leaves out: what transformers' CLIPTextConfig and CLIPVisionConfig take for it, but for the
# activation, which is never guessed. Stated here, for their import takes 3 s and 200 MB where PyTorch is installed.
DEFAULTS: dict[str, dict[str, Any]] = {
    "text_config": {
        "vocab_size": 49408,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "max_position_embeddings": 77,
        "layer_norm_eps": 1e-5,
        "eos_token_id": 49407,
        "hidden_act": None,
    },
    "vision_config": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_channels": 3,
        "image_size": 224,
        "patch_size": 32,
        "layer_norm_eps": 1e-5,
        "hidden_act": None,
    },
}


def _tower(name: str, path: str) -> list[Entry]:
    layer, blocks = f"{name}.encoder.layers.{{}}", f"{path}.transformer.blocks"
    return [
        *layer_norm(f"{layer}.layer_norm1", f"{blocks}.ln_1"),
        *linear(f"{layer}.self_attn.q_proj", f"{blocks}.attention.query"),
        *linear(f"{layer}.self_attn.k_proj", f"{blocks}.attention.key"),
        *linear(f"{layer}.self_attn.v_proj", f"{blocks}.attention.value"),
        *linear(f"{layer}.self_attn.out_proj", f"{blocks}.attention.out"),
        *layer_norm(f"{layer}.layer_norm2", f"{blocks}.ln_2"),
        *linear(f"{layer}.mlp.fc1", f"{blocks}.mlp_in"),
        *linear(f"{layer}.mlp.fc2", f"{blocks}.mlp_out"),
    ]


ENTRIES = (
    Entry("logit_scale", "logit_scale"),
    Entry("vision_model.embeddings.class_embedding", "vision.class_embedding"),
    Entry("vision_model.embeddings.patch_embedding.weight", "vision.patch_embedding.kernel", PATCHES),
    Entry("vision_model.embeddings.position_embedding.weight", "vision.position_embedding"),
    *layer_norm("vision_model.pre_layrnorm", "vision.ln_pre"),  # transformers' spelling
    *_tower("vision_model", "vision"),
    *layer_norm("vision_model.post_layernorm", "vision.ln_post"),
    Entry("visual_projection.weight", "vision.projection.kernel", MATRIX),
    Entry("text_model.embeddings.token_embedding.weight", "text.token_embedding"),
    Entry("text_model.embeddings.position_embedding.weight", "text.position_embedding"),
    *_tower("text_model", "text"),
    *layer_norm("text_model.final_layer_norm", "text.ln_final"),
    Entry("text_projection.weight", "text.projection.kernel", MATRIX),
)


def has_weights(directory: Path) -> bool:
    """Whether the directory has weights under one of transformers' file names."""
    return any((directory / name).is_file() for name in WEIGHTS)


def read(directory: Path, activation: Activation | None = None, dtype=jnp.float32) -> Clip:
    """The CLIP in a Hugging Face directory; `activation` is for a config.json that does not state it."""
    # A workdir has a config.json too, that of its run.
    if not has_weights(directory) and (directory / "model" / "config.json").is_file():
        raise UserError(f"{directory}: is the folder of a run; its model is {directory / 'model'}")
    if not (directory / "config.json").is_file():
        raise UserError(
            f"{directory}: not a model; expected config.json (Hugging Face) or open_clip_config.json (OpenCLIP)"
        )
    config = read_config(directory / "config.json", activation)
    weights = find_weights(directory, WEIGHTS)
    tensors = model_tensors(weights)
    return load_weights(config, ENTRIES, tensors, ignorable=IGNORABLE, source=str(weights), dtype=dtype)


def read_config(path: Path, activation: Activation | None = None) -> ClipConfig:
    """The configuration in a config.json of model type `clip`; UserError names a field that does not fit."""
    fields = read_object(path)
    with about(path):
        return _config(fields, activation)


def _config(fields: dict[str, Any], activation: Activation | None) -> ClipConfig:
    if fields.get("model_type") != "clip":
        raise UserError(f"model_type is {fields.get('model_type')!r}; expected 'clip'")
    text = _section(fields, "text_config")
    vision = _section(fields, "vision_config")
    for name in ("hidden_act", "layer_norm_eps"):
        if text.values[name] != vision.values[name]:
            raise UserError(
                f"{name} is {text.values[name]!r} in text_config and {vision.values[name]!r} in "
                "vision_config; both towers must have the same"
            )
    if vision.values["num_channels"] != 3:
        raise UserError(f"vision_config.num_channels is {vision.values['num_channels']!r}; expected 3")

    def tower(section: Section) -> dict[str, int]:
        return {
            "width": section.whole("hidden_size"),
            "layers": section.whole("num_hidden_layers", most=MOST_LAYERS),
            "heads": section.whole("num_attention_heads"),
            "mlp_width": section.whole("intermediate_size"),
        }

    eos = text.whole("eos_token_id")
    return ClipConfig(
        VisionConfig(
            image_size=vision.whole("image_size"),
            patch_size=vision.whole("patch_size"),
            **tower(vision),
        ),
        TextConfig(
            vocab_size=text.whole("vocab_size"),
            context_length=text.whole("max_position_embeddings"),
            eot_id=None if eos == LARGEST_IS_EOT else eos,
            **tower(text),
        ),
        embed_dim=whole_number(fields.get("projection_dim", 512), "projection_dim"),
        activation=stated_activation(text.values["hidden_act"], activation, "hidden_act"),
        layer_norm_eps=positive(text.values["layer_norm_eps"], "layer_norm_eps"),
    )


def config_fields(config: ClipConfig, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, Any]:
    """config.json for `config`, nothing left to transformers' defaults."""
    towers = {}
    for name, tower in (("text", config.text), ("vision", config.vision)):
        towers[name] = {
            "model_type": f"clip_{name}_model",
            "hidden_size": tower.width,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "intermediate_size": tower.mlp_width,
            "projection_dim": config.embed_dim,
            "hidden_act": config.activation,
            "layer_norm_eps": config.layer_norm_eps,
        }
    eot = config.text.eot_id
    if eot == LARGEST_IS_EOT:
        raise UserError(f"config.json cannot say that EOT is token {eot}: transformers takes that for the largest id")
    towers["text"] |= {
        "vocab_size": config.text.vocab_size,
        "max_position_embeddings": config.text.context_length,
        "bos_token_id": None if tokenizer is None else tokenizer.bos_token_id,
        "pad_token_id": None if tokenizer is None else tokenizer.pad_token_id,
        "eos_token_id": LARGEST_IS_EOT if eot is None else eot,
    }
    towers["vision"] |= {
        "image_size": config.vision.image_size,
        "patch_size": config.vision.patch_size,
        "num_channels": 3,
    }
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config.embed_dim,
        "dtype": "float32",
        "text_config": towers["text"],
        "vision_config": towers["vision"],
    }


def _section(fields: dict[str, Any], name: str) -> Section:
    # Early checkpoints keep a second copy, `*_config_dict`. transformers lets it win, with its own defaults for all
    # that the copy leaves out, the activation too, whatever the first one says.
    first, second = fields.get(name), fields.get(f"{name}_dict")
    for copy in (first, second):
        if not isinstance(copy, dict | None):
            raise UserError(f"{name} is {shown(copy)}; expected an object")
    chosen = (first or {}) if second is None else {"hidden_act": "quick_gelu"} | second
    return Section(name, DEFAULTS[name] | chosen)
