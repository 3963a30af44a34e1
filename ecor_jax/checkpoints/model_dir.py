"""Model directories: a CLIP, its tokenizer and preprocessing, laid out as Hugging Face's CLIPModel."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerBase

from ecor_jax import atomic
from ecor_jax.checkpoints import huggingface, preprocessor
from ecor_jax.checkpoints.model_types import family_of
from ecor_jax.checkpoints.origin import KEY, UNKNOWN, Origin
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import foreign_tensors, weights_digest
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.errors import UserError

WEIGHTS = "model.safetensors"
DESCRIPTION, PROMPTS, HEAD = "ecor.json", "prompts.safetensors", "bottleneck.safetensors"
"""What tuning adds (`tuned`, `bottleneck_dir`)."""
OWN = {
    *(WEIGHTS, DESCRIPTION, PROMPTS, HEAD, "config.json", preprocessor.FILE),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "chat_template.jinja"),
}
"""Files that a model directory is rewritten with; others in it are the user's."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A CLIP and what its inputs pass through; path: where it was read. origin: where that is from."""

    clip: Clip
    tokenizer: PreTrainedTokenizerBase
    preprocess: Preprocess
    path: Path
    origin: Origin = UNKNOWN

    @functools.cached_property
    def digest(self) -> str:
        """sha256 of configuration and weights, the same wherever and in whichever format they are kept."""
        return weights_digest(self.clip)  # a second or two a GB: not for those who never ask


def load_clip(source: str | Path, *, dtype=jnp.float32) -> Model:
    """The CLIP in a directory (Hugging Face or OpenCLIP), or of a Hugging Face hub id.

    dtype: what the towers compute in; parameters are float32, exactly as stored.
    UserError if anything is missing, unreadable or does not fit.
    """
    read = read_source(source, dtype=dtype)
    if read.tokenizer is None:
        raise UserError(f"{read.path}: no tokenizer; ecor-jax convert --source={source} --tokenizer=... adds one")
    if read.preprocess is None:
        raise UserError(f"{read.path}: no {preprocessor.FILE}")
    return Model(read.clip, read.tokenizer, read.preprocess, read.path, read.origin)


def save_clip(
    directory: str | Path,
    clip: Clip,
    tokenizer: PreTrainedTokenizerBase | None,
    preprocess: Preprocess | None,
    *,
    origin: Origin = UNKNOWN,
    overwrite: bool = False,
) -> None:
    """Writes a model directory that `load_clip` and transformers' CLIPModel and AutoTokenizer read.

    The directory appears whole or not at all. UserError if it exists and is not empty, unless `overwrite` is
    set and it is a model directory, and if it cannot be written.
    """
    with new_directory(Path(directory), overwrite=overwrite) as partial:
        write_clip(partial, clip, tokenizer, preprocess, origin)


def write_clip(
    directory: Path,
    clip: Clip,
    tokenizer: PreTrainedTokenizerBase | None,
    preprocess: Preprocess | None,
    origin: Origin,
) -> None:
    """The files of a model directory, into a directory that exists."""
    tensors = foreign_tensors(clip, family_of(clip.config).entries)
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    fields = huggingface.config_fields(clip.config, tokenizer)
    atomic.write_json(directory / "config.json", fields | {KEY: origin.as_fields()})
    if preprocess is not None:
        atomic.write_json(directory / preprocessor.FILE, preprocessor.preprocessor_fields(preprocess))
    if tokenizer is not None:
        tokenizer.save_pretrained(directory)


def check_new(directory: Path, *, overwrite: bool = False) -> None:
    """UserError unless a model directory may be written at `directory`, as `save_clip` says."""
    if directory.is_symlink():
        raise UserError(f"{directory}: is a link, which would be replaced; expected a directory, or none yet")
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: is a file; expected a directory to write")
    if directory.is_dir() and any(directory.iterdir()):
        if not overwrite:
            raise UserError(f"{directory}: is not empty")
        if not (directory / WEIGHTS).is_file():
            raise UserError(f"{directory}: holds something else than a model; it will not be overwritten")
        for entry in directory.iterdir():
            if not (entry.is_file() or entry.is_dir() or entry.is_symlink()):
                raise UserError(f"{entry}: is a pipe or a device, which cannot be kept; move it away")


@contextlib.contextmanager
def new_directory(directory: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A model directory to write, as `save_clip` says; what a user put into an older one is kept."""
    check_new(directory, overwrite=overwrite)
    directory = directory.absolute()
    users = [entry.name for entry in directory.iterdir() if entry.name not in OWN] if directory.exists() else []
    with atomic.new_directory(directory, keep=users) as partial:
        yield partial
