"""Reads OpenCLIP checkpoints: open_clip_config.json, and weights under OpenAI's or timm's tensor names."""

from pathlib import Path
from typing import Any, get_args

import jax.numpy as jnp

from ecor_jax.checkpoints import openai, timm_siglip
from ecor_jax.checkpoints.fields import Section, colour, only, shown, stated_activation, text_sizes, tower_sizes
from ecor_jax.checkpoints.tensor_files import find_weights, model_tensors
from ecor_jax.checkpoints.tokenizer_files import Cleaning
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import MAX_SIDE, OPENAI_MEAN, OPENAI_STD, Preprocess, Resample
from ecor_jax.errors import UserError, error_prefix
from ecor_jax.untrusted.json_text import read_object

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
IGNORABLE = ("attn_mask",)

# Fields that are accepted only with these values: with any other the model is not a plain CLIP.
_MODEL = {"custom_text": False, "nonscalar_logit_scale": False, "init_logit_bias": None}
_TOWER = {
    "ls_init_value": None,
    "final_ln_after_pool": False,
    "output_tokens": False,
    "act_kwargs": None,
    "norm_kwargs": None,
}
_VISION = _TOWER | {
    "attentional_pool": False,
    "global_average_pool": False,
    "input_patchnorm": False,
    "no_ln_pre": False,
    "pool_type": "tok",
    "pos_embed_type": "learnable",
}
_TEXT = _TOWER | {
    "embed_cls": False,
    "no_causal_mask": False,
    "pool_type": "argmax",
    "proj_bias": False,
    "proj_type": "linear",
    "tokenizer_kwargs": None,
}


def read(
    path: Path, activation: Activation | None = None, dtype=jnp.float32
) -> tuple[Clip, Preprocess, Cleaning | None]:
    """Reads a CLIP from an OpenCLIP directory, or from a weights file with open_clip_config.json in the same directory.

    Returns the CLIP, its preprocessing, and the text cleaning that precedes tokenization (None for no cleaning).
    """
    directory = path if path.is_dir() else path.parent
    weights = find_weights(path, WEIGHTS) if path.is_dir() else path
    fields = read_object(directory / CONFIG)
    with error_prefix(directory / CONFIG):
        config = read_config(fields.get("model_cfg"), activation)
        cleaning = timm_siglip.cleaning(fields.get("model_cfg"))
        preprocess = _preprocess(fields.get("preprocess_cfg", {}), config.vision.image_size)
    clip = load_weights(
        config,
        timm_siglip.ENTRIES if config.text.padded else openai.ENTRIES,
        model_tensors(weights),
        ignorable=(*openai.IGNORABLE, *IGNORABLE),
        source=str(weights),
        dtype=dtype,
    )
    return clip, preprocess, cleaning


def read_config(fields: Any, activation: Activation | None) -> ClipConfig:
    """Converts a `model_cfg` to a configuration; raises UserError that names a field of an unsupported architecture.

    If `quick_gelu` is not stated, `activation` is used; its default is plain GELU, as in OpenCLIP.
    """
    if timm_siglip.is_siglip(fields):
        return timm_siglip.read_config(fields, activation)
    only(fields, {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale"}, _MODEL, "model_cfg")
    vision, text = (Section(f"model_cfg.{name}", fields.get(name)) for name in ("vision_cfg", "text_cfg"))
    if isinstance(vision.values.get("layers"), list):
        raise UserError(
            f"{vision.name}.layers is {vision.values['layers']}: a ResNet; only vision transformers are read"
        )
    sizes = {"width", "layers", "mlp_ratio"}
    of_text = {"context_length", "vocab_size", "heads", "pad_id", "hf_tokenizer_name"}
    only(vision.values, sizes | {"image_size", "patch_size", "head_width", "patch_dropout"}, _VISION, vision.name)
    only(text.values, sizes | of_text, _TEXT, text.name)

    vision_tower, text_tower = tower_sizes(vision, 768), text_sizes(text)
    head_width = vision.whole("head_width", 64)
    if vision_tower["width"] % head_width:
        raise UserError(f"{vision.name}.head_width {head_width} does not divide {vision_tower['width']}")
    if "quick_gelu" in fields:
        stated = "quick_gelu" if fields["quick_gelu"] else "gelu"
        activation = stated_activation(stated, activation, "model_cfg.quick_gelu")
    return ClipConfig(
        VisionConfig(
            image_size=vision.whole("image_size", 224, MAX_SIDE),
            patch_size=vision.whole("patch_size", 16),
            heads=vision_tower["width"] // head_width,
            **vision_tower,
        ),
        TextConfig(**text_tower),
        embed_dim=Section("model_cfg", fields).whole("embed_dim"),
        activation=activation or "gelu",
    )


def _preprocess(fields: Any, image_size: int) -> Preprocess:
    read = {"size", "mean", "std", "resize_mode", "interpolation", "fill_color"}
    only(fields, read, {"mode": "RGB"}, "preprocess_cfg")
    size = fields.get("size", image_size)
    if size not in (image_size, [image_size, image_size]):
        raise UserError(f"preprocess_cfg.size is {size!r}; the vision tower takes {image_size} pixels")
    mode = fields.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash", "longest"):
        raise UserError(f"preprocess_cfg.resize_mode is {mode!r}; expected 'shortest', 'squash' or 'longest'")
    if mode == "longest" and fields.get("fill_color", 0) != 0:
        raise UserError(f"preprocess_cfg.fill_color is {fields['fill_color']!r}; pictures are made square with 0 alone")
    mean = colour(fields.get("mean", list(OPENAI_MEAN)), "preprocess_cfg.mean")
    std = colour(fields.get("std", list(OPENAI_STD)), "preprocess_cfg.std", above_zero=True)
    resample = fields.get("interpolation", "bicubic")
    if resample not in get_args(Resample):
        raise UserError(f"preprocess_cfg.interpolation is {shown(resample)}; expected 'bicubic' or 'bilinear'")
    return Preprocess(image_size, mean, std, resize=mode, resample=resample)
