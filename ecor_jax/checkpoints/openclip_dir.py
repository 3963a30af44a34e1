"""Saves a CLIP as an OpenCLIP directory (`ecor-jax convert --to=openclip`): configuration and weights."""

import dataclasses
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerBase

from ecor_jax import atomic
from ecor_jax.checkpoints import openai, openclip, timm_siglip
from ecor_jax.checkpoints.model_dir import new_directory
from ecor_jax.checkpoints.origin import KEY, UNKNOWN, Origin
from ecor_jax.checkpoints.weights import foreign_tensors
from ecor_jax.clip.config import ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import OPENAI_VOCABULARY
from ecor_jax.errors import UserError


def save_openclip(
    directory: str | Path,
    clip: Clip,
    tokenizer: PreTrainedTokenizerBase | None,
    preprocess: Preprocess | None,
    *,
    origin: Origin = UNKNOWN,
    dtype: str = "float32",
) -> None:
    """Writes, atomically, a directory that OpenCLIP and `checkpoints.openclip` can load.

    dtype: the type of the stored weights, "float32" or "bfloat16".
    Raises UserError if it exists and is not empty, or if OpenCLIP's configuration cannot express the model.
    """
    fields = model_cfg(clip.config)
    described = {"model_cfg": fields, "preprocess_cfg": _preprocess_cfg(preprocess), KEY: origin.as_fields()}
    entries = timm_siglip.ENTRIES if clip.config.text.padded else openai.ENTRIES
    with new_directory(Path(directory)) as partial:
        save_file(foreign_tensors(clip, entries, dtype), partial / openclip.WEIGHTS[0], metadata={"format": "pt"})
        atomic.write_json(partial / openclip.CONFIG, described)
        if tokenizer is not None:
            tokenizer.save_pretrained(partial)


def model_cfg(config: ClipConfig) -> dict[str, Any]:
    """Returns OpenCLIP's `model_cfg` of a configuration; raises UserError if it would not be read back as `config`."""
    vision, text = config.vision, config.text
    fields: dict[str, Any] = {"embed_dim": config.embed_dim}
    of_text = _sizes(text) | {"context_length": text.context_length, "vocab_size": text.vocab_size}
    of_text["heads"] = text.heads
    # OpenAI's tokenizer is built into OpenCLIP; "." stands for the tokenizer files in the model directory.
    if text.vocab_size != OPENAI_VOCABULARY:
        of_text["hf_tokenizer_name"] = "."
    if text.padded:
        of_text |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}
        if (text.activation or config.activation) == "gelu_tanh":
            of_text["act_kwargs"] = {"approximate": "tanh"}
        name = timm_siglip.name_of(config)
        of_vision = {"image_size": vision.image_size, "timm_model_name": name, "timm_model_pretrained": False}
        of_vision |= {"timm_pool": "map", "timm_proj": "none"}
        fields |= {"init_logit_bias": -10, "custom_text": True}
    else:
        of_vision = _sizes(vision) | {"image_size": vision.image_size, "patch_size": vision.patch_size}
        of_vision["head_width"] = vision.width // vision.heads
        fields["quick_gelu"] = config.activation == "quick_gelu"
    fields |= {"vision_cfg": of_vision, "text_cfg": of_text}
    # OpenCLIP pools texts at the largest id, so an `eot_id` that is the last id of the vocabulary is equivalent.
    largest = None if text.eot_id == text.vocab_size - 1 else text.eot_id
    again = openclip.read_config(fields, None)
    expected = dataclasses.replace(config, text=dataclasses.replace(text, eot_id=largest))
    if again != expected:
        raise UserError(f"OpenCLIP has no configuration of this model: it would read {again}; expected {expected}")
    return fields


def _sizes(tower: VisionConfig | TextConfig) -> dict[str, Any]:
    ratio = tower.mlp_width / tower.width
    # OpenCLIP truncates width times mlp_ratio to an integer.
    while int(tower.width * ratio) < tower.mlp_width:
        ratio += 1e-9
    return {"width": tower.width, "layers": tower.layers, "mlp_ratio": ratio}


def _preprocess_cfg(preprocess: Preprocess | None) -> dict[str, Any]:
    if preprocess is None:
        return {}
    if preprocess.resize_to not in (None, preprocess.size):
        raise UserError(
            f"OpenCLIP cannot say that pictures are scaled to {preprocess.resize_to} pixels and cropped to "
            f"{preprocess.size}"
        )
    return {
        "size": preprocess.size,
        "mode": "RGB",
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "interpolation": preprocess.resample,
        "resize_mode": preprocess.resize,
        "fill_color": 0,
    }
