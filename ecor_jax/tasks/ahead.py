"""What a task's steps are made of where there are no weights, pictures and devices: sizes, and an architecture."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ecor_jax.checkpoints import huggingface, openclip
from ecor_jax.clip.config import HUB_IDS, PRESETS, ClipConfig, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.errors import UserError
from ecor_jax.parallel.ahead import Step
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.untrusted.json_text import read_object

Steps = dict[str, Step]
"""By name: "train", and "evaluate" where batches are judged."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers that the data would say; None: to be read from the data, as far as that is here."""

    classes: int | None = None
    rationales: int | None = None
    identities: int | None = None


@dataclasses.dataclass(frozen=True)
class Shapes:
    """In the place of a `checkpoints.model_dir.Model`, within `jax.eval_shape`."""

    clip: Clip
    preprocess: Preprocess


def architecture(source: str) -> ClipConfig:
    """The shapes of a model directory, of a hub id that is known, or of a preset. UserError if there is none such."""
    directory = Path(source)
    if source and directory.is_dir():
        if (directory / "config.json").is_file():
            return huggingface.read_config(directory / "config.json")
        if (directory / openclip.CONFIG).is_file():
            fields = read_object(directory / openclip.CONFIG)
            return openclip.read_config(fields.get("model_cfg"), None)
        raise UserError(f"{source}: not a model; expected config.json or {openclip.CONFIG}")
    if source not in HUB_IDS and source not in PRESETS:
        raise UserError(
            f"model is {source!r}, of which no shapes are known; expected a model directory, or one of "
            f"{', '.join((*HUB_IDS, *PRESETS))}"
        )
    return preset(HUB_IDS.get(source, source))


def clip_of(config: ClipConfig, dtype: str) -> Shapes:
    """A CLIP of these shapes, to be called within `jax.eval_shape`."""
    clip = Clip(config, dtype=compute_dtype(dtype), rngs=nnx.Rngs(0))
    return Shapes(clip, Preprocess(config.vision.image_size))


def batch_of(size: int, image_size: int, **labels: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """A batch's shapes. labels: of each, the shape of an example's and its type."""
    shapes = {"image": ((image_size, image_size, 3), jnp.uint8), **labels}
    return {name: jax.ShapeDtypeStruct((size, *shape), dtype) for name, (shape, dtype) in shapes.items()}
