import csv
import gzip
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.data.decode import picture_of
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray import open_studies
from ecor_jax.radiology.xray.nih import FINDINGS

# The header of the published table, with the comma at its end.
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,View Position,OriginalImage[Width,Height],"
LINES = (
    "00000003_000.png,Hernia|No Finding,0,3,PA,2682,2749,",
    "00000001_000.png,Effusion|Pleural_Thickening,0,1,AP,2682,2749,",
    "00000001_001.png,,1,1,PA,2682,2749,",
)
NAMES = (
    "images_002/images/00000003_000.png",
    "images_001/images/00000001_000.png",
    "images_001/images/00000001_001.png",
)


@pytest.fixture
def table(tmp_path):
    """Writes the table with these lines."""

    def write(*lines: str, header: str = HEADER) -> Path:
        path = tmp_path / "Data_Entry_2017.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


def test_the_table_says_order_labels_patients_and_views(table, make):
    place = make(NAMES)
    studies = open_studies(place, table(*LINES))
    with pytest.raises(UserError, match=r"is one table, as NIH's: expected no path to reports, found reports\.zip"):
        open_studies(place, table(*LINES), reports="reports.zip")
    assert studies.patients == ("3", "1", "1") and studies.views == ("PA", "AP", "PA")
    assert studies.findings == FINDINGS and len(FINDINGS) == 15
    assert studies.categories == ("hernia|no finding", "effusion|pleural thickening", "")
    assert studies.labels.dtype == np.int8
    for row, positive in enumerate([{"Hernia", "No Finding"}, {"Effusion", "Pleural_Thickening"}]):
        assert studies.labels[row].tolist() == [int(name in positive) for name in FINDINGS]
    assert (studies.labels[2] == -2).all()
    assert studies.splits == studies.reports == ("", "", "") and studies.left_out == ()
    again = pickle.loads(pickle.dumps(studies))
    for index, (name, category) in enumerate(zip(NAMES, studies.categories, strict=True)):
        expected = {"image": name.encode(), "category": category, "rationales": (), "name": name}
        assert studies[index] == again[index] == expected
    some = studies.take([2, 0])
    assert len(some) == 2 and some.patients == ("1", "3") and some.views == ("PA", "PA")
    assert some.categories == ("", "hernia|no finding") and some[1]["name"] == NAMES[0]
    np.testing.assert_array_equal(some.labels, studies.labels[[2, 0]])


def test_images_of_another_suffix_and_a_gzipped_table(table, make_folder):
    path = table(LINES[2])
    gzipped = path.with_suffix(".csv.gz")
    gzipped.write_bytes(gzip.compress(path.read_bytes()))
    assert open_studies(make_folder(["a/00000001_001.jpg"]), gzipped)[0]["name"] == "a/00000001_001.jpg"


def test_listed_images_that_are_missing(table, make_folder):
    path, listing = make_folder([NAMES[1]]), table(*LINES)
    expected = f"{listing} names 2 images that do not exist: 00000003_000, 00000001_001"
    with pytest.raises(UserError, match=re.escape(expected)):
        open_studies(path, listing)
    studies = open_studies(path, listing, on_missing="skip")
    assert studies.patients == ("1",)
    assert studies.left_out == tuple(
        f"{name}: no such image (Data_Entry_2017.csv)" for name in ("00000003_000", "00000001_001")
    )


def test_none_can_be_skipped_if_all_are_missing_or_no_column_says_labels(table, make_folder):
    path, listing = make_folder(["other.png"]), table(*LINES)
    with pytest.raises(UserError, match="names 3 images that do not exist"):
        open_studies(path, listing, on_missing="skip")
    with pytest.raises(UserError, match="on_missing is 'pass'; expected one of error, skip"):
        open_studies(path, listing, on_missing="pass")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="no column Finding Labels; its columns are: Image Index, Labels, Patient ID"):
        open_studies(path, table(header="Image Index,Labels,Patient ID,View Position"))


def test_images_that_are_not_listed_are_left_out(table, make_folder, caplog):
    extra = [f"more/{number:02}.png" for number in range(12)]
    studies = open_studies(make_folder([*NAMES, *extra]), table(*LINES))
    assert len(studies) == 3
    assert studies.left_out == tuple(f"{name}: an image that it does not list (Data_Entry_2017.csv)" for name in extra)
    assert "12 left out (an image that it does not list): more/00.png, " in caplog.text
    assert "more/09.png and 2 more" in caplog.text and "more/10.png" not in caplog.text


def test_two_images_of_one_name(table, make_folder):
    with pytest.raises(UserError, match=r"two images of one name, a/00000001_001\.jpg and b/00000001_001\.png"):
        open_studies(make_folder(["a/00000001_001.jpg", "b/00000001_001.png"]), table(LINES[2]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "lists no images"),
        ((LINES[0], LINES[0]), "line 3: 00000003_000.png was listed before"),
        ((LINES[0].replace("Hernia", "Hernya|Flu"),), "line 2: found the label 'Flu', 'Hernya'; expected Atelec"),
        ((LINES[0].replace(",3,", ",,"),), "line 2: found '00000003_000.png' of patient ''; expected an image and its"),
        ((LINES[0][:30],), "line 2: found 2 cells; expected 8"),
    ],
)
def test_lines_that_do_not_fit(table, make_folder, lines, message):
    path = table(*lines)
    with pytest.raises(UserError, match=f"{re.escape(str(path))},? {message}"):
        open_studies(make_folder(NAMES), path)


def test_the_subset_at_hand(shared_data):
    folder = shared_data / "xray"
    studies = open_studies(folder / "nih_subset.zip", folder / "nih_labels.csv")
    assert len(studies) == 1000 and len(set(studies.patients)) == 682 and studies.left_out == ()
    with open(folder / "nih_labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for column, name in enumerate(FINDINGS):
        expected = [name in row["Finding Labels"].split("|") for row in rows]
        np.testing.assert_array_equal(studies.labels[:, column], expected)
    assert studies.labels[:, FINDINGS.index("Effusion")].sum() == 90
    assert studies.labels[:, FINDINGS.index("No Finding")].sum() == 500
    assert picture_of(studies[0]).width == 256
