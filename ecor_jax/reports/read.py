"""Reports from a table of Open-I or from the text files of MIMIC-CXR, told apart by what the path is."""

from pathlib import Path

from ecor_jax.data.files import open_texts, read_text
from ecor_jax.errors import UserError
from ecor_jax.reports.openi import read_openi
from ecor_jax.reports.records import Report
from ecor_jax.reports.sections import Sections, report_text
from ecor_jax.untrusted.archives import is_zip


def read_reports(path: Path, which: Sections) -> tuple[Report, ...]:
    """Every report of a CSV file (.csv, .csv.gz), or of the .txt files of a folder or zip, named by its path there.

    UserError if the path is missing or neither, holds no report, or has one that cannot be read.
    """
    if path.is_file() and path.name.lower().endswith((".csv", ".csv.gz")):
        reports = read_openi(path, which)
    elif path.is_dir() or is_zip(path):
        files = open_texts(path)
        names = [name for name in files.texts if name.lower().endswith(".txt")]
        reports = tuple(Report(name.removesuffix(".txt"), report_text(read_text(files, name), which)) for name in names)
    else:
        found = "is a file of another kind" if path.exists() else "does not exist"
        raise UserError(f"{path} {found}: expected a .csv or .csv.gz, or a folder or zip of .txt reports")
    if not reports:
        raise UserError(f"{path}: holds no report; expected rows of a .csv, or files ending in .txt")
    return reports
