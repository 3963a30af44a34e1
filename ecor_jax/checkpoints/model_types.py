"""The supported model types of transformers: tensor names, and defaults for fields missing from config.json."""

import dataclasses
from typing import Any

from ecor_jax.checkpoints.layouts import MATRIX, PATCHES, Entry, joint, layer_norm, linear, with_axes
from ecor_jax.clip.config import SIGLIP_TEXT, SIGLIP_VISION, ClipConfig, TextConfig, VisionConfig
from ecor_jax.errors import UserError


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


@dataclasses.dataclass(frozen=True)
class Family:
    """A model type of transformers: its tensor names, and the options of our towers that it fixes.

    defaults: transformers' values for fields missing from config.json, by section, except CLIP's activation. They are
      repeated because importing transformers' configurations takes 3 s and 200 MB if PyTorch is installed.
    vision, text, whole: fixed options of VisionConfig, TextConfig and ClipConfig.
    """

    model_type: str
    architecture: str
    entries: tuple[Entry, ...]
    defaults: dict[str, dict[str, Any]]
    vision: dict[str, Any] = dataclasses.field(default_factory=dict)
    text: dict[str, Any] = dataclasses.field(default_factory=dict)
    whole: dict[str, Any] = dataclasses.field(default_factory=dict)


_EMBEDDINGS = (
    Entry("vision_model.embeddings.patch_embedding.weight", "vision.patch_embedding.kernel", PATCHES),
    Entry("vision_model.embeddings.position_embedding.weight", "vision.position_embedding"),
)
_VISION = (*_tower("vision_model", "vision"), *layer_norm("vision_model.post_layernorm", "vision.ln_post"))
_TEXT = (
    Entry("text_model.embeddings.token_embedding.weight", "text.token_embedding"),
    Entry("text_model.embeddings.position_embedding.weight", "text.position_embedding"),
    *_tower("text_model", "text"),
    *layer_norm("text_model.final_layer_norm", "text.ln_final"),
)

_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "layer_norm_eps": 1e-5,
    "hidden_act": None,
}
_PIXELS = {"num_channels": 3, "image_size": 224}

CLIP = Family(
    "clip",
    "CLIPModel",
    (
        Entry("logit_scale", "logit_scale"),
        Entry("vision_model.embeddings.class_embedding", "vision.class_embedding"),
        *_EMBEDDINGS,
        *layer_norm("vision_model.pre_layrnorm", "vision.ln_pre"),  # transformers' spelling
        *_VISION,
        Entry("visual_projection.weight", "vision.projection.kernel", MATRIX),
        *_TEXT,
        Entry("text_projection.weight", "text.projection.kernel", MATRIX),
    ),
    {
        "text_config": _DEFAULTS
        | {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
        | {"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407},
        "vision_config": _DEFAULTS | _PIXELS | {"patch_size": 32},
    },
)

_POOL = "vision_model.head"
_SIGLIP_TOWER = _DEFAULTS | {"layer_norm_eps": 1e-6, "hidden_act": "gelu_pytorch_tanh"}
SIGLIP = Family(
    "siglip",
    "SiglipModel",
    (
        Entry("logit_scale", "logit_scale", with_axes(1)),
        Entry("logit_bias", "logit_bias", with_axes(1)),
        *_EMBEDDINGS,
        Entry("vision_model.embeddings.patch_embedding.bias", "vision.patch_embedding.bias"),
        *_VISION,
        Entry(f"{_POOL}.probe", "vision.pool.probe", with_axes(2)),
        *joint(f"{_POOL}.attention.in_proj_", "vision.pool.attention"),
        *linear(f"{_POOL}.attention.out_proj", "vision.pool.attention.out"),
        *layer_norm(f"{_POOL}.layernorm", "vision.pool.ln"),
        *linear(f"{_POOL}.mlp.fc1", "vision.pool.mlp_in"),
        *linear(f"{_POOL}.mlp.fc2", "vision.pool.mlp_out"),
        *_TEXT,
        *linear("text_model.head", "text.projection"),
    ),
    {
        "text_config": _SIGLIP_TOWER | {"vocab_size": 32000, "max_position_embeddings": 64},
        "vision_config": _SIGLIP_TOWER | _PIXELS | {"patch_size": 16, "vision_use_head": True},
    },
    SIGLIP_VISION,
    SIGLIP_TEXT,
    {"logit_bias": True},
)

FAMILIES = {family.model_type: family for family in (CLIP, SIGLIP)}


def family_of(config: ClipConfig) -> Family:
    """Returns the family with the options of `config`. Raises UserError if transformers has no such model."""
    for family in FAMILIES.values():
        vision = dataclasses.replace(config.vision, **_options(VisionConfig) | family.vision)
        own = {"activation": config.text.activation}
        text = dataclasses.replace(config.text, **_options(TextConfig) | family.text | own)
        if dataclasses.replace(config, vision=vision, text=text, **_options(ClipConfig) | family.whole) == config:
            return family
    raise UserError(f"transformers has no model of these towers: {config}")


def _options(kind: type) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(kind) if field.kw_only}
