import gzip
import zipfile

import pytest

from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.read import Report, read_reports

TABLE = 'uid,indication,findings,impression\n1,cough,"Clear lungs, no\neffusion.",Normal.\n2,,,\n3,,Scar., \n'
NAME, OTHER = "files/p10/p10000032/s50414267", "files/p10/p10000033/s50000001"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["reports.csv", "Reports.CSV", "reports.csv.gz"])
def test_table(tmp_path, name, mark):
    content = (mark + TABLE).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    both = (Report("1", "Clear lungs, no\neffusion.\n\nNormal."), Report("2", ""), Report("3", "Scar."))
    assert read_reports(tmp_path / name, "findings+impression") == both
    assert [report.text for report in read_reports(tmp_path / name, "last")] == ["Normal.", "", "Scar."]


def test_folder_and_zip_of_mimic_reports(tmp_path):
    folder = tmp_path / "root"
    for name, text in ((NAME, b" FINDINGS: clear\n IMPRESSION: caf\xe9"), (OTHER, b"\xef\xbb\xbf INDICATION: cough")):
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (folder / "notes.csv").write_text("no report")
    (folder / ".hidden.txt").write_text("no report")
    expected = (Report(NAME, "café"), Report(OTHER, ""))
    assert read_reports(folder, "last") == expected
    assert read_reports(folder, "findings+impression")[0].text == "clear\n\ncafé"
    with zipfile.ZipFile(tmp_path / "reports.zip", "w") as archive:
        for path in sorted(folder.rglob("*.txt")):
            archive.write(path, path.relative_to(folder).as_posix())
    assert read_reports(tmp_path / "reports.zip", "last") == expected


FAULTS = {
    r"reports\.csv, line 6: found 3 cells; expected 4": ("reports.csv", TABLE + "4,a,b\n"),
    "line 6: the uid is empty": ("reports.csv", TABLE + ",a,b,c\n"),
    "line 6: the uid '1' was there before": ("reports.csv", TABLE + "1,a,b,c\n"),
    r"has no column impression; its columns are: uid, findings": ("reports.csv", "uid,findings\n1,a\n"),
    "holds no report; expected rows of a .csv": ("reports.csv", "uid,findings,impression\n"),
    "is a file of another kind: expected a .csv": ("file.pdf", "%PDF"),
    "does not exist: expected a .csv": ("missing", None),
    "no texts in": ("folder/missing", None),
    r"holds no report; expected .*\.txt": ("folder/list.csv", "a,b"),
}


@pytest.mark.parametrize("message", FAULTS)
def test_what_cannot_be_read_is_named(tmp_path, message):
    name, content = FAULTS[message]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_reports(path.parent if path.parent != tmp_path else path, "last")
    assert "\n" not in str(caught.value)
