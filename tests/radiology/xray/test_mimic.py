import csv
import gzip
import io
import logging
import pickle
import shutil
from pathlib import Path

import pytest

from ecor_jax.errors import UserError
from ecor_jax.radiology.xray import open_studies


@pytest.fixture
def pictures(mimic_tree):
    return mimic_tree.synthetic(8)


@pytest.fixture
def root(mimic_tree, pictures, tmp_path) -> Path:
    return mimic_tree.write_tree(tmp_path / "mimic", pictures)


@pytest.fixture
def change(mimic_tree, root):
    """Rewrites a table as `alter(header, rows)` says."""

    def rewrite(kind: str, alter) -> Path:
        path = root / f"mimic-cxr-2.0.0-{kind}.csv.gz"
        header, *rows = csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
        mimic_tree.write_table(path, alter(header, rows))
        return path

    return rewrite


def places(root: Path) -> dict[str, Path]:
    """Where pictures or reports may be: a tree, its folder of files, and a zip of that."""
    files = root / "files"
    return {"root": root, "files": files, "zip": Path(shutil.make_archive(str(files), "zip", root, "files"))}


def test_what_the_tables_say_of_every_image(mimic_tree, pictures, root):
    studies = open_studies(root, root)
    assert len(studies) == 24 and studies.left_out == ()
    assert studies.findings == mimic_tree.FINDINGS
    codes = {1.0: 1, 0.0: 0, -1.0: -1, None: -2}
    for index, picture in enumerate(pictures):
        assert studies[index]["image"] == picture.content and studies[index]["name"] == picture.path
        assert studies.patients[index] == str(picture.subject)
        assert (studies.views[index], studies.splits[index]) == (picture.view, picture.split)
        assert studies.labels[index].tolist() == [codes[picture.labels.get(name)] for name in mimic_tree.FINDINGS]
        assert studies.reports[index] == picture.report
    assert studies.categories[:3] == ("pleural effusion",) * 3
    assert studies.categories[3:12:3] == ("no finding", "edema", "")
    again = pickle.loads(pickle.dumps(studies))
    assert again.reports == studies.reports and again[5] == studies[5]


@pytest.mark.parametrize(
    ("images", "reports", "gzipped"),
    [("root", "files", False), ("files", "zip", True), ("zip", "root", False), ("files", "files", True)],
)
def test_images_tables_and_reports_in_places_of_their_own(mimic_tree, pictures, tmp_path, images, reports, gzipped):
    whole = mimic_tree.write_tree(tmp_path / "whole", pictures, gzipped=gzipped)
    tables = tmp_path / "tables"
    tables.mkdir()
    for table in whole.glob("*.csv*"):
        shutil.move(table, tables)
    texts = tmp_path / "texts"
    shutil.copytree(whole / "files", texts / "files", ignore=shutil.ignore_patterns("*.jpg"))
    for text in (whole / "files").rglob("*.txt"):
        text.unlink()
    pictures_in = places(whole)[images]
    studies = open_studies(pictures_in, tables, reports=places(texts)[reports])
    assert [studies[index]["image"] for index in range(24)] == [picture.content for picture in pictures]
    assert studies.reports == tuple(picture.report for picture in pictures)
    assert open_studies(pictures_in, tables).reports == ("",) * 24


def test_reports_are_read_when_asked_for_and_once(root, monkeypatch):
    studies = open_studies(root, root)
    read, original = [], studies.report_files.read
    monkeypatch.setattr(studies.report_files, "read", lambda member: read.append(member) or original(member))
    some = studies.take([0, 1, 2, 9])
    assert not read
    assert some.reports == some.reports and some.reports[0].count("effusion") == 1 and some.reports[3] == ""
    assert sorted(read) == ["files/p10/p10000000/s50000000.txt", "files/p10/p10000000/s50000001.txt"]


def test_a_report_in_latin_1_and_one_that_cannot_be_read(root):
    path = root / "files/p10/p10000000/s50000000.txt"
    path.write_bytes(b"FINDINGS: \xff")
    studies = open_studies(root, root)
    assert studies.take([0]).reports == ("FINDINGS: \xff",)
    path.unlink()
    with pytest.raises(UserError, match=r"files/p10/p10000000/s50000000\.txt: cannot be read"):
        _ = studies.reports


def test_mimics_own_files_are_dicoms(mimic_tree, tmp_path):
    root = mimic_tree.write_tree(tmp_path, mimic_tree.synthetic(2, suffix="dcm"))
    assert [name.rpartition(".")[2] for name in open_studies(root, root).names] == ["dcm"] * 6


def test_tables_that_do_not_join_are_counted_and_listed(root, change, caplog):
    # The first study is said to be of another patient, and one more is added.
    added = [[*keys, *[""] * 14] for keys in (("10000077", "50000000"), ("10000099", "59999999"))]
    change("chexpert", lambda header, rows: [header, *rows[1:], *added])
    change("split", lambda header, rows: [header, *rows[1:], ["abc", "59999999", "10000099", "test"]])
    (root / "files/p10/p10000001/s50000002/extra.jpg").write_bytes(b"x")
    studies = open_studies(root, root)
    assert len(studies) == 22 and studies.patients[0] == "10000000" and studies.splits[0] == "train"
    lost = [line for line in studies.left_out if line.startswith("p10000000/s50000000/")]
    assert len(lost) == 2 and all(
        line.endswith("its study has no labels (mimic-cxr-2.0.0-chexpert.csv.gz)") for line in lost
    )
    assert set(studies.left_out) - set(lost) == {
        "files/p10/p10000001/s50000002/extra.jpg: an image that it does not list (mimic-cxr-2.0.0-metadata.csv.gz)",
        "p10000077/s50000000: a study without images (mimic-cxr-2.0.0-metadata.csv.gz)",
        "p10000099/s59999999: a study without images (mimic-cxr-2.0.0-metadata.csv.gz)",
        "p10000099/s59999999/abc: no such image in metadata (mimic-cxr-2.0.0-split.csv.gz)",
    }
    assert "2 left out (its study has no labels): p10000000/s50000000/" in caplog.text
    assert "1 images are in no split: p10000000/s50000000/" in caplog.text
    (root / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    assert set(open_studies(root, root).splits) == {""}
    assert "has no table of split" in caplog.text


def test_tables_that_are_missing_of_a_kind_twice_or_that_never_join(root, change):
    shutil.copy(root / "mimic-cxr-2.0.0-split.csv.gz", root / "mimic-cxr-2.1.0-split.csv.gz")
    with pytest.raises(UserError, match=r"2 tables of split, mimic-cxr-2\.0\.0-split\.csv\.gz and mimic-cxr-2\.1\.0-"):
        open_studies(root, root)
    (root / "mimic-cxr-2.1.0-split.csv.gz").unlink()
    change("chexpert", lambda header, rows: [header, *([f"2{row[0]}", *row[1:]] for row in rows)])
    expected = (
        r"no row of .*metadata.csv.gz joins one of .*chexpert.csv.gz on subject_id and study_id: "
        r"found 24 images \(p10000000/s50000000/\w+\) and 16 studies \(p210000000/s50000000\)"
    )
    with pytest.raises(UserError, match=expected):
        open_studies(root, root)
    for kind in ("metadata", "chexpert"):
        (root / f"mimic-cxr-2.0.0-{kind}.csv.gz").unlink()
        with pytest.raises(UserError, match=rf"has no table of {kind}: expected mimic-cxr-2\.0\.0-\{{chex"):
            open_studies(root, root)


def test_listed_images_that_are_missing(root, pictures):
    shutil.rmtree(root / "files/p10/p10000001")
    gone = [f"p10000001/s{picture.study}/{picture.dicom}" for picture in pictures if picture.subject == 10_000_001]
    with pytest.raises(UserError, match=f"metadata.csv.gz names 3 images that do not exist: {', '.join(gone)}$"):
        open_studies(root, root)
    studies = open_studies(root, root, on_missing="skip")
    assert len(studies) == 21 and "10000001" not in studies.patients
    assert studies.left_out == tuple(f"{name}: no such image (mimic-cxr-2.0.0-metadata.csv.gz)" for name in gone)


CODES = "expected 1.0, 0.0, -1.0 or nothing"
LEAK = ", test and train: a patient in two splits is refused, found 1: 10000000$"


@pytest.mark.parametrize(
    ("kind", "alter", "message"),
    [
        ("chexpert", lambda h, rows: [h[:2]], "chexpert.csv.gz lists no studies"),
        ("chexpert", lambda h, rows: [h[:2], rows[0][:2]], "has no label columns; its columns are: subject_id, study"),
        ("chexpert", lambda h, rows: [["id", *h[1:]]], "has no column subject_id; its columns are: id, study_id,"),
        ("chexpert", lambda h, rows: [h, *rows, rows[0]], "line 18: the study p10000000/s50000000 was given before"),
        ("chexpert", lambda h, rows: [h, [*rows[0][:-1], "yes"]], f"line 2, Support Devices: found 'yes'; {CODES}"),
        (
            "chexpert",
            lambda h, rows: [h, ["1e7", *rows[0][1:]]],
            "line 2: found subject_id '1e7' and study_id .*; expected two numb",
        ),
        ("metadata", lambda h, rows: [h], "metadata.csv.gz lists no images"),
        ("metadata", lambda h, rows: [h, *rows, rows[3]], "line 26: the image p10000001/s50000002/.* was given before"),
        ("metadata", lambda h, rows: [[*h[:4], "View", h[5]]], "has no column ViewPosition; its columns are: dicom_id"),
        ("split", lambda h, rows: [[*h[:3], "part"], *rows], "has no column split; its columns are: dicom_id"),
        ("split", lambda h, rows: [h, [*rows[0][:3], "test"], *rows[1:-1], [*rows[-1][:3], "validate"]], LEAK),
    ],
)
def test_tables_that_do_not_fit(root, change, kind, alter, message):
    path = change(kind, alter)
    with pytest.raises(UserError, match=message) as error:
        open_studies(root, root)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ("none", "none does not exist: expected a folder of texts, or a zip"),
        ("empty", r"no texts in .*empty: looked for files ending in \.txt \.csv"),
        ("file.txt", "file.txt is a file of another kind: expected a folder of texts, or a zip"),
        ("cut.zip", "cut.zip: is a broken zip file, or cut off"),
        ("out.zip", r"out.zip: names a path outside itself, '../p1/s1.txt': it is not read"),
    ],
)
def test_reports_that_are_not_there(root, tmp_path, make_zip, reports, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("FINDINGS: none")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04")
    make_zip(["../p1/s1.txt"], "out.zip")
    with pytest.raises(UserError, match=message):
        open_studies(root, root, reports=tmp_path / reports)


@pytest.fixture(autouse=True)
def _logged(caplog):
    """absl's log lines are seen whatever was logged before."""
    caplog.set_level(logging.INFO, logger="absl")
