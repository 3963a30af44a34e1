"""A corpus of reports to its descriptors: statements.jsonl, descriptors.csv and a page."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from ecor_jax.data.files import some_of
from ecor_jax.errors import UserError
from ecor_jax.pages.numbers import duration
from ecor_jax.reports.read import Report, read_reports
from ecor_jax.reports.sections import Sections
from ecor_jax.reports.splitter import split
from ecor_jax.reports.statements import Statement, write_statements
from ecor_jax.reports.table import descriptors, write_table
from ecor_jax.reports.table_page import write_table_page

RULES, MODEL = "rules", "model"
"""Splitters with a name of their own: the rules, and language_model.DEFAULT_MODEL."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run read and found; `empty` reports describe no picture, of `silent` ones nothing was taken."""

    page: Path
    reports: int
    empty: Sequence[str]
    silent: Sequence[str]
    statements: int
    descriptors: int
    seconds: float

    def lines(self) -> list[str]:
        """As a command prints it."""
        told = [
            f"{self.reports:,} reports in {duration(self.seconds)}: {self.statements:,} statements, "
            f"{self.descriptors:,} descriptors"
        ]
        for what, names in (
            ("without text that describes a picture", self.empty),
            ("with such text, but without a statement", self.silent),
        ):
            if names:
                told.append(f"{what}: {len(names):,} ({some_of(names)})")
        return [*told, f"wrote {self.page}"]


def run(reports_path: Path, output: Path, splitter: str, sections: Sections, batch_size: int) -> Summary:
    """Splits every report and writes the three files into `output`; see commands/descriptors.py for the options.

    UserError for reports that cannot be read, none that says anything, or an output that cannot be written.
    """
    reports = read_reports(reports_path, sections)
    empty = [report.name for report in reports if not report.text.strip()]
    described = [report for report in reports if report.text.strip()]
    if not described:
        raise UserError(
            f"{reports_path}: none of its {len(reports)} reports has findings, an impression or a last paragraph"
        )
    _make(output)
    if splitter == MODEL:
        from ecor_jax.reports.language_model import DEFAULT_MODEL

        splitter = DEFAULT_MODEL
    start = time.monotonic()
    statements = _split(described, output, splitter, batch_size)
    seconds = time.monotonic() - start
    table = descriptors(statements.values())
    count = sum(map(len, statements.values()))
    facts = {
        "Reports": f"{len(reports):,}",
        "Empty": f"{len(empty):,}",
        "Statements": f"{count:,}",
        "Descriptors": f"{len(table):,}",
        "Splitter": splitter,
        "Time": duration(seconds),
    }
    write_statements([report.name for report in reports], statements, output / "statements.jsonl")
    write_table(table, output / "descriptors.csv")
    page = write_table_page(table, output, f"Descriptors of {reports_path.name}", facts)
    silent = [report.name for report in described if not statements.get(report.name)]
    return Summary(page, len(reports), empty, silent, count, len(table), seconds)


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be made ({error.strerror or error}); expected a folder") from error


def _split(
    reports: Sequence[Report], output: Path, splitter: str, batch_size: int
) -> Mapping[str, tuple[Statement, ...]]:
    if splitter == RULES:
        return {report.name: split(report.text) for report in tqdm(reports, desc="reports", unit=" reports")}
    from ecor_jax.reports.language_model import split_reports

    return split_reports(splitter, reports, output / "language_model", batch_size)
