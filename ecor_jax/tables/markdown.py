"""Formats a table of `summary` as Markdown, and replaces such tables in a Markdown file."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.atomic import new_file
from ecor_jax.errors import UserError, printable

_BLOCK = r"(<!-- table ({path}) -->\n)((?:(?!<!-- table ).)*?)(<!-- end of table -->)"


def markdown(summary: Mapping[str, Any]) -> str:
    """Returns the table of means, and below it the table of differences to the reference row, in per cent."""
    rows, columns, reference = summary["rows"], list(summary["columns"]), summary["reference"]
    most = max((len(runs) for runs in summary["runs"].values()), default=0)
    told = f"{unit_text(summary)}; mean (lowest to highest of {most} seeds)." if most > 1 else f"{unit_text(summary)}."
    published = [
        column for column in columns if any(row["columns"][column]["published"] is not None for row in rows.values())
    ]
    if published:
        told += f" Published: {summary['source']}."
    header = ["row", *columns, *(f"{column}, published" for column in published)]
    lines = []
    for name, row in rows.items():
        own = row["columns"]
        given = ("-" if own[column]["published"] is None else f"{own[column]['published']:.1f}" for column in published)
        lines.append([f"`{name}`", *(range_text(own[column]) for column in columns), *given])
    parts = [told, _grid(header, lines)]
    points = "in percentage points" + unit_text(summary).removeprefix("In per cent")
    compared = {name: row for name, row in rows.items() if name != reference and reference in rows}
    if compared:
        lines = [
            [f"`{name}`", *(difference_text(row["columns"][column]["difference"]) for column in columns)]
            for name, row in compared.items()
        ]
        parts += [
            f"Differences to `{reference}`, {points}, with 95 % bootstrap intervals over the test examples "
            "(of the mean over seeds, paired); bold if the interval excludes 0 and all seeds have the same sign.",
            _grid(["row", *columns], lines),
        ]
    for what in ("failed", "missing"):
        if summary[what]:
            entries = summary[what]
            text = "; ".join(f"{name} ({entries[name]})" if what == "failed" else name for name in entries)
            parts.append(f"{what.capitalize()}: {printable(text)}.")
    return "\n\n".join(parts) + "\n"


def _written(value: float, sign: str = "") -> str:
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.1f}"


def unit_text(summary: Mapping[str, Any]) -> str:
    """Returns `In per cent`, with the columns that are not."""
    rows = [row["columns"] for row in summary["rows"].values()]
    plain = [column for column in summary["columns"] if any(row[column].get("plain") for row in rows)]
    return "In per cent" + (f", except for {', '.join(plain)}" if plain else "")


def range_text(spread: Mapping[str, Any]) -> str:
    """Formats a mean of 0.536 from 0.53 to 0.543 as `53.6 (53.0 to 54.3)`; a single value has no range.

    Values that are "plain" are not in per cent.
    """
    if spread["mean"] is None:
        return "-"
    mean, low, high = (_written(factor(spread) * spread[name]) for name in ("mean", "min", "max"))
    return (mean if low == high else f"{mean} ({low} to {high})") + _fewer(spread)


def difference_text(difference: Mapping[str, Any] | None) -> str:
    """Formats a difference of 0.023 with its interval as `**+2.3 (1.0 to 3.6)**`, bold if it `is_clear`."""
    if difference is None or difference["mean"] is None:
        return "-"
    text = _written(factor(difference) * difference["mean"], "+")
    if difference["interval"] is not None:
        text += " ({} to {})".format(*(_written(factor(difference) * bound, "+") for bound in difference["interval"]))
    text += _fewer(difference)
    return f"**{text}**" if is_clear(difference) else text


def factor(spread: Mapping[str, Any]) -> int:
    """Returns what the values of a spread are multiplied by where they are shown."""
    return 1 if spread.get("plain") else 100


def _fewer(spread: Mapping[str, Any]) -> str:
    """Tells of how many seeds a mean is, if some are missing."""
    known = sum(value is not None for value in spread["values"].values())
    return "" if known == spread["seeds"] else f", {known} of {spread['seeds']} seeds"


def is_clear(difference: Mapping[str, Any]) -> bool:
    """Returns whether the interval of a difference excludes 0 and all seeds have the same sign."""
    if difference["interval"] is None:
        return False
    low, high = difference["interval"]
    return (low > 0 and difference["min"] > 0) or (high < 0 and difference["max"] < 0)


def insert(file: Path, name: str, summary: Mapping[str, Any]) -> None:
    """Replaces the block of a table in a Markdown file, and the JSON file that the block names.

    Raises UserError if there is no block.
    """
    text, found = find_block(file, name)
    with new_file(file.parent / found[2]) as partial:
        # One line a row: these files are kept with the text.
        rows = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in summary["rows"].items())
        rest = json.dumps({name: value for name, value in summary.items() if name != "rows"})
        partial.write_text(rest[:-1] + ', "rows": {\n' + ",\n".join(rows) + "\n}}\n", encoding="utf-8")
    with new_file(file) as partial:
        new = f"{found[1]}\n{markdown(summary)}\n{found[4]}"
        partial.write_text(text[: found.start()] + new + text[found.end() :], encoding="utf-8")


def find_block(file: Path, name: str) -> tuple[str, re.Match[str]]:
    """Returns the text of a Markdown file and the block of a table in it.

    It is between the lines `<!-- table FOLDER/NAME.json -->` and `<!-- end of table -->`. Raises UserError without one.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    text = file.read_text(encoding="utf-8")
    found = re.search(_BLOCK.format(path=rf"(?:[\w.-]+/)*{re.escape(name)}\.json"), text, re.DOTALL)
    if found is None:
        raise UserError(f"{file}: no block of the table {name}; expected the line <!-- table FOLDER/{name}.json -->")
    return text, found


def blocks(text: str) -> dict[str, str]:
    """Returns the tables in a Markdown file, by the path of their JSON file."""
    return {path: body.strip() + "\n" for _, path, body, _ in re.findall(_BLOCK.format(path=r"\S+"), text, re.DOTALL)}


def _grid(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in rows)
