"""Reads reports from a table like Open-I's or from text files like MIMIC-CXR's."""

from dataclasses import dataclass
from pathlib import Path

from ecor_jax.data.files import open_texts, read_text
from ecor_jax.data.tables import TABLE_SUFFIXES, read_table
from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.sections import Sections, report_text
from ecor_jax.untrusted.archives import is_zip


@dataclass(frozen=True)
class Report:
    """The sections of a report that describe the image; '' if there are none."""

    name: str
    """The id or path of the report, unique within its source."""
    text: str


def read_reports(path: Path, which: Sections) -> tuple[Report, ...]:
    """Reads every report of a CSV file (.csv, .csv.gz) or of the .txt files (named by path) of a folder or zip.

    `which`: see `sections.Sections`. Raises UserError if the path is missing or of another kind, or has no report or an
    unreadable one.
    """
    if path.is_file() and path.name.lower().endswith(TABLE_SUFFIXES):
        reports = _read_table(path, which)
    elif path.is_dir() or is_zip(path):
        files = open_texts(path)
        names = [name for name in files.texts if name.lower().endswith(".txt")]
        reports = tuple(Report(name.removesuffix(".txt"), report_text(read_text(files, name), which)) for name in names)
    else:
        problem = "is a file of another kind" if path.exists() else "does not exist"
        raise UserError(f"{path} {problem}: expected a .csv or .csv.gz, or a folder or zip of .txt reports")
    if not reports:
        raise UserError(f"{path}: holds no report; expected rows of a .csv, or files ending in .txt")
    return reports


def _read_table(path: Path, which: Sections) -> tuple[Report, ...]:
    """Reads the reports of a table with the columns uid, findings and impression, in its order."""
    reports: dict[str, Report] = {}
    for line, cells in read_table(path, ("uid", "findings", "impression")):
        name, findings, impression = cells["uid"], cells["findings"], cells["impression"]
        if not name:
            raise UserError(f"{path}, line {line}: the uid is empty")
        if name in reports:
            raise UserError(f"{path}, line {line}: the uid {name!r} was there before; expected each once")
        both = "\n\n".join(filter(None, (findings, impression)))
        reports[name] = Report(name, (impression or findings) if which == "last" else both)
    return tuple(reports.values())
