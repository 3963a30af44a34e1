import csv
import gzip
import pickle
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
NAMES = [f"images_00{part}/images/{line[:16]}" for part, line in zip((2, 1, 1), LINES, strict=True)]


@pytest.fixture
def table(tmp_path):
    """Writes the table with these lines."""

    def write(*lines: str, header: str = HEADER, name: str = "Data_Entry_2017.csv") -> Path:
        content = "\n".join([header, *lines, ""]).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return tmp_path / name

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
    studies = open_studies(make_folder(["a/00000001_001.jpg"]), table(LINES[2], name="table.csv.gz"))
    assert studies[0]["name"] == "a/00000001_001.jpg"


def test_listed_images_that_are_missing(table, make_folder):
    path, listing = make_folder([NAMES[1]]), table(*LINES)
    with pytest.raises(UserError, match=f"{listing} names 2 images that do not exist: 00000003_000, 00000001_001"):
        open_studies(path, listing)
    studies = open_studies(path, listing, on_missing="skip")
    assert studies.patients == ("1",)
    reason = "no such image (Data_Entry_2017.csv)"
    assert studies.left_out == (f"00000003_000: {reason}", f"00000001_001: {reason}")
    with pytest.raises(UserError, match="on_missing is 'pass'; expected one of error, skip"):
        open_studies(path, listing, on_missing="pass")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="names 3 images that do not exist"):
        open_studies(make_folder(["other.png"], "other"), listing, on_missing="skip")


def test_images_that_are_not_listed_are_left_out(table, make_folder, caplog):
    extra = [f"more/{number:02}.png" for number in range(12)]
    studies = open_studies(make_folder([*NAMES, *extra]), table(*LINES))
    assert len(studies) == 3
    assert studies.left_out == tuple(f"{name}: an image that it does not list (Data_Entry_2017.csv)" for name in extra)
    assert "12 left out (an image that it does not list): more/00.png, " in caplog.text
    assert "more/09.png and 2 more" in caplog.text and "more/10.png" not in caplog.text


TWINS = ["a/00000001_001.jpg", "b/00000001_001.png"]
UNKNOWN, NOBODY = LINES[0].replace("Hernia", "Hernya|Flu"), LINES[0].replace(",3,", ",,")
OTHER_HEADER = "Image Index,Labels,Patient ID,View Position"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "lists no images"),
        ([OTHER_HEADER], "has no column Finding Labels; its columns are: Image Index, Labels, Patient ID"),
        ([HEADER, LINES[0], LINES[0]], "line 3: 00000003_000.png was listed before"),
        ([HEADER, UNKNOWN], "line 2: found the label 'Flu', 'Hernya'; expected Atelec"),
        ([HEADER, NOBODY], "line 2: found '00000003_000.png' of patient ''; expected an image and its"),
        ([HEADER, LINES[0][:30]], "line 2: found 2 cells; expected 8"),
        ([HEADER, LINES[2]], r".*two images of one name, a/00000001_001\.jpg and b/00000001_001\.png"),
    ],
)
def test_tables_that_do_not_fit(table, make_folder, lines, message):
    path = table(*lines[1:], header=lines[0])
    with pytest.raises(UserError, match=f"({path}|images),? {message}"):
        open_studies(make_folder([*NAMES[:2], *TWINS]), path)


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
