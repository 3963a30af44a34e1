"""Atomic writes of files and folders, used by every module that writes, and the cache folder of checksummed arrays.

Content is written to a temporary folder beside its destination, `.NAME.HOST.RANDOM.ecor.partial`, in which no other
user can have placed a link. Its process holds a lock on it, so later writers remove only those of dead processes.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import math
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ecor_jax.errors import UserError

_SUFFIX = ".ecor.partial"
_REPLACED = ".replaced"
"""Name, within the temporary folder, of the old folder while the new one is moved into its place."""
_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
_ABANDONED = 7 * 86400
"""Seconds after which temporary folders of other machines are removed."""
_MASK = os.umask(0)
os.umask(_MASK)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yields a path to write to; the file replaces `path` if the block raises no error.

    Raises UserError, naming `path`, if it cannot be written.
    """
    with temporary_folder(path) as folder:
        written = folder / path.name
        yield written
        _open_to_readers(written)
        written.replace(path)


@contextlib.contextmanager
def new_directory(path: Path, keep: Iterable[str] = ()) -> Iterator[Path]:
    """Yields a folder to write into, which replaces `path` if the block raises no error.

    keep: files and folders of the existing `path` that are copied into the new folder.
    Raises UserError, naming `path`, if it cannot be written.
    """
    with temporary_folder(path) as folder:
        written = folder / path.name
        written.mkdir()
        yield written
        for file in written.rglob("*"):
            _open_to_readers(file)
        for name in keep:
            if (path / name).is_dir() and not (path / name).is_symlink():
                shutil.copytree(path / name, written / name, symlinks=True)
            else:
                shutil.copy2(path / name, written / name, follow_symlinks=False)
        if path.exists():
            path.rename(folder / _REPLACED)
        try:
            written.rename(path)
        except OSError:
            _put_back(folder)
            raise


def write_json(path: Path, value: Any) -> None:
    """Writes `json_text(value)` to a file. Raises UserError as `new_file` does."""
    with new_file(path) as partial:
        partial.write_text(json_text(value), encoding="utf-8")


def json_text(value: Any) -> str:
    """Returns indented JSON, in which numbers that are not finite are null because JSON cannot represent them."""
    return json.dumps(_finite(value), indent=2) + "\n"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Converts I/O errors raised in the block to a UserError that names `path`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder of this process beside `path`, removed at the end. Raises UserError as `new_file`."""
    with writing(path), contextlib.ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent.absolute())
        locked = False
        while not locked:
            folder = Path(tempfile.mkdtemp(_SUFFIX, f".{path.name[:50]}.{_HOST}.", path.parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                descriptor = stack.enter_context(_locked(folder))
                locked = os.path.samestat(os.fstat(descriptor), folder.stat())
            except (FileNotFoundError, BlockingIOError):
                pass  # another process removed it before it was locked
            except OSError:
                locked = True  # a file system without locks: goes on unlocked, because `sweep` removes nothing there
        yield folder


def sweep(folder: Path) -> None:
    """Removes temporary folders of dead processes from a folder, and restores folders they had moved away."""
    for partial in folder.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            # Locks of other machines may not be visible to this one.
            ours = f".{_HOST}." in partial.name or time.time() - partial.stat().st_mtime > _ABANDONED
            if ours and partial.is_dir() and not partial.is_symlink():
                with _locked(partial):
                    _put_back(partial)
                    shutil.rmtree(partial)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Locks a folder for the block, or until the process dies. Raises BlockingIOError if another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


@functools.cache
def _sweep_once(folder: Path) -> None:
    """Sweeps a folder only once per process, because a cache may hold, and a process may write, thousands of files."""
    sweep(folder)


def _put_back(partial: Path) -> None:
    """Moves the old folder back to its place, unless the new one is already there."""
    for written in partial.iterdir():
        place = partial.parent / written.name
        if written.name != _REPLACED and not place.exists() and (partial / _REPLACED).exists():
            (partial / _REPLACED).rename(place)


def _open_to_readers(path: Path) -> None:
    """Sets the default permissions of new files, because safetensors makes its files readable by their owner only."""
    if path.is_file():
        path.chmod(0o666 & ~_MASK)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cache_folder() -> Path:
    """Returns $ECOR_CACHE, or ecor_jax below $XDG_CACHE_HOME or ~/.cache; empty variables count as unset.

    A relative $XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification (0.8) requires.
    """
    if own := os.environ.get("ECOR_CACHE"):
        return Path(own)
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "ecor_jax"


def read_array(path: Path) -> np.ndarray | None:
    """Returns the array in a file of `write_array`; None if the file is missing, unreadable or fails its checksum."""
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
    """Writes an array to the cache; a failure is logged, not raised, because the array can be computed again."""
    try:
        with new_file(path) as partial:
            save_file({"array": np.ascontiguousarray(array)}, partial, {"sha256": _checksum(path, array)})
    except UserError as error:
        logging.warning("it is not kept for the next run: %s", error)


def _checksum(path: Path, array: np.ndarray) -> str:
    """Returns a sha256 of content and file name, so that a file copied to another name fails the check."""
    digest = hashlib.sha256(path.name.encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # does not copy
    return digest.hexdigest()
