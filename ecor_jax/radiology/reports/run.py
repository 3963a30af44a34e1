"""Extracts the descriptors of a corpus of reports: writes statements.jsonl, descriptors.csv and a page."""

import time
from pathlib import Path

from tqdm import tqdm

from ecor_jax.errors import UserError, some_of
from ecor_jax.pages.numbers import duration
from ecor_jax.radiology.reports.read import read_reports
from ecor_jax.radiology.reports.sections import Sections
from ecor_jax.radiology.reports.splitter import split
from ecor_jax.radiology.reports.statements import write_statements
from ecor_jax.radiology.reports.table import descriptors, write_table, write_table_page


def run(reports_path: Path, output: Path, splitter: str, sections: Sections, batch_size: int) -> list[str]:
    """Splits every report, writes the three files into `output` and returns a summary as lines.

    The options are those of commands/descriptors.py. Raises UserError if the reports cannot be read, none of them
    describes an image, or the output cannot be written.
    """
    reports = read_reports(reports_path, sections)
    empty = [report.name for report in reports if not report.text.strip()]
    described = [report for report in reports if report.text.strip()]
    if not described:
        raise UserError(
            f"{reports_path}: none of its {len(reports)} reports has findings, an impression or a last paragraph"
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be made ({error.strerror or error}); expected a folder") from error
    start = time.monotonic()
    if splitter == "rules":
        statements = {report.name: split(report.text) for report in tqdm(described, desc="reports", unit=" reports")}
    else:
        from ecor_jax.radiology.reports.causal_model import DEFAULT_MODEL, CausalModel
        from ecor_jax.radiology.reports.language_model import split_reports

        splitter = DEFAULT_MODEL if splitter == "model" else splitter
        statements = split_reports(CausalModel(splitter), described, output / "language_model", batch_size)
    seconds = duration(time.monotonic() - start)
    table = descriptors(statements.values())
    counts = {
        "Reports": f"{len(reports):,}",
        "Empty": f"{len(empty):,}",
        "Statements": f"{sum(map(len, statements.values())):,}",
        "Descriptors": f"{len(table):,}",
    }
    write_statements([report.name for report in reports], statements, output / "statements.jsonl")
    write_table(table, output / "descriptors.csv")
    facts = counts | {"Splitter": splitter, "Time": seconds}
    page = write_table_page(table, output, f"Descriptors of {reports_path.name}", facts)
    lines = [
        "{Reports} reports in {time}: {Statements} statements, {Descriptors} descriptors".format(**counts, time=seconds)
    ]
    silent = [report.name for report in described if not statements[report.name]]
    for names, problem in (
        (empty, "without text that describes a picture"),
        (silent, "with such text, but without a statement"),
    ):
        if names:
            lines.append(f"{problem}: {len(names):,} ({some_of(names)})")
    return [*lines, f"wrote {page}"]
