"""An atomic statement of a radiology report: one descriptor, and what the report says of it.

statements.jsonl has a line a report, its name and its statements: splitting and training are two commands.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecor_jax.atomic import new_file
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_text
from ecor_jax.untrusted.json_text import parse_json

Status = Literal["present", "absent", "uncertain"]
STATUSES: tuple[Status, ...] = ("present", "absent", "uncertain")
GROUPS = ("lungs", "pleura", "heart", "mediastinum", "vessels", "bones", "diaphragm", "devices", "abdomen", "other")


@dataclass(frozen=True)
class Statement:
    """`text` is in normal form: lower case, no articles, no words of negation or doubt; `group` is one of GROUPS."""

    text: str
    status: Status
    group: str


def phrase(statement: Statement) -> str:
    """The statement in words: "pleural effusion", "no pleural effusion", "possible pleural effusion"."""
    before = {"present": "", "absent": "no ", "uncertain": "possible "}
    return before[statement.status] + statement.text


def write_statements(names: Sequence[str], statements: Mapping[str, Sequence[Statement]], path: Path) -> None:
    """One line for each of `names`; an empty list for one that has no statements."""
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for name in names:
            entries = [dataclasses.asdict(statement) for statement in statements.get(name, ())]
            file.write(json.dumps({"name": name, "statements": entries}, ensure_ascii=False) + "\n")


def read_statements(path: str | Path) -> dict[str, tuple[Statement, ...]]:
    """The statements of each report, by its name. UserError names the line that is of another form."""
    reports: dict[str, tuple[Statement, ...]] = {}
    # Not splitlines: other marks that end a line may stand within a text.
    *lines, last = read_text(Path(path)).split("\n")
    for number, line in enumerate([*lines, last] if last else lines, 1):
        where = f"{path}, line {number}"
        entry = parse_json(line, where)
        try:
            name, statements = str(entry["name"]), tuple(map(_statement, entry["statements"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{where}: expected {{"name": ..., "statements": [{{"text": ..., "status": ..., "group": ...}}]}}, '
                f"as ecor-jax descriptors writes it ({error})"
            ) from error
        if name in reports:
            raise UserError(f"{where}: report {name!r} stands there twice")
        reports[name] = statements
    return reports


def _statement(entry: dict[str, Any]) -> Statement:
    statement = Statement(**entry)
    if not isinstance(statement.text, str) or not statement.text.strip():
        raise ValueError("a statement without text")
    if statement.status not in STATUSES or statement.group not in GROUPS:
        raise ValueError(f"found {statement.status!r}, {statement.group!r}")
    return statement
