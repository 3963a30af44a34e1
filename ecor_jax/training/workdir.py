"""The folder of a run, and the config it belongs to."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecor_jax.config import Config
from ecor_jax.errors import UserError


def claim(workdir: Path, config: Config) -> None:
    """Creates `workdir` for a run of `config`, or finds that it belongs to one.

    A run that left nothing, because its options were wrong, does not keep the folder from one of other options.
    UserError if it holds a run of another config (the differing options are named) or cannot be written.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"{workdir}: is a file; expected a folder for the run")
    path = workdir / "config.json"
    new = json.loads(config.to_json())
    try:
        if path.exists():
            old = json.loads(path.read_text())
            if not isinstance(old, dict):
                raise ValueError("expected an object of options")
            differing = _differing(old, new)
            if differing and any(entry.name != path.name for entry in workdir.iterdir()):
                raise UserError(
                    f"{workdir} holds a run of another config; these differ: {', '.join(differing)}. "
                    "Choose another --workdir, or the same options to continue"
                )
            if not differing:
                return
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, new)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read or written ({reason})") from error


@contextlib.contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Keeps other processes of this machine out of a workdir; ends with the process, however that ends.

    UserError if another one is in it. File systems that know no locks are trusted.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    folder = os.open(workdir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{workdir}: another run is at work in it; wait for it or choose another") from None
        except OSError:
            pass
        yield
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON; the file is the old one or the new one, never half. UserError if it cannot be written."""
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(value, indent=2) + "\n"
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def _differing(old: Any, new: Any, prefix: str = "") -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix.rstrip('.')} ({old!r} there, {new!r} now)"]
    return [
        line
        for key in sorted(set(old) | set(new))
        for line in _differing(old.get(key), new.get(key), f"{prefix}{key}.")
    ]
