"""A CLIP from wherever it is: which format a path is in, and what else lies beside the weights."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
from transformers import PreTrainedTokenizerBase

from ecor_jax.checkpoints import huggingface, openai, openclip
from ecor_jax.checkpoints.families import refused_family
from ecor_jax.checkpoints.hub import local_copy
from ecor_jax.checkpoints.origin import Origin, origin_of
from ecor_jax.checkpoints.preprocessor import read_preprocess
from ecor_jax.checkpoints.tokenizer_files import has_tokenizer, read_tokenizer
from ecor_jax.clip.config import Activation
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
    """What lies at `path`, and where that is from; the tokenizer and the preprocessing may be missing."""

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
    dtype=jnp.float32,
) -> Source:
    """The CLIP at a path or hub id, in any format that is known.

    A directory with Hugging Face's weights is read as such, with open_clip_config.json as OpenCLIP's; a file
    is OpenAI's, unless open_clip_config.json lies beside it.
    activation, heads: for sources that do not state theirs; heads of files without a configuration.
    tokenizer: a directory or OpenAI's list of merges, instead of the source's own files.
    """
    path = local_copy(source)
    try:
        return _read(str(source), path, activation, heads, tokenizer, dtype)
    except UserError as error:
        if family := refused_family(source, path):
            raise UserError(
                f"{source}: weights of {family.name} are not read: {family.missing} would be needed; what is read is "
                f"{family.nearest} ({error})"
            ) from error
        raise


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
