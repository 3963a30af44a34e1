"""found = used + skipped, for every reader, and in what each command leaves behind."""

import os
import pickle
import shutil

import numpy as np
import pytest

from ecor_jax.data.images import open_images
from ecor_jax.data.pair_sets import open_pairs
from ecor_jax.data.prepare import prepare
from ecor_jax.data.records import Source
from ecor_jax.data.tally import Tally
from ecor_jax.radiology.xray import open_studies
from tests.data.toys import encoded

NOT_USED = {"hidden": 2, "no picture": 1, "HEIC (not read)": 1, "a list or text": 1}
PAIRS_TXT = "1\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Kim\t1\n"
PAIRS_CSV = "file_x,file_y,Decision\nAnn_Lee_0001.png,Bo_Kim_0003.png,No\n"
STUDIES = (
    "Image Index,Finding Labels,Patient ID,View Position\n"
    "Ann_Lee_0001.png,Effusion,1,PA\nBo_Kim_0001.png,No Finding,2,AP\n"
)


@pytest.fixture
def people(make_folder):
    """Two people of three pictures each, and six files that are no pictures of theirs."""
    rng = np.random.default_rng(0)
    names = [f"{person}/{person}_{number:04}.png" for person in ("Ann_Lee", "Bo_Kim") for number in (1, 2, 3)]
    pictures = {name: encoded(rng.integers(0, 256, (12, 16, 3), np.uint8)) for name in [*names, "Bo_Kim/4"]}
    others = {
        "README.md": "what this is",
        ".DS_Store": b"\0",
        "Ann_Lee/._Ann_Lee_0001.png": b"\0",
        "Ann_Lee/phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "Bo_Kim/notes.txt": "a list",
    }
    return make_folder(pictures | others, "people")


def counted(source: Source) -> Tally:
    tally = Tally()
    tally.add_source(source)
    assert tally.used == len(source)
    assert tally.found == tally.used + sum(tally.skipped.values())
    return tally


def test_folders_and_zips(people):
    for path in (people, shutil.make_archive(str(people), "zip", people.parent, people.name)):
        tally = counted(open_images(path))
        assert (tally.found, tally.used, tally.skipped) == (12, 7, NOT_USED)
        told = " ".join(tally.lines)
        assert "phone.heic" in told and "README.md" in told and len(tally.lines) == len(NOT_USED)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_counts_what_is_below_its_folder(make_folder, split):
    names = [f"{part}/cat/1.{suffix}" for part in ("train", "test") for suffix in ("png", "xml")]
    tally = counted(open_images(make_folder(names), split=split))
    assert (tally.found, tally.used, tally.skipped) == (2, 1, {"no picture": 1})


def test_lists(people):
    (people / "label.txt").write_text("Ann_Lee/Ann_Lee_0001.png\tAnn\nBo_Kim/Bo_Kim_0002.png\tBo\n")
    tally = counted(open_images(people))
    assert (tally.found, tally.used) == (13, 2)
    assert tally.skipped == {**NOT_USED, "a list or text": 2, "not listed": 5}


@pytest.mark.parametrize(
    ("name", "text", "read", "used"),
    [
        ("pairs.txt", PAIRS_TXT, lambda path, people: open_pairs("x", path, people).images, 3),
        ("pairs.csv", PAIRS_CSV, lambda path, people: open_pairs("x", path, people).images, 2),
        ("labels.csv", STUDIES, lambda path, people: open_studies(people, path), 2),
    ],
)
def test_tables_beside_the_pictures(people, tmp_path, name, text, read, used):
    (tmp_path / name).write_text(text)
    tally = counted(read(tmp_path / name, people))
    assert (tally.found, tally.used, tally.skipped["not listed"]) == (12, used, 7 - used)


def test_equal_pictures_of_a_bin_are_counted_once(tmp_path):
    (tmp_path / "x.bin").write_bytes(pickle.dumps(([b"1", b"2", b"1", b"3"], [True, False])))
    tally = counted(open_pairs("x", tmp_path / "x.bin").images)
    assert (tally.found, tally.used, tally.skipped) == (4, 3, {"the same picture again": 1})
    assert tally.lines == [f"{tmp_path}/x.bin: 1 the same picture again: image 2"]


def test_prepare_and_what_it_wrote(people, tmp_path):
    (people / "Bo_Kim" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    tally = prepare(people, tmp_path / "records", on_bad_image="skip").tally
    assert (tally.found, tally.used) == (13, 7) and tally.skipped == {**NOT_USED, "cannot be read": 1}
    assert counted(open_images(tmp_path / "records")).found == 7


def test_folders_that_cannot_be_looked_into_are_told(people, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("Bo_Kim"):
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert open_images(people).skipped["in a folder that cannot be read"] == ["Bo_Kim/"]
