"""statements.jsonl: a line a report, its name and its statements; how splitting and training are two commands."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.reports.statements import GROUPS, STATUSES, Statement


def write_statements(names: Sequence[str], found: Mapping[str, Sequence[Statement]], path: Path) -> None:
    """One line for each of `names`; an empty list where nothing was found."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name in names:
            statements = [dataclasses.asdict(one) for one in found.get(name, ())]
            file.write(json.dumps({"name": name, "statements": statements}, ensure_ascii=False) + "\n")


def read_statements(path: str | Path) -> dict[str, tuple[Statement, ...]]:
    """The statements of each report, by its name. UserError names the line that is of another form."""
    found: dict[str, tuple[Statement, ...]] = {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    entry = json.loads(line)
                    name, statements = str(entry["name"]), tuple(_statement(one) for one in entry["statements"])
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise UserError(
                        f'{path}, line {number}: expected {{"name": ..., "statements": [{{"text": ..., "status": ..., '
                        f'"group": ...}}]}}, as launch.descriptors writes it ({error})'
                    ) from error
                if name in found:
                    raise UserError(f"{path}, line {number}: report {name!r} stands there twice")
                found[name] = statements
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read statements ({error})") from error
    return found


def _statement(entry: dict[str, Any]) -> Statement:
    statement = Statement(**entry)
    if not isinstance(statement.text, str) or not statement.text.strip():
        raise ValueError("a statement without text")
    if statement.status not in STATUSES or statement.group not in GROUPS:
        raise ValueError(f"found {statement.status!r}, {statement.group!r}")
    return statement
