"""CSV tables, plain or gzipped, read strictly: what does not fit is named by its line."""

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
    """`table_rows` of a file. UserError, too, for one that is missing, damaged or cut off."""
    yield from table_rows(read_text(path), str(path), columns)


def table_rows(text: str, where: str, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, Row]]:
    """The rows of a table that has at least these columns: the line each ends in, and its cells, stripped.

    Raises UserError, naming `where`, for what is no such table, lacks one of the columns (naming those there are), has
    one twice, or has a row with more or fewer cells than the header.
    """
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        if missing := [name for name in columns if name not in header]:
            present = ", ".join(header)[:300] or "nothing"
            raise UserError(f"{where} has no column {', '.join(missing)}; its columns are: {present}")
        # Nameless columns do no harm: NIH's own table ends its lines in a comma.
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
