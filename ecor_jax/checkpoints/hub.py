"""Checkpoints by Hugging Face hub id."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

from ecor_jax.errors import UserError

_ID = re.compile(r"[\w.-]+/[\w.-]+")
# In order of preference: a repository often holds the same weights several times.
_WEIGHTS = (
    "model*.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model*.bin",
    "open_clip_pytorch_model.bin",
)
_OTHERS = ("*.json", "merges.txt", "spiece.model")


def local_copy(source: str | Path, *, weights: Sequence[str] = _WEIGHTS, others: Sequence[str] = _OTHERS) -> Path:
    """`source` itself if it is a file or directory here, else the downloaded snapshot of that hub id.

    Only configuration and tokenizer files (`others`) and the first form of `weights` that is there are downloaded.
    UserError if there is no such path and no such hub id, no network, or no permission to read it.
    """
    path = Path(source)
    if os.path.exists(path):
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            raise UserError(f"{path}: cannot be read: its permissions do not allow it")
        return path
    if isinstance(source, Path) or not _ID.fullmatch(source):
        raise UserError(f"{source}: no such file or directory")
    try:
        snapshot = Path(snapshot_download(source, allow_patterns=list(others)))
        for pattern in weights:
            snapshot_download(source, allow_patterns=[pattern])
            if any(snapshot.glob(pattern)):
                break
    except Exception as error:  # the hub client's many errors, its HTTP library's, and the disk's
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{source}: no such directory here, and as a Hugging Face hub id it cannot be fetched "
            f"({reason}); give the path of a local copy"
        ) from error
    return snapshot
