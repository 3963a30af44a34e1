"""The working directory of a run, locked by one run at a time and bound to one config."""

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
def locked_workdir(
    workdir: Path, config: dict[str, Any], defaults: dict[str, Any], may_change: Collection[str] = ()
) -> Iterator[None]:
    """Locks `workdir`, creating it if needed, for a run of `config`; the lock is released if the process dies.

    config: the options as plain values. defaults: values of options that the config.json of an older version lacks.
    may_change: options whose values may change when a run resumes, such as "parallel.model".

    The lock is taken before config.json is read, so no other run changes it meanwhile. If the folder has no other
    files, as after a run with invalid options, the new config replaces config.json. Partial files of dead processes are
    removed.
    Raises UserError if another run has locked it, if it holds a run of another config (the message names the differing
    options), or if it cannot be written.
    """
    with lock(workdir):
        sweep(workdir)
        _settle(workdir, config, defaults, may_change)
        yield


@contextlib.contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Locks a folder, creating it if needed. Raises UserError if another process has locked it."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"{workdir}: is a file; expected a folder for the run")
    with writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        try:
            # A singleton per path and process, so that a run can be nested in a run of the same folder.
            held = FileLock(workdir / LOCK, timeout=0, is_singleton=True).acquire()
        except Timeout:
            raise UserError(f"{workdir}: another run is at work in it; wait for it or choose another") from None
    with held:
        yield


def check_shared(workdir: Path) -> None:
    """Raises UserError, in all processes of a run, if they do not see the same folder."""
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
    """Writes results.json, with `config_sha256`, the digest of the config.json that the results belong to."""
    digest = hashlib.sha256(json_text(config).encode()).hexdigest()
    write_json(path, results | {"config_sha256": digest})


def _settle(workdir: Path, new: dict[str, Any], defaults: dict[str, Any], may_change: Collection[str]) -> None:
    path = workdir / CONFIG
    differing = differences(workdir, new, defaults, may_change)
    if differing and has_begun(workdir):
        raise UserError(
            f"{workdir} holds a run of another config; these differ: {', '.join(differing)}. "
            "Choose another --workdir, or the same options to continue"
        )
    if not path.exists() or read_object(path) != new:
        write_json(path, new)


def differences(
    workdir: Path, new: dict[str, Any], defaults: dict[str, Any], may_change: Collection[str] = ()
) -> list[str]:
    """Returns the options in which the config of `locked_workdir` in a folder differs from `new`; [] without one."""
    path = workdir / CONFIG
    if not path.exists():
        return []
    return _differing(_completed(_renamed(read_object(path)), defaults), new, may_change)


def has_begun(workdir: Path) -> bool:
    """Returns whether a run has written more to its folder than its config."""
    return any(entry.name not in (CONFIG, LOCK, TOKEN) for entry in workdir.iterdir())


def _renamed(config: dict[str, Any], group: str = "") -> dict[str, Any]:
    """Returns the config of an older version with the current names of its options."""
    return {
        RENAMED.get(f"{group}.{name}", name).rpartition(".")[2]: _renamed(value, name)
        if isinstance(value, dict)
        else value
        for name, value in config.items()
    }


def _completed(old: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Returns the config of an older version, with options added since then at their defaults."""
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
