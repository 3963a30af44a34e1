"""Loads and saves model directories: a CLIP, its tokenizer and preprocessing, in Hugging Face's CLIPModel layout."""

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
DESCRIPTION, TRAINED_ON = "ecor.json", "trained_on.safetensors"
PROMPTS, HEAD = "prompts.safetensors", "bottleneck.safetensors"
"""Files that a tuned model adds (`tasks.rationale.tuned`, `bottleneck.directory`)."""
RATIONALES = "rationales.json"
"""A file {class: [rationale, ...]} in the directory of a CLIP: those that it explains by unless others are given."""
OWN = {
    *(WEIGHTS, DESCRIPTION, PROMPTS, HEAD, TRAINED_ON, "config.json", preprocessor.FILE),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "chat_template.jinja"),
}
"""Names of the files that are replaced when a model directory is overwritten; all other files in it are kept."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A CLIP, its tokenizer and preprocessing. path: the path it was read from. origin: the source of its weights."""

    clip: Clip
    tokenizer: PreTrainedTokenizerBase
    preprocess: Preprocess
    path: Path
    origin: Origin = UNKNOWN

    @functools.cached_property
    def digest(self) -> str:
        """The sha256 of configuration and weights; it does not depend on the path or the file format."""
        return weights_digest(self.clip)  # cached and computed on first use, because it takes 1 to 2 seconds per GB


def load_clip(source: str | Path, *, dtype=jnp.float32) -> Model:
    """Loads a CLIP from a directory (Hugging Face or OpenCLIP layout), a Hugging Face hub id or a shipped name.

    dtype: the type the towers compute in; parameters are float32, with exactly the stored values.
    Raises UserError if a file is missing, unreadable or inconsistent with the others.
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
    dtype: str = "float32",
) -> None:
    """Writes a model directory that `load_clip` and transformers' CLIPModel and AutoTokenizer can load.

    dtype: the type of the stored weights, "float32" or "bfloat16".
    The directory is written atomically. Raises UserError if it cannot be written, or if it exists and is not empty,
    unless `overwrite` is set and it is a model directory.
    """
    with new_directory(Path(directory), overwrite=overwrite) as partial:
        write_clip(partial, clip, tokenizer, preprocess, origin, dtype)


def write_clip(
    directory: Path,
    clip: Clip,
    tokenizer: PreTrainedTokenizerBase | None,
    preprocess: Preprocess | None,
    origin: Origin,
    dtype: str = "float32",
) -> None:
    """Writes the files of a model directory into an existing directory."""
    tensors = foreign_tensors(clip, family_of(clip.config).entries, dtype)
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    fields = huggingface.config_fields(clip.config, tokenizer)
    atomic.write_json(directory / "config.json", fields | {"dtype": dtype, KEY: origin.as_fields()})
    if preprocess is not None:
        atomic.write_json(directory / preprocessor.FILE, preprocessor.preprocessor_fields(preprocess))
    if tokenizer is not None:
        tokenizer.save_pretrained(directory)


def check_new(directory: Path, *, overwrite: bool = False) -> None:
    """Raises UserError unless `save_clip` may write a model directory at `directory`."""
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
    """Yields a temporary directory that replaces `directory` on success; files not in OWN are carried over."""
    check_new(directory, overwrite=overwrite)
    directory = directory.absolute()
    users = [entry.name for entry in directory.iterdir() if entry.name not in OWN] if directory.exists() else []
    with atomic.new_directory(directory, keep=users) as partial:
        yield partial
