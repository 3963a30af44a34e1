"""Checkpoints by Hugging Face hub id."""

import fnmatch
import os
import re
from collections.abc import Sequence
from logging import INFO
from pathlib import Path

from absl import logging
from huggingface_hub import HfApi, snapshot_download

from ecor_jax.errors import UserError

_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
# In order of preference: a repository often holds the same weights several times.
_WEIGHTS = (
    "model*.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model*.bin",
    "open_clip_pytorch_model.bin",
)
_OTHERS = ("*.json", "merges.txt", "spiece.model", "README.md", "prompts.safetensors", "bottleneck.safetensors")


def at_revision(source: str, revision: str) -> str:
    """`USER/NAME@REVISION`. UserError for a revision of what is on this disk, or of an id that names one."""
    if not revision:
        return source
    if os.path.exists(source) or "@" in source:
        raise UserError(f"{source}: a revision, {revision!r}, is of a hub id without one; expected none here")
    return f"{source}@{revision}"


def local_copy(source: str | Path, *, weights: Sequence[str] = _WEIGHTS, others: Sequence[str] = _OTHERS) -> Path:
    """`source` itself if it is a file or directory here, else the downloaded snapshot of that hub id.

    A hub id may have a branch, tag or commit behind it, `USER/NAME@REVISION`. Only configuration and tokenizer files
    (`others`) and the first form of `weights` that is there are downloaded.
    UserError if there is no such path and no such hub id, no network, or no permission to read it.
    """
    path = Path(source)
    if os.path.exists(path):
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            raise UserError(f"{path}: cannot be read: its permissions do not allow it")
        return path
    if isinstance(source, Path) or not _ID.fullmatch(source):
        raise UserError(f"{source}: no such file or directory")
    name, _, revision = source.partition("@")
    try:
        snapshot = Path(snapshot_download(name, revision=revision or None, allow_patterns=list(others)))
        for pattern in weights:
            # Of the same commit, whatever was pushed since.
            snapshot_download(name, revision=snapshot.name, allow_patterns=[pattern])
            if any(snapshot.glob(pattern)):
                _tell_others(name, snapshot, pattern, weights)
                break
    except Exception as error:  # the hub client's many errors, its HTTP library's, and the disk's
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{source}: no such directory here, and as a Hugging Face hub id it cannot be fetched "
            f"({reason}); give the path of a local copy"
        ) from error
    return snapshot


def _tell_others(name: str, snapshot: Path, taken: str, weights: Sequence[str]) -> None:
    """Notes which other forms of the weights a repository has, where notes are shown: it asks the hub."""
    if not logging.get_absl_logger().isEnabledFor(INFO):
        return
    try:
        files = HfApi().list_repo_files(name, revision=snapshot.name)
    except Exception:  # from the cache alone, without a network
        return
    others = [file for file in files for form in weights if form != taken and fnmatch.fnmatch(file, form)]
    if others:
        logging.info("%s: of several weights %s is read, first of the forms known; not %s", name, taken, others)
