"""Open-I's radiology reports as a CSV file with the columns uid, findings and impression."""

from pathlib import Path

from ecor_jax.data.tables import read_table
from ecor_jax.errors import UserError
from ecor_jax.reports.records import Report
from ecor_jax.reports.sections import Sections


def read_openi(path: Path, which: Sections = "findings+impression") -> tuple[Report, ...]:
    """The reports of a CSV file, plain or gzipped, in its order; `which` as in `sections.report_text`.

    A report whose fields are empty has the text ''. UserError as `tables.read_table` raises it, and for a row that has
    no uid or one that was there before: with its line.
    """
    reports: dict[str, Report] = {}
    for line, row in read_table(path, ("uid", "findings", "impression")):
        name = row["uid"]
        if not name:
            raise UserError(f"{path}, line {line}: the uid is empty")
        if name in reports:
            raise UserError(f"{path}, line {line}: the uid {name!r} was there before; expected each once")
        reports[name] = Report(name, _text(row["findings"], row["impression"], which))
    return tuple(reports.values())


def _text(findings: str, impression: str, which: Sections) -> str:
    if which == "last":
        return impression or findings
    return "\n\n".join(part for part in (findings, impression) if part)
