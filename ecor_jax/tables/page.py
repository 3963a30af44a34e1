"""The page of a table: the table, a plot for each column, and the differences to the reference row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecor_jax.pages.numbers import duration
from ecor_jax.pages.page import write_page
from ecor_jax.tables.markdown import difference_text, is_clear, range_text


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
        difference_text=lambda difference: difference_text(difference).replace("*", ""),
        is_clear=is_clear,
        left_out=[*(f"{name}: {why}" for name, why in summary["failed"].items()), *summary["missing"]],
    )
