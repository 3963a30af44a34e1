"""Saves and loads tuned models: a CLIP's model directory with DESCRIPTION, PROMPTS and TRAINED_ON in it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import UInt64
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ecor_jax.atomic import write_json
from ecor_jax.checkpoints.model_dir import (
    DESCRIPTION,
    PROMPTS,
    RATIONALES,
    TRAINED_ON,
    Model,
    load_clip,
    new_directory,
    write_clip,
)
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.methods import Method, checked
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import read_object

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A method with its trained prompts (None for an untuned method)."""

    method: Method
    prompts: VisualPrompts | None


@dataclasses.dataclass(frozen=True)
class TunedModel:
    """The contents of a model directory: the frozen CLIP, and the tuned methods by name.

    vocabulary: that of the training; of an untuned CLIP, the content of its file RATIONALES, or None without one.
    rationales_per_prompt: the number of its rationales that a prompt joined (`data.joined`).
    trained_on: the distinct digests (`data.records.digest`) of the training and validation pictures, ascending; None if
      the model is untuned, or if its pictures exceeded the memory and were not all read before the training.
    """

    model: Model
    tuned: Mapping[str, Tuned]
    vocabulary: Vocabulary | None
    rationales_per_prompt: int = 1
    trained_on: UInt64[np.ndarray, "pictures"] | None = None


def save_tuned(directory: Path, tuned: TunedModel) -> None:
    """Writes a model directory atomically; an older one is replaced."""
    assert tuned.vocabulary is not None
    layouts, tensors = {}, {}
    for name, entry in tuned.tuned.items():
        assert entry.prompts is not None
        layouts[name] = dataclasses.asdict(entry.method) | {
            "prompts": {"count": entry.prompts.count, "layers": list(entry.prompts.layers)}
        }
        tensors[name] = np.asarray(entry.prompts.tokens[...])
        if entry.prompts.border is not None:
            layouts[name]["prompts"]["border"] = entry.prompts.border_width
            tensors[f"{name}.border"] = np.asarray(entry.prompts.border[...])
    description = {
        "format": FORMAT,
        "frozen_sha256": tuned.model.digest,
        "rationales_per_prompt": tuned.rationales_per_prompt,
        "vocabulary": json.loads(tuned.vocabulary.to_json()),
        "methods": layouts,
    }
    with new_directory(directory, overwrite=True) as partial:
        model = tuned.model
        write_clip(partial, model.clip, model.tokenizer, model.preprocess, model.origin)
        save_file(tensors, partial / PROMPTS)
        if tuned.trained_on is not None:
            save_file({"digests": tuned.trained_on}, partial / TRAINED_ON)
        write_json(partial / DESCRIPTION, description)


def load_tuned(source: str | Path, *, dtype=jnp.float32) -> TunedModel:
    """Loads a model directory or hub id, tuned or not. Raises UserError if its prompts do not match its weights."""
    model = load_clip(source, dtype=dtype)
    path = model.path / DESCRIPTION
    if not path.exists():
        own = model.path / RATIONALES
        return TunedModel(model, {}, Vocabulary.from_file(own) if own.is_file() else None)
    description = read_object(path)
    try:
        if description.get("method") == "bottleneck":
            raise UserError(f"{model.path}: a descriptor bottleneck; expected a CLIP or a prompt-tuned model")
        if description["format"] != FORMAT:
            raise UserError(f"{path}: format {description['format']!r}; this version reads {FORMAT}")
        if description["frozen_sha256"] != model.digest:
            raise UserError(
                f"{path}: its prompts were tuned on other weights (sha256 {description['frozen_sha256'][:12]}) "
                f"than lie beside it ({model.digest[:12]})"
            )
        open_regular(model.path / PROMPTS).close()
        tensors = load_file(model.path / PROMPTS)
        tuned = {name: _read_method(name, entry, tensors, model) for name, entry in description["methods"].items()}
        vocabulary = Vocabulary.from_lists(description["vocabulary"])
        together = int(description["rationales_per_prompt"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"{path}: not a description of tuned prompts ({error!r})") from error
    return TunedModel(model, tuned, vocabulary, together, _read_digests(model.path / TRAINED_ON))


def _read_digests(path: Path) -> UInt64[np.ndarray, "pictures"] | None:
    if not path.exists():
        return None
    open_regular(path).close()
    try:
        digests = load_file(path)["digests"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{path}: no digests of training pictures ({error!r})") from error
    if digests.ndim != 1 or digests.dtype != np.uint64:
        raise UserError(f"{path}: digests has shape {digests.shape}, {digests.dtype}; expected one axis, uint64")
    return digests


def _read_method(name: str, entry: dict[str, Any], tensors: Mapping[str, np.ndarray], model: Model) -> Tuned:
    layout, vision = entry.pop("prompts"), model.clip.config.vision
    layers = prompt_layers(",".join(map(str, layout["layers"])), vision.layers)
    parts, expected = {name: "tokens"}, (len(layers), layout["count"], vision.width)
    _check_shape(model.path / PROMPTS, name, tensors[name], expected)
    prompts = VisualPrompts(vision, layout["count"], layers, border=layout.get("border", 0), rngs=nnx.Rngs(0))
    if prompts.border is not None:
        _check_shape(model.path / PROMPTS, f"{name}.border", tensors[f"{name}.border"], prompts.border.shape)
        parts[f"{name}.border"] = "border"
    for tensor, part in parts.items():
        getattr(prompts, part)[...] = jnp.asarray(tensors[tensor])
    return Tuned(checked(Method(**entry)), prompts)


def _check_shape(path: Path, name: str, values: np.ndarray, expected: tuple[int, ...]) -> None:
    if (values.shape, values.dtype) != (expected, np.float32):
        raise UserError(
            f"{path}: {name} has shape {values.shape}, {values.dtype}; expected {expected}, float32 by {DESCRIPTION}"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {name} holds numbers that are not finite")
