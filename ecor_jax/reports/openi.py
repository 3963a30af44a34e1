"""Open-I's radiology reports as a CSV file with the columns uid, findings and impression."""

import csv
import gzip
import io
import zlib
from pathlib import Path

from ecor_jax.errors import UserError
from ecor_jax.reports.records import Report
from ecor_jax.reports.sections import Sections

_COLUMNS = ("uid", "findings", "impression")


def read_openi(path: Path, which: Sections = "findings+impression") -> tuple[Report, ...]:
    """The reports of a CSV file, plain or gzipped, in its order; `which` as in `sections.report_text`.

    A report whose fields are empty has the text ''. UserError for a file that is damaged or has other columns, and for
    a row that is cut off, has no uid or one that was there before: with its line.
    """
    try:
        text = _content(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a table of reports ({error})") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    reports: dict[str, Report] = {}
    try:
        header = next(reader, [])
        if missing := [name for name in _COLUMNS if name not in header]:
            found = ", ".join(header[:10]) or "nothing"
            raise UserError(
                f"{path}: has no column {', '.join(missing)}; expected {', '.join(_COLUMNS)}, found {found}"
            )
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise UserError(f"{where}: has {len(row)} fields; expected {len(header)}, as the first line names")
            fields = dict(zip(header, (field.strip() for field in row), strict=True))
            name = fields["uid"]
            if not name:
                raise UserError(f"{where}: the uid is empty")
            if name in reports:
                raise UserError(f"{where}: the uid {name!r} was there before; expected each once")
            reports[name] = Report(name, _text(fields["findings"], fields["impression"], which))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: is no CSV ({error})") from error
    return tuple(reports.values())


def _content(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return content.decode("utf-8-sig")


def _text(findings: str, impression: str, which: Sections) -> str:
    if which == "last":
        return impression or findings
    return "\n\n".join(part for part in (findings, impression) if part)
