"""The options of a table, and the runs that they ask for: `Cell`, one row with one seed."""

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.config.files import load_config
from ecor_jax.config.options import Config, Names, read
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import Task, options_of
from ecor_jax.training.options import Training

CELLS = "cells"
"""The folder of the runs in the working directory of a table."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: one run for each seed.

    config: FILE.py or FILE.py:ROW, as of `ecor-jax train`.
    options: options of the config as in a shell, such as "method=ecor templates.outer='There is {r}.'"; {seed} is the
      seed. The option seed is always set.
    method: the entry of "methods" in results.json that the row shows; empty: the only one, or all of results.json.
    evaluates: the row whose model is evaluated; empty: the row trains a model.
    seeds: those of the table by default; one seed for a row that does not depend on it, which is compared with all.
    shown: whether the table has it; a row that is not shown trains the model of others.
    """

    config: str
    options: str = ""
    method: str = ""
    evaluates: str = ""
    seeds: Names = ()
    shown: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of runs.

    title: shown above it. about: a paragraph below the title.
    columns: the path of a metric in a row's entry of results.json, such as "rr" or "verification.orl.accuracy", by the
      name of the column. Metrics are shares and shown in per cent. plain: the columns whose metrics are no shares.
    seeds: the seeds of every row that has none of its own.
    x: a column that the page plots the others over; rows NAME+POINT with equal names are a curve. Empty: no such plot.
    reference: the row that all others are compared with; empty: none.
    options: options of every row, before its own.
    published: values in per cent by row and column. source: where they were published, and of which model.
    """

    title: str = ""
    about: str = ""
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rows: Mapping[str, Row] = dataclasses.field(default_factory=dict)
    plain: Names = ()
    x: str = ""
    reference: str = ""
    options: str = ""
    seeds: Names = ("0", "1", "2")
    published: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    source: str = ""

    @property
    def shown_rows(self) -> tuple[str, ...]:
        """The names of the rows that are shown."""
        return tuple(name for name, row in self.rows.items() if row.shown)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: a row with one seed.

    workdir: its folder. evaluates: the run whose model it evaluates; None: it trains a model. command: the arguments of
    `ecor-jax` that make it.
    """

    row: str
    seed: int
    task: type[Task]
    options: Training
    workdir: Path
    evaluates: "Cell | None"
    command: str

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"


def read_table(config: Config) -> Table:
    """Reads and checks the options of a table's config. Raises UserError for an invalid one."""
    if "rows" not in config:
        raise UserError("the config has no rows; start from one of those in configs/tables/")
    table = read(Table, config)
    for part in ("columns", "rows", "seeds"):
        if not getattr(table, part):
            raise UserError(f"{part} is empty; expected at least one")
    for name in table.rows:
        if not re.fullmatch(r"[\w+-]+", name):
            raise UserError(
                f"the row {name!r}: expected letters, digits, _, + and -, because its runs' folder has this name"
            )
    shown = table.shown_rows
    if not shown:
        raise UserError("no row is shown")
    for what, names in (("reference", [table.reference] if table.reference else []), ("published", table.published)):
        if unknown := [name for name in names if name not in shown]:
            raise UserError(f"{what}: no row {unknown[0]!r}; there are: {', '.join(shown)}")
    for name, values in table.published.items():
        if unknown := [column for column in values if column not in table.columns]:
            raise UserError(f"published.{name}: no column {unknown[0]!r}; there are: {', '.join(table.columns)}")
    for what, named in (("plain", table.plain), ("x", [table.x] if table.x else [])):
        if unknown := [column for column in named if column not in table.columns]:
            raise UserError(f"{what}: no column {unknown[0]!r}; there are: {', '.join(table.columns)}")
    if table.published and not table.source:
        raise UserError("source is empty; expected where the published values are from")
    for name, row in table.rows.items():
        source = table.rows.get(row.evaluates)
        if row.evaluates and (source is None or source.evaluates):
            raise UserError(f"rows.{name}.evaluates is {row.evaluates!r}; expected another row, which trains a model")
        if source is not None and not set(seeds_of(table, name)) <= set(seeds_of(table, row.evaluates)):
            raise UserError(f"rows.{name}.seeds: expected some of those of {row.evaluates}, whose models it evaluates")
    return table


def seeds_of(table: Table, row: str) -> tuple[int, ...]:
    """Returns the seeds of a row. Raises UserError if one is not a number."""
    seeds = table.rows[row].seeds or table.seeds
    if bad := [seed for seed in seeds if not seed.isdecimal()]:
        raise UserError(f"seeds: {bad[0]!r}; expected numbers with commas")
    return tuple(map(int, seeds))


def cells_of(table: Table, workdir: Path) -> list[Cell]:
    """Returns all cells of a table, by seed and then by row, with rows that train first.

    Rows that show different methods of equal runs share their runs. Raises UserError, naming the row, if its config
    cannot be loaded or has no such option.
    """
    cells: dict[tuple[str, int], Cell] = {}
    shared: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    for seed, name in _in_order(table):
        row = table.rows[name]
        try:
            given = shlex.split(table.options) + shlex.split(row.options)
            asked = [*(option.replace("{seed}", str(seed)) for option in given), f"seed={seed}"]
            task, options = options_of(load_config(row.config, asked))
        except (UserError, ValueError) as error:
            raise UserError(f"the row {name}: {error}") from error
        evaluates = cells[row.evaluates, seed] if row.evaluates else None
        folder = workdir / CELLS / name / f"seed_{seed}"
        cells[name, seed] = Cell(name, seed, task, options, folder, evaluates, _command(row.config, asked))
        shared.setdefault((task, repr(options), evaluates and evaluates.row), []).append((name, seed))
    for names in shared.values():
        # A run stays where it is if rows that share it are added or moved.
        folders = [cells[name].workdir for name in names]
        folder = next((folder for folder in folders if folder.is_dir()), folders[0])
        for name in names:
            cells[name] = dataclasses.replace(cells[name], workdir=folder)
    return [_complete(cell, cells) for cell in cells.values()]


def _command(config: str, options: Sequence[str]) -> str:
    return " ".join([f"--config={shlex.quote(config)}", *(shlex.quote(f"--config.{option}") for option in options)])


def _complete(cell: Cell, cells: Mapping[tuple[str, int], Cell]) -> Cell:
    """Returns a cell with its whole command, and with the final folder of the run that it evaluates."""
    place = shlex.quote(str(cell.workdir))
    if cell.evaluates is None:
        return dataclasses.replace(cell, command=f"train {cell.command} --workdir={place}")
    source = _complete(cells[cell.evaluates.row, cell.evaluates.seed], cells)
    model = shlex.quote(str(source.workdir / "model"))
    command = f"evaluate --model={model} {cell.command} --output={place}/results.json"
    return dataclasses.replace(cell, evaluates=source, command=command)


def _in_order(table: Table) -> Iterator[tuple[int, str]]:
    seeds: Sequence[int] = list(dict.fromkeys(seed for name in table.rows for seed in seeds_of(table, name)))
    rows = sorted(table.rows, key=lambda name: bool(table.rows[name].evaluates))
    return ((seed, name) for seed in seeds for name in rows if seed in seeds_of(table, name))
