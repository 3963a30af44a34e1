"""The content of table.json: means, ranges over seeds, and paired bootstrap intervals over test examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import bootstrap_intervals, ratios
from ecor_jax.tables.options import Cell, Table, seeds_of
from ecor_jax.tables.run import done, is_done
from ecor_jax.tasks.outcomes import Outcomes, read_outcomes
from ecor_jax.untrusted.json_text import read_object


def summarise(table: Table, cells: Sequence[Cell], failed: Mapping[Path, str]) -> dict[str, Any]:
    """Returns the content of table.json from the cells that are done.

    For each row and column: the mean, lowest and highest value over seeds, the values, and the 95 % bootstrap interval
    of the mean over the test examples; then the same of the difference to the reference row, on the same examples and
    seeds. An interval is None if the metric is no mean over examples, or if there is one example; a difference is None
    if the examples differ. "plain" is there if the values are no shares.

    failed: errors by the folder of a cell.
    """
    finished = [cell for cell in cells if is_done(cell)]
    rows = {name: [cell for cell in finished if cell.row == name] for name in table.rows}
    read, told = {}, {cell.name: failed[cell.workdir] for cell in cells if cell.workdir in failed}
    for name in table.shown_rows:
        try:
            read |= {name: _Row(table, name, rows[name])} if rows[name] else {}
        except UserError as error:
            told[name] = str(error)
    reference = read.get(table.reference)
    return {
        "title": table.title,
        "about": table.about,
        "columns": dict(table.columns),
        "reference": table.reference,
        **({"x": table.x} if table.x else {}),
        "source": table.source,
        "rows": {name: _summary(table, row, reference) for name, row in read.items()},
        "runs": {name: _runs(own) for name, own in rows.items() if own},
        "missing": [cell.name for cell in cells if cell not in finished and cell.name not in told],
        "failed": told,
    }


class _Row:
    """The results of a row's runs. values: by column, then by seed."""

    def __init__(self, table: Table, name: str, cells: Sequence[Cell]):
        self.name, self.seeds = name, seeds_of(table, name)
        self.values: dict[str, dict[int, float | None]] = {column: {} for column in table.columns}
        self._outcomes: dict[int, dict[str, Outcomes]] = {}
        self._prefix = ""
        for cell in cells:
            path = cell.workdir / "results.json"
            self._prefix, entry = _entry(read_object(path), table.rows[name].method, f"{path}, for the row {name}")
            for column, metric in table.columns.items():
                self.values[column][cell.seed] = _metric(entry, metric, str(path))
            self._outcomes[cell.seed] = read_outcomes(cell.workdir / "outcomes.safetensors")

    def at(self, values: Mapping[int, Any], seed: int) -> Any:
        """Returns the value of a seed, or the only one if the row does not depend on it; None if it is not known."""
        return values.get(self.seeds[0] if len(self.seeds) == 1 else seed)

    def outcomes(self, metric: str, seed: int) -> tuple[tuple[str, ...], np.ndarray] | None:
        """Returns the examples of a seed and what each contributes to a metric; None if there are none."""
        group, _, last = f"{self._prefix}{metric}".rpartition(".")
        own = (self.at(self._outcomes, seed) or {}).get(group)
        if own is None or last not in own.metrics:
            return None
        return own.examples, own.values[own.metrics.index(last)]


def _summary(table: Table, row: _Row, reference: _Row | None) -> dict[str, Any]:
    own = table.rows[row.name]
    columns = {}
    for column, metric in table.columns.items():
        values, unit = row.values[column], {"plain": True} if column in table.plain else {}
        known = [seed for seed, value in values.items() if value is not None]
        columns[column] = _spread(values, len(row.seeds), _interval([row.outcomes(metric, seed) for seed in known]))
        columns[column] |= unit
        columns[column]["published"] = table.published.get(row.name, {}).get(column)
        columns[column]["difference"] = None
        if reference is not None and reference is not row:
            difference = _difference(row, reference, column, metric)
            columns[column]["difference"] = None if difference is None else difference | unit
    return {"config": own.config, "options": own.options, "columns": columns}


def _difference(row: _Row, other: _Row, column: str, metric: str) -> dict[str, Any] | None:
    seeds = sorted({*row.seeds, *other.seeds}) if len(row.seeds) == 1 else list(row.seeds)
    differences, pairs = {}, []
    for seed in seeds:
        mine, theirs = row.at(row.values[column], seed), other.at(other.values[column], seed)
        if mine is None or theirs is None:
            continue
        own, others = row.outcomes(metric, seed), other.outcomes(metric, seed)
        if own is not None and others is not None and own[0] != others[0]:
            return None
        differences[seed] = mine - theirs
        pairs.append(None if own is None or others is None else (own[0], own[1] - others[1]))
    return _spread(differences, len(seeds), _interval(pairs)) if differences else None


def _spread(values: Mapping[int, float | None], seeds: int, interval: list[float] | None) -> dict[str, Any]:
    """Returns the mean and range of known values. seeds: how many there should be."""
    known = [value for value in values.values() if value is not None]
    found = {"mean": float(np.mean(known)), "min": min(known), "max": max(known)} if known else {}
    return (
        {"mean": None, "min": None, "max": None}
        | found
        | {
            "interval": interval,
            "values": {str(seed): value for seed, value in values.items()},
            "seeds": seeds,
        }
    )


def _interval(blocks: Sequence[tuple[tuple[str, ...], np.ndarray] | None]) -> list[float] | None:
    """Returns the interval of the mean over seeds of means over examples; a block has those of one seed."""
    told = [block for block in blocks if block is not None]
    examples = [name for names, _ in told for name in names]
    if len(told) < len(blocks) or len(set(examples)) < 2:
        return None
    # Seeds count alike, also if their sets of examples differ in size.
    values = np.concatenate([values.astype(np.float64) / len(values) for _, values in told])
    weights = np.concatenate([np.full(len(values), 1 / len(values)) for _, values in told])
    (interval,) = bootstrap_intervals(ratios(values[None], weights[None]), examples)
    return None if interval is None else list(interval)


def _runs(cells: Sequence[Cell]) -> dict[str, Any]:
    """Returns the command of each run, by seed, and its seconds, None if it was resumed."""
    told = {str(cell.seed): done(cell) for cell in cells}
    return {seed: {"command": own["command"], "seconds": own["seconds"]} for seed, own in told.items() if own}


def _entry(results: Mapping[str, Any], method: str, path: str) -> tuple[str, Mapping[str, Any]]:
    """Returns the part of results.json that a row shows, and its path with a dot at the end."""
    methods = results.get("methods")
    if not isinstance(methods, Mapping) or not methods or (not method and len(methods) > 1):
        if method:
            raise UserError(f"{path}: has no methods; expected {method!r}")
        return "", results
    name = method or next(iter(methods))
    if name not in methods:
        raise UserError(f"{path}: no method {name!r}; there are: {', '.join(methods)}")
    return f"methods.{name}.", methods[name]


def _metric(entry: Mapping[str, Any], metric: str, path: str) -> float | None:
    """Returns a number by its path; None if results.json has null there."""
    value: Any = entry
    several = "; the row names no method" if isinstance(entry.get("methods"), Mapping) else ""
    for name in metric.split("."):
        if not isinstance(value, Mapping) or name not in value:
            known = ", ".join(value) if isinstance(value, Mapping) else "a number"
            raise UserError(
                f"{path}: no metric {metric!r}; there are: {known}{several} (of an older version: remove its folder)"
            )
        value = value[name]
    if value is not None and not isinstance(value, int | float):
        raise UserError(f"{path}: {metric} is {type(value).__name__}; expected a number")
    return value
