"""Files and folders that appear whole or not at all, and leave nothing behind when a process dies.

What is being written stands in a folder of its own beside its place, `.NAME.HOST.RANDOM.ecor.partial`, in which nobody
can have planted a link. It is locked as long as its process lives, so that the next writer knows which ones to sweep.
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
"""Within it: the older folder, between the moment it is taken away and the one in which the new one is there."""
_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
_ABANDONED = 7 * 86400
"""Seconds after which what another machine left is swept."""
_MASK = os.umask(0)
os.umask(_MASK)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write to; the file takes the place of `path` when the block ends well.

    UserError, naming `path`, if that cannot be written.
    """
    with beside(path) as folder:
        written = folder / path.name
        yield written
        _open_to_readers(written)
        written.replace(path)


@contextlib.contextmanager
def new_directory(path: Path, keep: Iterable[str] = ()) -> Iterator[Path]:
    """A folder to write into, which takes the place of `path` when the block ends well.

    keep: what of an older folder there is copied into the new one.
    UserError, naming `path`, if that cannot be written.
    """
    with beside(path) as folder:
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
    """Indented JSON; numbers that are not finite, for which JSON has no word, are null. UserError as `new_file`."""
    with new_file(path) as partial:
        partial.write_text(json_text(value), encoding="utf-8")


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(_finite(value), indent=2) + "\n"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """An error of the disk within becomes a UserError that names `path`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder for this process alone, beside `path`; removed at the end. UserError, naming `path`, as `new_file`."""
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
                pass  # another process swept it before it was locked
            except OSError:
                locked = True  # a file system that knows no locks is trusted, and nothing is swept there
        yield folder


def sweep(folder: Path) -> None:
    """Removes what processes that are dead left in a folder, and puts back what they had taken away there."""
    for partial in folder.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            # Locks of other machines may not be seen here.
            ours = f".{_HOST}." in partial.name or time.time() - partial.stat().st_mtime > _ABANDONED
            if ours and partial.is_dir() and not partial.is_symlink():
                with _locked(partial):
                    _put_back(partial)
                    shutil.rmtree(partial)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Holds a folder as long as this process lives. BlockingIOError if another one holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


@functools.cache
def _sweep_once(folder: Path) -> None:
    """A cache may hold many thousands of files, and gets as many."""
    sweep(folder)


def _put_back(partial: Path) -> None:
    """What was taken away returns, unless the new one stands in its place already."""
    for written in partial.iterdir():
        place = partial.parent / written.name
        if written.name != _REPLACED and not place.exists() and (partial / _REPLACED).exists():
            (partial / _REPLACED).rename(place)


def _open_to_readers(path: Path) -> None:
    """The permissions that any new file would have; safetensors leaves its files to their owner alone."""
    if path.is_file():
        path.chmod(0o666 & ~_MASK)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
