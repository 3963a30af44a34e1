"""Arrays kept on disk between runs, never trusted when they are not, to the last byte, what was written."""

import hashlib
import os
from pathlib import Path

import numpy as np
from absl import logging
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ecor_jax.atomic import new_file
from ecor_jax.errors import UserError


def cache_folder() -> Path:
    """$ECOR_CACHE, or ecor_jax below $XDG_CACHE_HOME or ~/.cache; a variable that is empty counts as unset.

    A relative $XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification (0.8) asks for.
    """
    if own := os.environ.get("ECOR_CACHE"):
        return Path(own)
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "ecor_jax"


def read_array(path: Path) -> np.ndarray | None:
    """The array in a file; None if there is none or it is not what was written there."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            array = file.get_tensor("array")
            if (file.metadata() or {}).get("sha256") == _checksum(path, array):
                return array
        logging.warning("%s: content and checksum differ; it is made again", path)
    except (SafetensorError, OSError, KeyError) as error:
        logging.warning("%s: %s; it is made again", path, error)
    return None


def write_array(path: Path, array: np.ndarray) -> None:
    """Keeps an array; a cache that cannot be written costs time, not the run."""
    try:
        with new_file(path) as partial:
            save_file({"array": np.ascontiguousarray(array)}, partial, {"sha256": _checksum(path, array)})
    except UserError as error:
        logging.warning("it is not kept for the next run: %s", error)


def _checksum(path: Path, array: np.ndarray) -> str:
    """Of the content and of the name, so that a file that was copied to another's name does not fit."""
    digest = hashlib.sha256(path.name.encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # without a copy
    return digest.hexdigest()
