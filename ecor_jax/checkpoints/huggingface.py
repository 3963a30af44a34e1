"""Reads Hugging Face's CLIPModel and SiglipModel, and writes their config.json."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
from transformers import PreTrainedTokenizerBase

from ecor_jax.checkpoints.fields import MAX_LAYERS, Section, positive, shown, stated_activation, whole_number
from ecor_jax.checkpoints.model_types import CLIP, FAMILIES, SIGLIP, Family, family_of
from ecor_jax.checkpoints.tensor_files import find_weights, model_tensors
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import Activation, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.errors import UserError, error_prefix
from ecor_jax.untrusted.json_text import read_object

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# Buffers that transformers before 4.31 saved with the weights.
IGNORABLE = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")
# An eos_token_id of 2 in text_config is not token 2: it marks checkpoints from before transformers#24773, whose EOT is
# the largest id of a row.
LARGEST_IS_EOT = 2


# Activations to which transformers gives another name.
_ACTIVATIONS: dict[Any, Activation] = {"gelu_pytorch_tanh": "gelu_tanh"}
_THEIR_ACTIVATIONS = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}


def has_weights(directory: Path) -> bool:
    """Returns whether the directory has weights under one of transformers' file names."""
    return any((directory / name).is_file() for name in WEIGHTS)


def read(directory: Path, activation: Activation | None = None, dtype=jnp.float32) -> Clip:
    """Reads the CLIP in a Hugging Face directory; `activation` is used if config.json does not state one."""
    # The output folder of a training run also has a config.json: the config of the run, not of a model.
    if not has_weights(directory) and (directory / "model" / "config.json").is_file():
        raise UserError(f"{directory}: is the folder of a run; its model is {directory / 'model'}")
    if not (directory / "config.json").is_file():
        raise UserError(
            f"{directory}: not a model; expected config.json (Hugging Face) or open_clip_config.json (OpenCLIP)"
        )
    config = read_config(directory / "config.json", activation)
    weights = find_weights(directory, WEIGHTS)
    tensors, entries = model_tensors(weights), family_of(config).entries
    return load_weights(config, entries, tensors, ignorable=IGNORABLE, source=str(weights), dtype=dtype)


def read_config(path: Path, activation: Activation | None = None) -> ClipConfig:
    """Reads the configuration in a config.json; raises UserError that names an unsupported field or model type."""
    fields = read_object(path)
    with error_prefix(path):
        return _config(fields, activation)


def _config(fields: dict[str, Any], activation: Activation | None) -> ClipConfig:
    family = FAMILIES.get(str(fields.get("model_type")))
    if family is None:
        raise UserError(f"model_type is {fields.get('model_type')!r}; expected {' or '.join(map(repr, FAMILIES))}")
    text = _section(fields, "text_config", family)
    vision = _section(fields, "vision_config", family)
    if text.values["layer_norm_eps"] != vision.values["layer_norm_eps"]:
        raise UserError(
            f"layer_norm_eps is {text.values['layer_norm_eps']!r} in text_config and "
            f"{vision.values['layer_norm_eps']!r} in vision_config; both towers must have the same"
        )
    if vision.values["num_channels"] != 3:
        raise UserError(f"vision_config.num_channels is {vision.values['num_channels']!r}; expected 3")

    def tower(section: Section) -> dict[str, Any]:
        return {
            "width": section.whole("hidden_size"),
            "layers": section.whole("num_hidden_layers", most=MAX_LAYERS),
            "heads": section.whole("num_attention_heads"),
            "mlp_width": section.whole("intermediate_size"),
        }

    def activation_of(section: Section) -> Activation:
        stated = section.values["hidden_act"]
        known = _ACTIVATIONS.get(stated, stated) if isinstance(stated, str) else stated
        return stated_activation(known, activation, f"{section.name}.hidden_act")

    of_vision, of_text = activation_of(vision), activation_of(text)
    if family is SIGLIP:
        if vision.values["vision_use_head"] is not True:
            raise UserError(
                "vision_config.vision_use_head is not true: without its head a vision tower has no embedding"
            )
        eot, embed_dim = None, text.values.get("projection_size")
        if embed_dim is None:
            embed_dim = text.whole("hidden_size")
    else:
        eos = text.whole("eos_token_id")
        eot, embed_dim = None if eos == LARGEST_IS_EOT else eos, fields.get("projection_dim", 512)
    return ClipConfig(
        VisionConfig(
            image_size=vision.whole("image_size"),
            patch_size=vision.whole("patch_size"),
            **tower(vision),
            **family.vision,
        ),
        TextConfig(
            vocab_size=text.whole("vocab_size"),
            context_length=text.whole("max_position_embeddings"),
            eot_id=eot,
            **tower(text),
            **family.text,
            activation=None if of_text == of_vision else of_text,
        ),
        embed_dim=whole_number(embed_dim, "projection_dim"),
        activation=of_vision,
        layer_norm_eps=positive(text.values["layer_norm_eps"], "layer_norm_eps"),
        **family.whole,
    )


def config_fields(config: ClipConfig, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, Any]:
    """Returns the fields of config.json for `config`, without relying on transformers' defaults."""
    family, eot = family_of(config), config.text.eot_id

    def tower(name: str, sizes: VisionConfig | TextConfig, activation: Activation) -> dict[str, Any]:
        return {
            "model_type": f"{family.model_type}_{name}_model",
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.mlp_width,
            "hidden_act": _THEIR_ACTIVATIONS.get(activation, activation),
            "layer_norm_eps": config.layer_norm_eps,
        }

    vision = tower("vision", config.vision, config.activation)
    vision |= {"image_size": config.vision.image_size, "patch_size": config.vision.patch_size, "num_channels": 3}
    text = tower("text", config.text, config.text.activation or config.activation) | {
        "vocab_size": config.text.vocab_size,
        "max_position_embeddings": config.text.context_length,
        "bos_token_id": getattr(tokenizer, "bos_token_id", None),
        "pad_token_id": getattr(tokenizer, "pad_token_id", None),
    }
    whole: dict[str, Any] = {"architectures": [family.architecture], "model_type": family.model_type}
    if family is SIGLIP:
        vision["vision_use_head"] = True
        text |= {"projection_size": config.embed_dim, "eos_token_id": getattr(tokenizer, "eos_token_id", None)}
    elif eot == LARGEST_IS_EOT:
        raise UserError(f"config.json cannot say that EOT is token {eot}: transformers takes that for the largest id")
    else:
        text |= {"projection_dim": config.embed_dim, "eos_token_id": LARGEST_IS_EOT if eot is None else eot}
        vision["projection_dim"] = whole["projection_dim"] = config.embed_dim
    return whole | {"dtype": "float32", "text_config": text, "vision_config": vision}


def _section(fields: dict[str, Any], name: str, family: Family) -> Section:
    # Early checkpoints contain a second copy, `*_config_dict`. In transformers it overrides the first one completely:
    # fields missing from the copy, including the activation, take transformers' defaults.
    first, second = fields.get(name), fields.get(f"{name}_dict") if family is CLIP else None
    for copy in (first, second):
        if not isinstance(copy, dict | None):
            raise UserError(f"{name} is {shown(copy)}; expected an object")
    chosen = (first or {}) if second is None else {"hidden_act": "quick_gelu"} | second
    return Section(name, family.defaults[name] | chosen)
