"""Strict readers for CSV tables, plain or gzipped; errors name the line."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_text

TABLE_SUFFIXES = (".csv", ".csv.gz")

Row = dict[str, str]


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Reads a file with `table_rows`; also raises UserError if the file is missing, damaged or truncated."""
    yield from table_rows(read_text(path), str(path), columns)


def table_rows(text: str, where: str, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, Row]]:
    """Yields (number of its last line, its stripped cells by column) for each row of a table with at least `columns`.

    Raises UserError naming `where` if the text is not such a table, lacks one of the columns (the message lists the
    existing ones), repeats a column, or has a row with more or fewer cells than the header.
    """
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        if missing := [name for name in columns if name not in header]:
            present = ", ".join(header)[:300] or "nothing"
            raise UserError(f"{where} has no column {', '.join(missing)}; its columns are: {present}")
        # Columns without a name are harmless: the lines of NIH's own table end in a comma.
        if repeated := sorted(name for name, count in Counter(header).items() if name and count > 1):
            raise UserError(f"{where} has two columns {', '.join(map(repr, repeated))}")
        for cells in lines:
            if cells and len(cells) != len(header):
                expected = f"{len(header)}, as in the header"
                raise UserError(f"{where}, line {lines.line_num}: found {len(cells)} cells; expected {expected}")
            if cells:
                yield lines.line_num, dict(zip(header, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise UserError(f"{where} cannot be read, or is damaged: {error}") from error
