import pickle
import re
import unicodedata
import zipfile

import pytest

from ecor_jax.data.images import has_split, open_images, splits_of
from ecor_jax.data.records import BadImage, Source
from ecor_jax.data.sources import Renamed, split_by_class, without_classes
from ecor_jax.errors import UserError
from tests.data.toys import read_by_many_threads, records_of

SUFFIXES = ("JPEG", "PPM", "bmp", "gif", "jpg", "pgm", "png", "tif", "tiff", "webp")


def labels(source: Source) -> list[tuple[str, ...]]:
    """What is known of every record, whose file holds its own name: that, the category and rationales."""
    records = records_of(source)
    assert all(record["image"] == record["name"].encode() for record in records)
    return [(record["name"], record["category"], *record["rationales"]) for record in records]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # Folders are classes and rationales, in sorted order.
        (
            ["Red_Fox/b.jpg", "Red_Fox/a.PNG", "dog/long-tail/1.jpeg", "dog/3.ppm"],
            [
                *(("Red_Fox/a.PNG", "red fox"), ("Red_Fox/b.jpg", "red fox")),
                *(("dog/3.ppm", "dog"), ("dog/long-tail/1.jpeg", "dog", "long tail")),
            ],
        ),
        # What is no image is ignored.
        (
            ["words.txt", "dog/Name", "dog/.a.jpg", "__MACOSX/dog/1.jpg", ".git/dog/1.jpg", "a.jpg.txt", "dog/1.jpg"],
            [("dog/1.jpg", "dog")],
        ),
        # A single folder around everything is passed over, a single class is not.
        (["a/b/dog/1.jpg", "a/b/cat/tail/1.jpg"], [("a/b/cat/tail/1.jpg", "cat", "tail"), ("a/b/dog/1.jpg", "dog")]),
        (["dog/1.jpg", "dog/2.jpg"], [("dog/1.jpg", "dog"), ("dog/2.jpg", "dog")]),
        (["1.jpg", "2.jpg"], [("1.jpg", ""), ("2.jpg", "")]),
        # A lone split need not be named; classes named like splits are classes.
        (["train/dog/1.jpg", "train/cat/1.jpg", "a.txt"], [("train/cat/1.jpg", "cat"), ("train/dog/1.jpg", "dog")]),
        (["train/1.jpg", "plane/1.jpg"], [("plane/1.jpg", "plane"), ("train/1.jpg", "train")]),
        ([f"dog/1.{suffix}" for suffix in SUFFIXES], [(f"dog/1.{suffix}", "dog") for suffix in SUFFIXES]),
    ],
)
def test_what_folders_mean(make, names, expected):
    path = make(names)
    source = open_images(path)
    assert labels(source) == labels(pickle.loads(pickle.dumps(source))) == expected
    assert source.classes == tuple(sorted({category for _, category, *_ in expected if category}))
    assert splits_of(path) == ()


@pytest.mark.parametrize("top", ["", "data/"])
def test_split_takes_what_is_below_its_folder(make, top):
    path = make([f"{top}train/dog/1.jpg", f"{top}train/cat/1.jpg", f"{top}test/dog/2.jpg"])
    assert labels(open_images(path, split="test")) == [(f"{top}test/dog/2.jpg", "dog")]
    assert open_images(path, split="train").classes == ("cat", "dog")
    assert splits_of(path) == ("test", "train")
    assert has_split(path, "test") and not has_split(path, "val") and not has_split(path, "cat")
    with pytest.raises(UserError, match="holds the splits test, train: choose one"):
        open_images(path)
    with pytest.raises(UserError, match="no images in a folder 'val'; at its top: test, train"):
        open_images(path, split="val")


def test_aliases_rename_classes(make_folder):
    source = open_images(make_folder(["Faces_easy/1.jpg", "dog/tail/1.jpg"]))
    renamed = Renamed(source, {"faces easy": "Person", "dog": "fox"})
    expected = [("Faces_easy/1.jpg", "person"), ("dog/tail/1.jpg", "fox", "tail")]
    assert labels(renamed) == labels(pickle.loads(pickle.dumps(renamed))) == expected
    assert renamed.classes == ("fox", "person") and renamed.origin == source.origin
    assert Renamed(source, {"Faces_easy": "dog"}).categories == ("dog", "dog")
    with pytest.raises(UserError, match="images has no class to rename: 'face'"):
        Renamed(source, {"face": "person"})


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
OTHERS = {"cat/1.heic": HEIC, "cat/2.heic": HEIC, "notes.xml": b"<a/>", ".hidden": b""}
DEPTH = "expected class/image or class/rationale/image.*found "


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.jpg", "cat/2.jpg", "dog/2.jpg"], f"{DEPTH}1.jpg"),
        (["dog/tail/more/1.jpg", "cat/2.jpg", "dog/2.jpg"], f"{DEPTH}dog/tail/more/1.jpg"),
        (["Kim_A/1.jpg", "kim-a/1.jpg"], "'Kim_A' and 'kim-a' are the same, 'kim a', once normalised"),
        (["a/b/1.jpg", "a/B/1.jpg", "c/1.jpg"], "a: 'B' and 'b' are the same"),
        (["_/1.jpg", "a/1.jpg"], "'_' is no name; nothing of it is left once normalised"),
        ([f"{nfd('é')}/1.jpg", "é/1.jpg"], "are the same, 'é', once normalised"),
        (["dog/readme.txt"], r"no images in .*: read are JPEG, .*DICOM, by their content; found no file"),
        (OTHERS, r"no images in .*: read are JPEG.*; found 1 hidden: \.hidden; 2 HEIC"),
    ],
)
def test_sets_that_are_not_read(make, files, message):
    with pytest.raises(UserError, match=message):
        open_images(make(files))


def encrypted(content: bytes) -> bytes:
    # Version needed 2.0, then the flags, of which bit 0 says encrypted; in the central directory.
    flags = b"PK\x01\x02\x14\x03\x14\x00"
    assert flags + b"\x00\x00" in content
    return content.replace(flags + b"\x00\x00", flags + b"\x01\x00")


DOG, PACKED = ["dog/1.jpg"], "'dog/1.jpg' is neither stored nor deflated; zip it again"
TWICE = {"dog/1.jpg": b"1", "dog/2.jpg": b"2"}
MANY = {f"{number}.jpg": bytes(90_000) for number in range(30)}
OUTSIDE = ("/etc/1.jpg", "dog/../../1.jpg", "../1.txt", "C:/dog/1.jpg", "..\\1.jpg")
HOSTILE = {
    "bzip2": (DOG, zipfile.ZIP_BZIP2, bytes, PACKED),
    "lzma": (DOG, zipfile.ZIP_LZMA, bytes, PACKED),
    "bomb": (MANY, zipfile.ZIP_DEFLATED, bytes, "expands to 2,700,000 bytes, which is no plausible content"),
    "twice": (TWICE, zipfile.ZIP_STORED, lambda zipped: zipped.replace(b"2.jpg", b"1.jpg"), "names 'dog/1.jpg' twice"),
    "encrypted": (DOG, zipfile.ZIP_DEFLATED, encrypted, r"is encrypted \('dog/1.jpg'\)"),
    "no zip": (DOG, zipfile.ZIP_STORED, lambda zipped: b"no zip at all", "is a broken zip file, or cut off"),
    "cut off": (DOG, zipfile.ZIP_STORED, lambda zipped: zipped[:12], "is a broken zip file, or cut off"),
} | {
    name: ([*DOG, name], zipfile.ZIP_STORED, bytes, f"names a path outside itself, {re.escape(repr(name))}")
    for name in OUTSIDE
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zips_are_refused(make_zip, monkeypatch, kind):
    monkeypatch.setattr("ecor_jax.untrusted.files.SMALL", 1000)
    files, method, change, message = HOSTILE[kind]
    path = make_zip(files, method=method)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=rf"images\.zip:? {message}"):
        open_images(path)


def test_folders_may_stand_in_a_zip_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for name in ("dog/", "dog/1.jpg", "dog/"):
            archive.writestr(name, name)
    assert open_images(tmp_path / "x.zip").categories == ("dog",)


def test_a_damaged_member_or_lost_file_is_a_bad_image_and_the_others_are_read(make_zip, make_folder):
    path = make_zip(TWICE, method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"dog/1.jpg1", b"dog/1.jpg0"))
    source = open_images(path)
    with pytest.raises(BadImage, match=r"dog/1\.jpg cannot be read \(Bad CRC-32"):
        source[0]
    assert source[1]["image"] == b"2"
    folder = make_folder(TWICE)
    source = open_images(folder)
    (folder / "dog/1.jpg").unlink()
    with pytest.raises(BadImage, match=r"dog/1\.jpg: cannot be read \(No such file"):
        source[0]


def test_paths_of_no_known_kind(tmp_path):
    with pytest.raises(UserError, match="none does not exist: expected a folder of images, a zip, or a dir"):
        open_images(tmp_path / "none")
    (tmp_path / "images.tar").write_bytes(b"x")
    with pytest.raises(UserError, match="is a file of another kind"):
        open_images(tmp_path / "images.tar")


def test_many_threads_may_read_one_zip(make_zip):
    contents = [bytes([number]) * 20_000 for number in range(20)]
    source = open_images(make_zip({f"dog/{number:02}.jpg": content for number, content in enumerate(contents)}))
    assert read_by_many_threads(source) == [contents] * 8


def test_split_by_class_holds_out_a_share_of_every_class(make_folder):
    names = [f"{name}/{number:02}.jpg" for name, count in (("dog", 8), ("cat", 2)) for number in range(count)]
    source = open_images(make_folder(names))
    train, test = split_by_class(source, holdout=0.25, seed=0)
    assert sorted(test.categories) == ["cat"] + ["dog"] * 2  # at least one of each
    assert sorted(name for part in (train, test) for name, _ in labels(part)) == sorted(names)
    assert labels(split_by_class(source, holdout=0.25, seed=0)[1]) == labels(test)
    assert any(labels(split_by_class(source, holdout=0.25, seed=seed)[1]) != labels(test) for seed in (1, 2))
    with pytest.raises(UserError, match=r"no image to train on in 1 classes: cat \(2\)"):
        split_by_class(source, holdout=0.8, seed=0)
    with pytest.raises(UserError, match="expected a share between 0 and 1"):
        split_by_class(source, holdout=1.5, seed=0)
    # A class is split alike whatever other classes there are.
    dogs = without_classes(source, ["cat", "x"])
    assert dogs.classes == ("dog",)
    expected = [image for image in labels(train) if image[1] == "dog"]
    assert labels(split_by_class(dogs, holdout=0.25, seed=0)[0]) == expected


def test_the_photographs_at_hand(shared_data):
    caltech = open_images(shared_data / "images" / "caltech101.zip")
    assert (len(caltech), len(caltech.classes)) == (2000, 100)
    train, test = split_by_class(caltech, holdout=0.25, seed=0)
    assert (len(train), len(test)) == (1500, 500)
    cifar = shared_data / "images" / "cifar10.zip"
    assert splits_of(cifar) == ("test", "train")
    assert len(open_images(cifar, split="train")) == 10_000
    assert len(open_images(shared_data / "images" / "tinyimagenet_val.zip").classes) == 200


def test_names_are_compared_in_one_unicode_form(make):
    """macOS writes accents apart from their letters; zips of its own do not say that their names are UTF-8."""
    source = open_images(make([nfd("train/café/1.jpg"), "train/thé/1.jpg"]))
    assert source.classes == ("café", "thé") and all(map(unicodedata.is_normalized, ["NFC"] * 2, source.classes))
    split = make([f"{nfd('été')}/a/1.jpg", "b/a/1.jpg"])
    assert open_images(split, split="été").categories == ("a",)


def test_zips_without_the_mark_of_utf_8(make_zip):
    path = make_zip({"CAFE/1.jpg": b"1", "plain/1.jpg": b"2"})
    path.write_bytes(path.read_bytes().replace(b"CAFE", "ça".encode() + b"x"))
    source = open_images(path)
    assert source.classes == ("plain", "çax") and source[1]["image"] == b"1"
