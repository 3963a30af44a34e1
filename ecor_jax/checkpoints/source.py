"""Loads a CLIP from a path or hub id in any supported format, for model directories and `ecor-jax convert`."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
from transformers import PreTrainedTokenizerBase

from ecor_jax.checkpoints import huggingface, openai, openclip
from ecor_jax.checkpoints.families import refused_family
from ecor_jax.checkpoints.hub import SHIPPED, local_copy
from ecor_jax.checkpoints.origin import Origin, origin_of
from ecor_jax.checkpoints.preprocessor import read_preprocess
from ecor_jax.checkpoints.tokenizer_files import has_tokenizer, read_tokenizer
from ecor_jax.clip.config import HUB_IDS, PRESETS, Activation, ClipConfig, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import PUBLISHED, Preprocess
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object


@dataclasses.dataclass(frozen=True)
class Source:
    """A model as loaded from `path`, with its origin; the tokenizer and the preprocessing may be missing."""

    clip: Clip
    tokenizer: PreTrainedTokenizerBase | None
    preprocess: Preprocess | None
    path: Path
    origin: Origin


def read_source(
    source: str | Path,
    *,
    activation: Activation | None = None,
    heads: openai.Heads | None = None,
    tokenizer: Path | None = None,
    preprocess: str = "",
    dtype=jnp.float32,
) -> Source:
    """Loads the CLIP at a path or hub id in any supported format.

    A directory with Hugging Face weights is read as Hugging Face's, otherwise one with open_clip_config.json as
    OpenCLIP's. A file is read as OpenAI's, unless open_clip_config.json is in its directory.
    activation, heads: for sources that do not state them; heads only for files without a configuration.
    tokenizer: a directory or OpenAI's list of merges, which replaces the source's own tokenizer.
    preprocess: a key of PUBLISHED, which replaces the source's own preprocessing.
    """
    path = local_copy(source)
    try:
        found = _read(str(source), path, activation, heads, tokenizer, dtype)
    except UserError as error:
        if family := refused_family(source, path):
            raise UserError(
                f"{source}: weights of {family.name} are not read: {family.missing} would be needed; what is read is "
                f"{family.nearest} ({error})"
            ) from error
        raise
    if not preprocess:
        return found
    guessed = tuple(guess for guess in found.origin.guessed if guess != openai.PREPARED)
    prepared = Preprocess(found.clip.config.vision.image_size, **PUBLISHED[preprocess])
    return dataclasses.replace(found, preprocess=prepared, origin=dataclasses.replace(found.origin, guessed=guessed))


def read_architecture(source: str) -> ClipConfig:
    """Returns the configuration of a model directory, shipped model, known hub id or preset.

    Raises UserError for any other source.
    """
    directory = SHIPPED.get(source, Path(source))
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
            f"{', '.join((*SHIPPED, *HUB_IDS, *PRESETS))}"
        )
    return preset(HUB_IDS.get(source, source))


def _read(
    source: str, path: Path, activation: Activation | None, heads: openai.Heads | None, tokenizer: Path | None, dtype
) -> Source:
    directory = path if path.is_dir() else path.parent
    has_config = (directory / openclip.CONFIG).is_file()
    is_bare, cleaning, guessed = path.is_file() and not has_config, None, ()
    if heads and not is_bare:
        raise UserError(f"{path}: its configuration says how many heads there are; leave out --heads")
    if is_bare:
        clip, preprocess, guessed = openai.read(path, activation, dtype, heads)
    elif path.is_file() or (has_config and not huggingface.has_weights(directory)):
        clip, preprocess, cleaning = openclip.read(path, activation, dtype)
    else:
        clip, preprocess = huggingface.read(directory, activation, dtype), read_preprocess(directory)
    if preprocess is not None and preprocess.size != clip.config.vision.image_size:
        raise UserError(
            f"{path}: images are prepared at {preprocess.size} pixels, but the vision tower takes "
            f"{clip.config.vision.image_size}"
        )
    if tokenizer is None and has_tokenizer(directory):
        tokenizer = directory
    tokens = tokenizer and read_tokenizer(tokenizer, clip.config.text, cleaning)
    return Source(clip, tokens, preprocess, path, origin_of(source, path, guessed))
