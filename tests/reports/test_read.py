import zipfile

import pytest

from ecor_jax.errors import UserError
from ecor_jax.reports.read import read_reports
from ecor_jax.reports.records import Report

NAME = "files/p10/p10000032/s50414267"
OTHER = "files/p10/p10000033/s50000001"


@pytest.fixture
def folder(tmp_path):
    for name, text in ((NAME, b" FINDINGS: clear\n IMPRESSION: caf\xe9"), (OTHER, b"\xef\xbb\xbf INDICATION: cough")):
        path = tmp_path / "root" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (tmp_path / "root" / "notes.csv").write_text("no report")
    (tmp_path / "root" / ".hidden.txt").write_text("no report")
    return tmp_path / "root"


def test_folder_and_zip_of_mimic_reports(folder, tmp_path):
    expected = (Report(NAME, "café"), Report(OTHER, ""))
    assert read_reports(folder, "last") == expected
    assert read_reports(folder, "findings+impression")[0].text == "clear\n\ncafé"
    with zipfile.ZipFile(tmp_path / "reports.zip", "w") as archive:
        for path in sorted(folder.rglob("*.txt")):
            archive.write(path, path.relative_to(folder).as_posix())
    assert read_reports(tmp_path / "reports.zip", "last") == expected


def test_a_damaged_member_is_named(tmp_path):
    path = tmp_path / "reports.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("s50414267.txt", "FINDINGS: clear")
    path.write_bytes(path.read_bytes().replace(b"FINDINGS", b"findings"))
    with pytest.raises(UserError, match=r"reports\.zip: s50414267\.txt cannot be read \(Bad CRC"):
        read_reports(path, "last")


def test_table(tmp_path):
    path = tmp_path / "Table.CSV"
    path.write_text("uid,findings,impression\n7,a,b\n")
    assert read_reports(path, "last") == (Report("7", "b"),)


def test_zip_that_leads_out_of_itself_is_refused(tmp_path):
    path = tmp_path / "reports.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../s50414267.txt", "FINDINGS: clear")
    with pytest.raises(UserError, match="names a path outside itself"):
        read_reports(path, "last")


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "does not exist: expected a .csv"), ("file.pdf", "is a file of another kind: expected a .csv")],
)
def test_other_paths_are_named(tmp_path, name, message):
    (tmp_path / "file.pdf").write_bytes(b"%PDF")
    with pytest.raises(UserError, match=message):
        read_reports(tmp_path / name, "last")


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "empty.csv").write_text("uid,findings,impression\n")
    with pytest.raises(UserError, match="holds no report"):
        read_reports(tmp_path / "empty.csv", "last")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="no texts in"):
        read_reports(tmp_path / "folder", "last")
    (tmp_path / "folder" / "list.csv").write_text("a,b")
    with pytest.raises(UserError, match=r"holds no report; expected .*\.txt"):
        read_reports(tmp_path / "folder", "last")
