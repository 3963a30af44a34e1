"""Reads OpenCLIP's SigLIP: timm's vision tower with timm's tensor names, and OpenCLIP's own text tower."""

import dataclasses
import re
from typing import Any

from ecor_jax.checkpoints import openai
from ecor_jax.checkpoints.fields import Section, only, stated_activation, text_sizes
from ecor_jax.checkpoints.layouts import PATCHES, Entry, joint, layer_norm, linear, with_axes
from ecor_jax.checkpoints.tokenizer_files import Cleaning
from ecor_jax.clip.config import SIGLIP_TEXT, SIGLIP_VISION, Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.errors import UserError

_NAME = re.compile(r"vit_(base|large|so400m|giantopt)_patch(14|16|32)_siglip_(\d{3})")
_TOWERS = {
    "base": {"width": 768, "layers": 12, "heads": 12, "mlp_width": 3072},
    "large": {"width": 1024, "layers": 24, "heads": 16, "mlp_width": 4096},
    "so400m": {"width": 1152, "layers": 27, "heads": 16, "mlp_width": 4304},
    "giantopt": {"width": 1536, "layers": 40, "heads": 16, "mlp_width": 6144},
}
_EXACT_GELU = re.compile(r"vit_(base_patch16|so400m_patch14)_siglip_\d+|vit_large_patch16_siglip_(256|384)")
"""The vision towers of the first SigLIP release, for which timm computes GELU by erf; for the others by tanh."""

# For each section of `model_cfg`: the fields that are read or ignored, and those accepted only with these values.
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "init_logit_bias", "init_logit_scale"}
_PLAIN_MODEL = {"custom_text": True, "nonscalar_logit_scale": False}
_VISION = {"image_size", "timm_model_name", "timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout"}
_PLAIN_VISION = {"timm_pool": "map", "timm_proj": "none"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "norm_kwargs", "act_kwargs"}
_TEXT |= {"hf_tokenizer_name", "tokenizer_kwargs", "pad_id"}
_PLAIN_TEXT = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "proj_type": "linear"}

_TRUNK, _POOL, _LAYER = "visual.trunk", "visual.trunk.attn_pool", "visual.trunk.blocks.{}"
ENTRIES = (
    Entry("logit_scale", "logit_scale"),
    Entry("logit_bias", "logit_bias"),
    Entry(f"{_TRUNK}.patch_embed.proj.weight", "vision.patch_embedding.kernel", PATCHES),
    Entry(f"{_TRUNK}.patch_embed.proj.bias", "vision.patch_embedding.bias"),
    Entry(f"{_TRUNK}.pos_embed", "vision.position_embedding", with_axes(1)),
    *layer_norm(f"{_LAYER}.norm1", "vision.transformer.blocks.ln_1"),
    *joint(f"{_LAYER}.attn.qkv.", "vision.transformer.blocks.attention"),
    *linear(f"{_LAYER}.attn.proj", "vision.transformer.blocks.attention.out"),
    *layer_norm(f"{_LAYER}.norm2", "vision.transformer.blocks.ln_2"),
    *linear(f"{_LAYER}.mlp.fc1", "vision.transformer.blocks.mlp_in"),
    *linear(f"{_LAYER}.mlp.fc2", "vision.transformer.blocks.mlp_out"),
    *layer_norm(f"{_TRUNK}.norm", "vision.ln_post"),
    Entry(f"{_POOL}.latent", "vision.pool.probe", with_axes(2)),
    *linear(f"{_POOL}.q", "vision.pool.attention.query"),
    *joint(f"{_POOL}.kv.", "vision.pool.attention", ("key", "value")),
    *linear(f"{_POOL}.proj", "vision.pool.attention.out"),
    *layer_norm(f"{_POOL}.norm", "vision.pool.ln"),
    *linear(f"{_POOL}.mlp.fc1", "vision.pool.mlp_in"),
    *linear(f"{_POOL}.mlp.fc2", "vision.pool.mlp_out"),
    Entry("text.token_embedding.weight", "text.token_embedding"),
    Entry("text.positional_embedding", "text.position_embedding"),
    *openai.tower("text.transformer", "text"),
    *layer_norm("text.ln_final", "text.ln_final"),
    *linear("text.text_projection", "text.projection"),
)


def is_siglip(fields: Any) -> bool:
    """Returns whether a `model_cfg` names one of timm's SigLIP vision towers."""
    vision = fields.get("vision_cfg") if isinstance(fields, dict) else None
    return isinstance(vision, dict) and bool(_NAME.fullmatch(str(vision.get("timm_model_name"))))


def read_config(fields: dict[str, Any], activation: Activation | None) -> ClipConfig:
    """Converts a SigLIP `model_cfg` to a configuration; raises UserError that names a field of another architecture."""
    only(fields, _MODEL, _PLAIN_MODEL, "model_cfg")
    vision, text = (Section(f"model_cfg.{name}", fields.get(name) or {}) for name in ("vision_cfg", "text_cfg"))
    only(vision.values, _VISION, _PLAIN_VISION, vision.name)
    only(text.values, _TEXT, _PLAIN_TEXT, text.name)
    name = vision.values["timm_model_name"]
    size, patch, pixels = _NAME.fullmatch(name).groups()  # type: ignore
    if vision.whole("image_size", 224) != int(pixels):
        raise UserError(f"{vision.name}.image_size is {vision.values.get('image_size')}; {name} takes {pixels} pixels")
    if text.values.get("norm_kwargs") != {"eps": 1e-6}:
        raise UserError(f"{text.name}.norm_kwargs is {text.values.get('norm_kwargs')!r}; expected {{'eps': 1e-06}}")
    of_text: Activation = "gelu"
    if approximate := text.values.get("act_kwargs"):
        only(approximate, set(), {"approximate": "tanh"}, f"{text.name}.act_kwargs")
        of_text = "gelu_tanh"
    of_vision: Activation = "gelu" if _EXACT_GELU.fullmatch(name) else "gelu_tanh"
    stated_activation(of_vision, activation, f"the activation of {name}")
    return ClipConfig(
        VisionConfig(int(pixels), int(patch), **_TOWERS[size], **SIGLIP_VISION),
        TextConfig(**text_sizes(text), **SIGLIP_TEXT, activation=None if of_text == of_vision else of_text),
        embed_dim=Section("model_cfg", fields).whole("embed_dim"),
        activation=of_vision,
        layer_norm_eps=1e-6,
        logit_bias=True,
    )


def name_of(config: ClipConfig) -> str:
    """Returns timm's name of a SigLIP vision tower. Raises UserError if it has none."""
    vision = config.vision
    for size, known in _TOWERS.items():
        name = f"vit_{size}_patch{vision.patch_size}_siglip_{vision.image_size}"
        if dataclasses.replace(vision, **known) == vision and _NAME.fullmatch(name):
            return name
    raise UserError(f"timm has no vision tower of SigLIP of this shape: {vision}")


def cleaning(fields: Any) -> Cleaning | None:
    """Returns the text cleaning that a SigLIP `model_cfg` states, or None for OpenCLIP's default, 'whitespace'."""
    kwargs = fields["text_cfg"].get("tokenizer_kwargs") if is_siglip(fields) else None
    clean = kwargs.get("clean") if isinstance(kwargs, dict) else None
    if clean not in (None, "canonicalize"):
        raise UserError(f"model_cfg.text_cfg.tokenizer_kwargs.clean is {clean!r}; expected 'canonicalize'")
    return clean
