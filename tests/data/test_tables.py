import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.data.tables import read_table
from ecor_jax.errors import UserError

# With the comma that ends the lines of NIH's table.
TEXT = 'id,label, view ,\r\n1,"a, b",PA,\r\n\r\n2,, AP ,\r\n'
ROWS = [
    (2, {"id": "1", "label": "a, b", "view": "PA", "": ""}),
    (4, {"id": "2", "label": "", "view": "AP", "": ""}),
]


@pytest.mark.parametrize("gzipped", [False, True])
def test_rows_by_column_with_their_lines(tmp_path, gzipped):
    content = b"\xef\xbb\xbf" + TEXT.encode()
    path = tmp_path / ("t.csv.gz" if gzipped else "t.csv")
    path.write_bytes(gzip.compress(content, mtime=0) if gzipped else content)
    assert list(read_table(path, ["view", "id"])) == ROWS


GZIPPED = gzip.compress(TEXT.encode() * 50, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", None, "t.csv: cannot be read .No such file"),
        ("t.csv", b"", "has no column id, view; its columns are: nothing"),
        ("t.csv", b"id,label\n1,2\n", "has no column view; its columns are: id, label"),
        ("t.csv", b"id,view,id\n1,2,3\n", "has two columns 'id'"),
        ("t.csv", b"id,view\n1,2\n3\n", "line 3: found 1 cells; expected 2, as in the header"),
        ("t.csv", b"id,view\n1,2,3\n", "line 2: found 3 cells; expected 2"),
        ("t.csv", b'id,view\n1,"PA', "cannot be read, or is damaged: unexpected end of data"),
        ("t.csv", b"id,view\n1,\xff\n", "is no UTF-8 text .byte"),
        ("t.csv", b"id,view\n1," + b"x" * 200_000, "cannot be read, or is damaged: field larger"),
        ("t.csv.gz", TEXT.encode(), "is not compressed, or damaged"),
        ("t.csv.gz", GZIPPED[:-20], "is cut off within its compressed content"),
        ("t.csv.gz", GZIPPED[:15] + b"\xff\xff\xff" + GZIPPED[18:], "is not compressed, or damaged"),
    ],
)
def test_what_is_no_whole_table_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        list(read_table(tmp_path / name, ["id", "view"]))
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(cells, cells), max_size=8))
def test_what_csv_writes_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    text = io.StringIO()
    csv.writer(text).writerows([("a", "b"), *rows])
    path.write_bytes(text.getvalue().encode())
    assert [tuple(row.values()) for _, row in read_table(path, ["a"])] == [(a.strip(), b.strip()) for a, b in rows]
