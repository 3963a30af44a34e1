import csv

from ecor_jax.explain.html import UNPRINTABLE
from ecor_jax.reports.statements import Statement
from ecor_jax.reports.table import Descriptor, descriptors, write_table
from ecor_jax.reports.table_page import SHOWN, write_table_page

REPORTS = [
    (Statement("effusion", "absent", "pleura"), Statement("scar", "present", "lungs")),
    (Statement("effusion", "absent", "pleura"), Statement("effusion", "present", "pleura")),
    (Statement("effusion", "uncertain", "pleura"), Statement("mass, left", "present", "lungs")),
    (),
]
TABLE = (
    Descriptor("effusion", "pleura", present=1, negated=2, uncertain=1),
    Descriptor("mass, left", "lungs", present=1, negated=0, uncertain=0),
    Descriptor("scar", "lungs", present=1, negated=0, uncertain=0),
)


def test_counts_by_hand():
    assert descriptors(REPORTS) == TABLE
    assert TABLE[0].count == 4
    assert descriptors([]) == ()
    # A report that says one thing twice says it once.
    assert descriptors([[REPORTS[0][0]] * 2]) == (Descriptor("effusion", "pleura", 0, 1, 0),)


def test_csv(tmp_path):
    write_table(TABLE, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["text", "group", "count", "negated", "uncertain"],
        ["effusion", "pleura", "4", "2", "1"],
        ["mass, left", "lungs", "1", "0", "0"],
        ["scar", "lungs", "1", "0", "0"],
    ]


def test_page(tmp_path):
    page = write_table_page(TABLE, tmp_path, "Descriptors of <b>", {"Reports": "4"}).read_text()
    assert "Descriptors of &lt;b&gt;" in page
    assert page.index('id="lungs"') < page.index('id="pleura"')
    assert 'id="heart"' not in page
    row = page[page.index("effusion") :]
    assert "<td>4</td><td>1</td><td>2</td><td>1</td></tr>" in row
    assert 'style="width:50.00%"' in row
    assert "not a medical device" in page
    assert not UNPRINTABLE.search(page)


def test_page_escapes_and_keeps_to_the_most_frequent(tmp_path):
    found = [Descriptor(f"<script>{number}", "other", 1, 0, 0) for number in range(SHOWN + 1)]
    page = write_table_page(found, tmp_path, "t", {}).read_text()
    assert "<script>" not in page
    assert f"&lt;script&gt;{SHOWN - 1}<" in page
    assert f"&lt;script&gt;{SHOWN}<" not in page
    assert f"{SHOWN + 1} descriptors; the {SHOWN} most frequent." in page


def test_page_without_a_descriptor(tmp_path):
    assert "not a medical device" in write_table_page((), tmp_path, "t", {}).read_text()
