"""The shape of a decoder of Llama's family, from Hugging Face's config.json."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.checkpoints.fields import MOST_LAYERS, positive, whole_number
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

FAMILIES = ("mistral", "llama", "qwen2")
ROPE_TYPES = ("default", "llama3")
# Fields that change what the decoder computes, and the only values this one computes.
_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "partial_rotary_factor": (1, None),
    "use_sliding_window": (False, None),
    "quantization_config": (None,),
}


@dataclasses.dataclass(frozen=True)
class Llama3Scaling:
    """Rotary frequencies stretched for a context longer than `original` tokens, as Llama 3.1 does."""

    factor: float
    low: float
    high: float
    original: int


@dataclasses.dataclass(frozen=True)
class CausalConfig:
    """A decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no biases but `qkv_bias`.

    window: how many tokens a token sees, itself included; None for all before it.
    tied: whether the logits are taken with the token embedding.
    """

    vocab_size: int
    context_length: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp_width: int
    norm_eps: float
    rope_theta: float
    rope_scaling: Llama3Scaling | None
    qkv_bias: bool
    tied: bool
    window: int | None

    def frequencies(self) -> np.ndarray:
        """Radians per token, float32 [head_size / 2]: `theta ** (-2 i / head_size)`, stretched where asked for.

        Llama 3.1 (transformers `_compute_llama3_parameters`): wavelengths above original / low are multiplied by
        `factor`, those below original / high stay, the frequencies between are interpolated.
        """
        plain = self.rope_theta ** -(np.arange(0, self.head_size, 2) / self.head_size)
        if self.rope_scaling is None:
            return plain.astype(np.float32)
        scaling = self.rope_scaling
        turns = scaling.original * plain / (2 * math.pi)
        share = np.clip((turns - scaling.low) / (scaling.high - scaling.low), 0, 1)
        return (share * plain + (1 - share) * plain / scaling.factor).astype(np.float32)


def read_config(path: Path) -> CausalConfig:
    """The configuration in a config.json of model type mistral, llama or qwen2.

    UserError names a field that does not fit, or that asks for what is not implemented: another kind of rotary
    scaling, quantised weights, biases where this family has none, windows in some layers only.
    """
    fields = read_object(path)
    family = fields.get("model_type")
    if family not in FAMILIES:
        raise UserError(f"{path}: model_type is {family!r}; expected one of {', '.join(FAMILIES)}")
    for name, values in _FIXED.items():
        if fields.get(name, values[0]) not in values:
            raise UserError(f"{path}: {name} is {fields[name]!r}; only {values[0]!r} is implemented")
    layer_types = fields.get("layer_types")
    if family == "qwen2" and layer_types and set(layer_types) != {"full_attention"}:
        raise UserError(f"{path}: layer_types is {layer_types!r}; only full_attention is implemented")

    def number(name: str, missing: int | None = None) -> int:
        value = fields.get(name)
        return whole_number(missing if value is None else value, f"{path}: {name}")

    width, heads = number("hidden_size"), number("num_attention_heads")
    # Llama 1 has no num_key_value_heads; for the others transformers' defaults differ, so they must state it.
    kv_heads = number("num_key_value_heads", heads if family == "llama" else None)
    if heads % kv_heads:
        raise UserError(f"{path}: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
    if fields.get("head_dim") is None and width % heads:
        raise UserError(f"{path}: hidden_size {width} is not a multiple of num_attention_heads {heads}")
    head_size = number("head_dim", width // heads)
    if head_size % 2:
        raise UserError(f"{path}: heads of {head_size} numbers cannot be rotated in pairs; expected an even number")
    context_length = number("max_position_embeddings")
    theta, scaling = _rope(path, fields, context_length)
    return CausalConfig(
        vocab_size=number("vocab_size"),
        context_length=context_length,
        width=width,
        layers=whole_number(fields.get("num_hidden_layers"), f"{path}: num_hidden_layers", MOST_LAYERS),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        mlp_width=number("intermediate_size"),
        norm_eps=positive(fields.get("rms_norm_eps"), f"{path}: rms_norm_eps"),
        rope_theta=theta,
        rope_scaling=scaling,
        qkv_bias=family == "qwen2",
        tied=_flag(fields.get("tie_word_embeddings", False), f"{path}: tie_word_embeddings"),
        window=_window(path, fields) if family == "mistral" else None,
    )


def read_end_tokens(directory: Path) -> tuple[int, ...]:
    """The ids that end an answer: of generation_config.json where it says, else of config.json; () if neither does."""
    for name in ("generation_config.json", "config.json"):
        path = directory / name
        found = read_object(path).get("eos_token_id") if path.is_file() else None
        ids = found if isinstance(found, list) else [] if found is None else [found]
        if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in ids):
            raise UserError(f"{path}: eos_token_id is {found!r}; expected a token's number or a list of them")
        if ids:
            return tuple(ids)
    return ()


def _rope(path: Path, fields: dict[str, Any], context_length: int) -> tuple[float, Llama3Scaling | None]:
    """Base and scaling, from `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta` (before)."""
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise UserError(f"{path}: the rotary scaling is {rope!r}; expected an object")
    theta = positive(rope.get("rope_theta", fields.get("rope_theta", 10000.0)), f"{path}: rope_theta")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ROPE_TYPES:
        raise UserError(f"{path}: rotary scaling of type {kind!r}; implemented are {', '.join(ROPE_TYPES)}")
    if rope.get("partial_rotary_factor", 1) != 1:
        raise UserError(f"{path}: partial_rotary_factor is {rope['partial_rotary_factor']!r}; only 1 is implemented")
    if kind == "default":
        return theta, None
    low, high, factor = (
        positive(rope.get(name), f"{path}: rotary scaling: {name}")
        for name in ("low_freq_factor", "high_freq_factor", "factor")
    )
    if low >= high:
        raise UserError(f"{path}: rotary scaling: low_freq_factor {low:g} is not below high_freq_factor {high:g}")
    original = rope.get("original_max_position_embeddings", context_length)
    whole = whole_number(original, f"{path}: rotary scaling: original_max_position_embeddings")
    return theta, Llama3Scaling(factor, low, high, whole)


def _window(path: Path, fields: dict[str, Any]) -> int | None:
    # Where the field is missing transformers takes a window of 4096; published files state it, or null.
    if "sliding_window" not in fields:
        raise UserError(f"{path}: sliding_window is missing; expected a number of tokens, or null for none")
    window = fields["sliding_window"]
    return None if window is None else whole_number(window, f"{path}: sliding_window")


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}; expected true or false")
    return value
