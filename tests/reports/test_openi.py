import gzip

import pytest

from ecor_jax.errors import UserError
from ecor_jax.reports.openi import read_openi
from ecor_jax.reports.records import Report

HEADER = "uid,indication,findings,impression\n"
ROWS = '1,cough,"Clear lungs, no\neffusion.",Normal.\n2,,,\n3,,Scar., \n'


def written(tmp_path, text, name="reports.csv"):
    path = tmp_path / name
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["reports.csv", "reports.csv.gz"])
@pytest.mark.parametrize("header", [HEADER, "\ufeff" + HEADER])
def test_findings_then_impression(tmp_path, name, header):
    assert read_openi(written(tmp_path, header + ROWS, name)) == (
        Report("1", "Clear lungs, no\neffusion.\n\nNormal."),
        Report("2", ""),
        Report("3", "Scar."),
    )


def test_last_is_the_impression_or_the_findings(tmp_path):
    texts = [report.text for report in read_openi(written(tmp_path, HEADER + ROWS), "last")]
    assert texts == ["Normal.", "", "Scar."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + ROWS + "4,a,b\n", r"reports\.csv, line 6: found 3 cells; expected 4"),
        (HEADER + ROWS + ",a,b,c\n", r"line 6: the uid is empty"),
        (HEADER + ROWS + "1,a,b,c\n", r"line 6: the uid '1' was there before"),
        ("uid,findings\n1,a\n", r"reports\.csv has no column impression; its columns are: uid, findings"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_openi(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_real_table(shared_data):
    reports = read_openi(shared_data / "xray" / "openi_reports.csv.gz")
    assert len(reports) == 3955
    assert sum(not report.text for report in reports) == 28
