"""The page of a table: the table, a plot for each column, and the differences to the reference row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecor_jax.pages.numbers import duration
from ecor_jax.pages.page import write_page
from ecor_jax.tables.markdown import difference_text, factor, is_clear, range_text, unit_text


def write_summary_page(directory: Path, summary: Mapping[str, Any]) -> Path:
    """Writes the page of a table of `summary` and returns its path."""
    rows, reference = summary["rows"], summary["reference"]
    # Rows that show different methods of one run share its command.
    seconds = {run["command"]: run["seconds"] for row in summary["runs"].values() for run in row.values()}
    seeds = {seed for row in summary["runs"].values() for seed in row}
    timed = [value for value in seconds.values() if value is not None]
    resumed = f", without {len(seconds) - len(timed)} that were resumed" if len(timed) < len(seconds) else ""
    compared = [name for name in rows if name != reference and reference in rows]
    facts = {"runs": len(seconds), "seeds": len(seeds), "time of the runs": duration(sum(timed)) + resumed}
    if compared:
        facts["compared with"] = reference
    return write_page(
        directory,
        "table.html",
        kind="Table",
        title=summary["title"],
        intro=summary["about"],
        facts=facts,
        table=summary,
        compared=compared,
        range_text=range_text,
        factor=factor,
        unit=unit_text(summary),
        curves=_curves(summary),
        difference_text=lambda difference: difference_text(difference).replace("*", ""),
        is_clear=is_clear,
        left_out=[*(f"{name}: {why}" for name, why in summary["failed"].items()), *summary["missing"]],
    )


def _curves(summary: Mapping[str, Any]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Returns, by column and curve, the means over those of the column `x`; {} if there is no such column."""
    if not summary.get("x"):
        return {}
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, row in summary["rows"].items():
        place = row["columns"][summary["x"]]["mean"]
        for column, own in row["columns"].items():
            if column != summary["x"] and place is not None and own["mean"] is not None:
                points = curves.setdefault(column, {}).setdefault(name.partition("+")[0], [])
                points.append((place, own["mean"]))
    return curves
