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
    """The rows of a table that has at least these columns: the line each ends in, and its cells, stripped.

    Raises UserError for a file that is missing or no such table, that is damaged or cut off, that lacks one of the
    columns (naming those there are), and for a row with more or fewer cells than the header.
    """
    try:
        with io.StringIO(read_text(path), newline="") as file:
            lines = csv.reader(file, strict=True)
            header = [name.strip() for name in next(lines, [])]
            if missing := [name for name in columns if name not in header]:
                found = ", ".join(header)[:300] or "nothing"
                raise UserError(f"{path} has no column {', '.join(missing)}; its columns are: {found}")
            # Nameless columns do no harm: NIH's own table ends its lines in a comma.
            if repeated := sorted(name for name, count in Counter(header).items() if name and count > 1):
                raise UserError(f"{path} has two columns {', '.join(map(repr, repeated))}")
            for cells in lines:
                if len(cells) != len(header):
                    if not cells:
                        continue
                    where = f"{path}, line {lines.line_num}"
                    raise UserError(f"{where}: found {len(cells)} cells; expected {len(header)}, as in the header")
                yield lines.line_num, dict(zip(header, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise UserError(f"{path} cannot be read, or is damaged: {error}") from error
