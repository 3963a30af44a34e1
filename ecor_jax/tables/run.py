"""Runs the cells of a table: those that are not done, one after the other, each as a run of its own."""

import secrets
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import logging

from ecor_jax import stopping
from ecor_jax.atomic import write_json
from ecor_jax.config.options import config_of, defaults_of, plain
from ecor_jax.errors import UserError, line_of
from ecor_jax.pages.numbers import duration
from ecor_jax.tables.options import Cell
from ecor_jax.tasks import base
from ecor_jax.training.workdir import differences, has_begun, lock, locked_workdir
from ecor_jax.untrusted.json_text import read_object

DONE = "cell.json"
"""The file that is written last into the folder of a cell: a random id of the run, that of the run whose model it
evaluates, its command, and the seconds it took, null if it was resumed."""


def run_cells(cells: Sequence[Cell], shard: tuple[int, int]) -> dict[Path, str]:
    """Runs the cells of a shard that are not done, and returns the errors of those that failed, by folder.

    shard: (i, n) runs every n-th folder, beginning with the i-th, counted from 1; a model and its evaluations are in
    one shard. The folder of a cell whose config has changed is renamed, and the cell run again.
    """
    first: dict[Path, Cell] = {}
    for cell in cells:
        first.setdefault(cell.workdir, cell)
    roots = list(dict.fromkeys(_root(cell) for cell in first.values()))
    number, count = shard
    own = [cell for cell in first.values() if roots.index(_root(cell)) % count == number - 1]
    waiting = sum(not is_done(cell) for cell in own)
    print(f"{len(own)} runs, {len(own) - waiting} of them done")
    failed, seconds = {}, []
    for cell in own:
        # Another command may have run it meanwhile, and a model that was trained again is evaluated again.
        if is_done(cell):
            continue
        left = max(waiting - len(seconds), 1)
        ahead = f", about {duration(sum(seconds) / len(seconds) * left)} left" if seconds else ""
        print(f"run {len(seconds) + 1} of {max(waiting, len(seconds) + 1)}: {cell.name} ({cell.workdir}){ahead}")
        start = time.perf_counter()
        try:
            _run(cell)
        except (stopping.Stopped, BrokenPipeError):
            raise
        except Exception as error:
            reason = line_of(error)
            if reason is None:
                traceback.print_exc()
                reason = f"a mistake of this program, as told above ({type(error).__name__})"
            failed[cell.workdir] = reason
            print(f"failed: {cell.name}: {reason}")
        seconds.append(time.perf_counter() - start)
        jax.clear_caches()  # the next run compiles its own steps
    return failed


def is_done(cell: Cell) -> bool:
    """Returns whether a cell was run with its present config, on the present model if it evaluates another's."""
    told = done(cell)
    if told is None or _changes(cell):
        return False
    if cell.evaluates is None:
        return True
    source = done(cell.evaluates)
    return source is not None and is_done(cell.evaluates) and told.get("model") == source["id"]


def done(cell: Cell) -> Mapping[str, Any] | None:
    """Returns the content of a cell's DONE; None if there is none, or if it is damaged."""
    path = cell.workdir / DONE
    try:
        told = read_object(path) if path.is_file() else {}
    except UserError:
        return None
    return told if {"id", "command", "seconds"} <= set(told) else None


def _root(cell: Cell) -> Path:
    return (cell.evaluates or cell).workdir


def _changes(cell: Cell) -> list[str]:
    return differences(cell.workdir, plain(cell.options), defaults_of(cell.options), cell.task.may_change)


def _run(cell: Cell) -> None:
    _set_aside(cell)
    start, workdir, config = time.perf_counter(), cell.workdir, config_of(cell.options)
    resumed = workdir.is_dir() and has_begun(workdir)
    told = {"id": secrets.token_hex(8)}
    if cell.evaluates is None:
        base.run(config, workdir)
    else:
        source = done(cell.evaluates)
        if source is None or not is_done(cell.evaluates):
            raise UserError(f"its model is missing: {cell.evaluates.workdir} is not done")
        told["model"] = source["id"]
        with locked_workdir(workdir, plain(cell.options), defaults_of(cell.options), cell.task.may_change):
            model, output, outcomes = (
                cell.evaluates.workdir / "model",
                workdir / "results.json",
                workdir / "outcomes.safetensors",
            )
            _, text = base.evaluate(config, str(model), output, workdir / "report", outcomes=outcomes)
            print(text)
    seconds = None if resumed else time.perf_counter() - start
    write_json(workdir / DONE, told | {"command": f"ecor-jax {cell.command}", "seconds": seconds})


def _set_aside(cell: Cell) -> None:
    """Renames the folder of a cell that holds a run of another config, or evaluates an older model."""
    workdir = cell.workdir
    if not workdir.is_dir() or not has_begun(workdir):
        return
    changes = _changes(cell)
    if cell.evaluates is not None and done(cell) is not None:
        changes = changes or ["the model that it evaluates"]
    if not changes:
        return
    with lock(workdir):  # raises UserError if a run is at work in it
        number = 1
        while (aside := workdir.with_name(f"{workdir.name}.old{number}")).exists():
            number += 1
        workdir.rename(aside)
    logging.warning("%s: changed (%s); the old run is now %s", cell.name, ", ".join(changes), aside)
