"""Atomic statements of radiology reports: a descriptor with its status, and their file statements.jsonl.

The file has one line per report, with its name and statements; `ecor-jax descriptors` writes it, training reads it.
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
    """Returns the statement in words: "pleural effusion", "no pleural effusion", "possible pleural effusion"."""
    before = {"present": "", "absent": "no ", "uncertain": "possible "}
    return before[statement.status] + statement.text


def write_statements(names: Sequence[str], statements: Mapping[str, Sequence[Statement]], path: Path) -> None:
    """Writes one line for each of `names`, with an empty list if it has no statements."""
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for name in names:
            entries = [dataclasses.asdict(statement) for statement in statements.get(name, ())]
            file.write(json.dumps({"name": name, "statements": entries}, ensure_ascii=False) + "\n")


def read_statements(path: str | Path) -> dict[str, tuple[Statement, ...]]:
    """Returns the statements of each report by name. Raises UserError naming a malformed line."""
    reports: dict[str, tuple[Statement, ...]] = {}
    # `splitlines` is not used, because it also splits at characters that may occur in a text.
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
