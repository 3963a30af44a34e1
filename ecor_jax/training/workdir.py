"""The folder of a run, and the config it belongs to."""

import json
from pathlib import Path
from typing import Any

from ecor_jax.config import Config
from ecor_jax.errors import UserError


def claim(workdir: Path, config: Config) -> None:
    """Creates `workdir` for a run of `config`, or finds that it belongs to one.

    UserError if it holds a run of another config (the differing options are named) or cannot be written.
    """
    path = workdir / "config.json"
    new = json.loads(config.to_json())
    try:
        if path.exists():
            old = json.loads(path.read_text())
            if differing := _differing(old, new):
                raise UserError(
                    f"{workdir} holds a run of another config; these differ: {', '.join(differing)}. "
                    "Choose another --workdir, or the same options to continue"
                )
            return
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, new)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON; the file is the old one or the new one, never half."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n")
    partial.replace(path)


def _differing(old: Any, new: Any, prefix: str = "") -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix.rstrip('.')} ({old!r} there, {new!r} now)"]
    return [
        line
        for key in sorted(set(old) | set(new))
        for line in _differing(old.get(key), new.get(key), f"{prefix}{key}.")
    ]
