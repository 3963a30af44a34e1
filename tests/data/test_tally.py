"""found = used + skipped, for every reader, and in what each command leaves behind."""

import numpy as np
import pytest
from PIL import Image

from ecor_jax.data.images import open_images
from ecor_jax.data.labelled_list import LabelledFiles
from ecor_jax.data.pair_sets import open_pairs
from ecor_jax.data.prepare import prepare
from ecor_jax.data.records import Source
from ecor_jax.data.tally import Tally
from ecor_jax.radiology.xray import open_studies


def picture(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def people(tmp_path):
    """Two people of three pictures each, and six files that are no pictures of theirs."""
    root = tmp_path / "people"
    for person in ("Ann_Lee", "Bo_Kim"):
        for number in (1, 2, 3):
            picture(root / person / f"{person}_{number:04}.png", seed=number + len(person))
    (root / "README.md").write_text("what this is")
    (root / ".DS_Store").write_bytes(b"\0")
    (root / "Ann_Lee" / "._Ann_Lee_0001.png").write_bytes(b"\0")
    (root / "Ann_Lee" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (root / "Bo_Kim" / "notes.txt").write_text("a list")
    picture(root / "Bo_Kim" / "4", format="JPEG")
    return root


NOT_USED = {"hidden": 2, "no picture": 1, "HEIC (not read)": 1, "a list or text": 1}


def counted(source: Source) -> Tally:
    tally = Tally()
    tally.opened(source)
    assert tally.used == len(source)
    assert tally.found == tally.used + sum(tally.skipped.values())
    return tally


def zipped(folder, path):
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def test_folders_and_zips(people, tmp_path):
    for path in (people, zipped(people, tmp_path / "people.zip")):
        tally = counted(open_images(path))
        assert (tally.found, tally.used, tally.skipped) == (12, 7, NOT_USED)
        told = " ".join(tally.lines)
        assert "phone.heic" in told and "README.md" in told and len(tally.lines) == len(NOT_USED)


def test_a_split_counts_what_is_below_its_folder(people, tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / "set" / split / "cat" / "1.png")
        (tmp_path / "set" / split / "cat" / "1.xml").write_text("<a/>")
    for split in ("train", "test"):
        tally = counted(open_images(tmp_path / "set", split=split))
        assert (tally.found, tally.used, tally.skipped) == (2, 1, {"no picture": 1})


def test_lists(people):
    (people / "label.txt").write_text("Ann_Lee/Ann_Lee_0001.png\tAnn\nBo_Kim/Bo_Kim_0002.png\tBo\n")
    tally = counted(open_images(people))
    assert (tally.found, tally.used) == (13, 2)
    assert tally.skipped == {**NOT_USED, "a list or text": 2, "not listed": 5}


def test_pairs(people, tmp_path):
    (tmp_path / "pairs.txt").write_text("1\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Kim\t1\n")
    (tmp_path / "pairs.csv").write_text("file_x,file_y,Decision\nAnn_Lee_0001.png,Bo_Kim_0003.png,No\n")
    for name, used in (("pairs.txt", 3), ("pairs.csv", 2)):
        tally = counted(open_pairs("x", tmp_path / name, people).images)
        assert (tally.found, tally.used, tally.skipped["not listed"]) == (12, used, 7 - used)


def test_equal_pictures_of_a_bin_are_counted_once(tmp_path):
    import pickle

    contents = [b"1", b"2", b"1", b"3"]
    (tmp_path / "x.bin").write_bytes(pickle.dumps((contents, [True, False])))
    tally = counted(open_pairs("x", tmp_path / "x.bin").images)
    assert (tally.found, tally.used, tally.skipped) == (4, 3, {"the same picture again": 1})
    assert tally.lines == [f"{tmp_path}/x.bin: 1 the same picture again: image 2"]


def test_x_rays(people, tmp_path):
    columns = "Image Index,Finding Labels,Patient ID,View Position"
    (tmp_path / "labels.csv").write_text(
        f"{columns}\nAnn_Lee_0001.png,Effusion,1,PA\nBo_Kim_0001.png,No Finding,2,AP\n"
    )
    tally = counted(open_studies(people, tmp_path / "labels.csv"))
    assert (tally.found, tally.used, tally.skipped["not listed"]) == (12, 2, 5)


def test_prepare_and_what_it_wrote(people, tmp_path):
    (people / "Bo_Kim" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    prepared = prepare(people, tmp_path / "records", on_bad_image="skip")
    tally = prepared.tally
    assert (tally.found, tally.used) == (13, 7) and tally.skipped == {**NOT_USED, "cannot be read": 1}
    assert counted(open_images(tmp_path / "records")).found == 7


def test_folders_that_cannot_be_looked_into_are_told(people, monkeypatch):
    import os

    real = os.scandir

    def scandir(path):
        if str(path).endswith("Bo_Kim"):
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert open_images(people).skipped["in a folder that cannot be read"] == ["Bo_Kim/"]


def test_a_reader_has_no_record_twice(people):
    source = open_images(people)
    assert isinstance(source, LabelledFiles)
    names = [*source.names, *(name for names in source.skipped.values() for name in names)]
    assert len(names) == len(set(names)) == len([path for path in people.rglob("*") if path.is_file()])
