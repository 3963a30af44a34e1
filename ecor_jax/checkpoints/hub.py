"""Resolves a path, the name of a shipped model or a hub id to local files, wherever a model is loaded."""

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
# In order of preference: a repository often contains the same weights in several formats.
_WEIGHTS = ("model*.safetensors", "open_clip_model.safetensors", "pytorch_model*.bin", "open_clip_pytorch_model.bin")
_OTHERS = (
    *("*.json", "merges.txt", "spiece.model", "README.md"),
    *("prompts.safetensors", "bottleneck.safetensors", "trained_on.safetensors"),
)

SHIPPED = {path.name: path for path in sorted((Path(__file__).parents[1] / "models").iterdir()) if path.is_dir()}
"""Directories of the models that are part of this package, by name."""


def at_revision(source: str, revision: str) -> str:
    """Returns `USER/NAME@REVISION`. Raises UserError if `source` is a local path or already contains a revision."""
    if not revision:
        return source
    if os.path.exists(source) or source in SHIPPED or "@" in source:
        raise UserError(f"{source}: a revision, {revision!r}, is of a hub id without one; expected none here")
    return f"{source}@{revision}"


def local_copy(source: str | Path, *, weights: Sequence[str] = _WEIGHTS, others: Sequence[str] = _OTHERS) -> Path:
    """Returns the path of the local files of `source`: of a shipped model, a local path, or a downloaded hub id.

    A name in SHIPPED is that model, also where a file or directory has the same name, which is then reported; a path
    such as ./NAME is never a shipped model.
    A hub id may be followed by a branch, tag or commit: `USER/NAME@REVISION`. Only the configuration and tokenizer
    files (`others`) and the first pattern of `weights` that matches a file are downloaded.
    Raises UserError if neither the path nor the hub id exists, or if there is no network or no permission to read.
    """
    path = Path(source)
    if isinstance(source, str) and source in SHIPPED:
        if os.path.exists(path):
            logging.warning(
                "%s: the model of this name that ecor_jax ships is used; ./%s is the one here", source, source
            )
        return SHIPPED[source]
    if os.path.exists(path):
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            raise UserError(f"{path}: cannot be read: its permissions do not allow it")
        return path
    if isinstance(source, Path) or not _ID.fullmatch(source):
        raise UserError(f"{source}: no such file or directory, nor a model that ships ({', '.join(SHIPPED)})")
    name, _, revision = source.partition("@")
    try:
        snapshot = Path(snapshot_download(name, revision=revision or None, allow_patterns=list(others)))
        for pattern in weights:
            # Pins the commit, in case the branch has moved.
            snapshot_download(name, revision=snapshot.name, allow_patterns=[pattern])
            if any(snapshot.glob(pattern)):
                _tell_others(name, snapshot, pattern, weights)
                break
    except Exception as error:  # errors of the hub client, its HTTP library and the disk
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{source}: no such directory here, and as a Hugging Face hub id it cannot be fetched "
            f"({reason}); give the path of a local copy"
        ) from error
    return snapshot


def _tell_others(name: str, snapshot: Path, taken: str, weights: Sequence[str]) -> None:
    """Logs the repository's other weight files, only if INFO is logged, because listing them needs a hub request."""
    if not logging.get_absl_logger().isEnabledFor(INFO):
        return
    try:
        files = HfApi().list_repo_files(name, revision=snapshot.name)
    except Exception:  # offline, with the snapshot from the cache
        return
    others = [file for file in files for form in weights if form != taken and fnmatch.fnmatch(file, form)]
    if others:
        logging.info("%s: of several weights %s is read, first of the forms known; not %s", name, taken, others)
