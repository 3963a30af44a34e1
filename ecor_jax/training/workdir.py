"""The folder of a run: for one process at a time, and for one config for good."""

import contextlib
import hashlib
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout

from ecor_jax.atomic import json_text, sweep, write_json, writing
from ecor_jax.config.options import RENAMED
from ecor_jax.errors import UserError
from ecor_jax.parallel.processes import assert_same, broadcast_from_first, is_first
from ecor_jax.untrusted.json_text import read_object

CONFIG, LOCK, TOKEN = "config.json", ".lock", ".token"


@contextlib.contextmanager
def claimed(
    workdir: Path, config: dict[str, Any], defaults: dict[str, Any], may_change: Collection[str] = ()
) -> Iterator[None]:
    """Keeps `workdir`, created if need be, for a run of `config`; ends with the process, however that ends.

    config: the options as plain values. defaults: what options are that an older version's config.json lacks.
    may_change: options that a run may go on with others of, such as "parallel.model".

    The lock comes first, so config.json is of the run that is at work. A run that left nothing, because its options
    were wrong, does not keep the folder from one of other options. What dead processes left half-written is removed.
    UserError if another process is in it, if it holds a run of another config (the differing options are named), or
    if it cannot be written.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"{workdir}: is a file; expected a folder for the run")
    with writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        try:
            # One object for a path in a process, so that a run may hold its folder around a run within it.
            lock = FileLock(workdir / LOCK, timeout=0, is_singleton=True).acquire()
        except Timeout:
            raise UserError(f"{workdir}: another run is at work in it; wait for it or choose another") from None
    with lock:
        sweep(workdir)
        _settle(workdir, config, defaults, may_change)
        yield


def check_shared(workdir: Path) -> None:
    """UserError, in all processes of a run, if they do not see the same folder."""
    if jax.process_count() == 1:
        return
    path = workdir / TOKEN

    def write() -> str:
        path.write_text(secrets.token_hex())
        return path.read_text()

    token = broadcast_from_first(write)
    seen = path.read_text() if path.is_file() else ""
    assert_same(f"the folder {workdir}", lambda: seen == token)
    if is_first():
        path.unlink()


def write_results(path: Path, config: dict[str, Any], results: dict[str, Any]) -> None:
    """Writes results.json, with the config that it came from: `config_sha256`, of config.json as it is on disk."""
    digest = hashlib.sha256(json_text(config).encode()).hexdigest()
    write_json(path, results | {"config_sha256": digest})


def _settle(workdir: Path, new: dict[str, Any], defaults: dict[str, Any], may_change: Collection[str]) -> None:
    path = workdir / CONFIG
    stored = read_object(path) if path.exists() else None
    old = stored and _renamed(stored)
    if old == new:
        if stored != new:
            write_json(path, new)
        return
    differing = [] if old is None else _differing(_completed(old, defaults), new, may_change)
    if differing and any(entry.name not in (CONFIG, LOCK, TOKEN) for entry in workdir.iterdir()):
        raise UserError(
            f"{workdir} holds a run of another config; these differ: {', '.join(differing)}. "
            "Choose another --workdir, or the same options to continue"
        )
    write_json(path, new)


def _renamed(config: dict[str, Any], group: str = "") -> dict[str, Any]:
    """The config of an older version with today's names of its options."""
    return {
        RENAMED.get(f"{group}.{name}", name).rpartition(".")[2]: _renamed(value, name)
        if isinstance(value, dict)
        else value
        for name, value in config.items()
    }


def _completed(old: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The config of an older version, with the options that came since at their defaults."""
    groups = {
        name: _completed(value, defaults[name])
        for name, value in old.items()
        if isinstance(value, dict) and isinstance(defaults.get(name), dict) and value
    }
    return defaults | old | groups


def _differing(old: Any, new: Any, but: Collection[str], name: str = "") -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new or name in but else [f"{name} ({old!r} there, {new!r} now)"]
    return [
        line
        for key in sorted(set(old) | set(new))
        for line in _differing(old.get(key), new.get(key), but, f"{name}.{key}" if name else key)
    ]
