"""The `.rec` files here come from a writer after dmlc-core's RecordIOWriter and insightface's face2rec2."""

import os
import pickle
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.data import recordio
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.prepare import prepare
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.recordio_file import RecordFile
from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError
from tests.data.toys import pairs_of, read_by_many_threads, square

MAGIC = bytes([0x0A, 0x23, 0xD7, 0xCE])


def packed(labels: float | list[float], image: bytes = b"", key: int = 0) -> bytes:
    """A record's data, as mxnet.recordio.pack makes it."""
    if isinstance(labels, list):
        return struct.pack("<IfQQ", len(labels), 0, key, 0) + struct.pack(f"<{len(labels)}f", *labels) + image
    return struct.pack("<IfQQ", 0, labels, key, 0) + image


def framed(data: bytes) -> bytes:
    """The parts of one record: split at every aligned magic word, which is dropped."""
    pieces, start = [], 0
    for position in range(0, len(data) // 4 * 4, 4):
        if data[position : position + 4] == MAGIC:
            pieces.append(data[start:position])
            start = position + 4
    pieces.append(data[start:])
    written = b""
    for number, piece in enumerate(pieces):
        flag = 0 if len(pieces) == 1 else 1 if number == 0 else 3 if number == len(pieces) - 1 else 2
        written += MAGIC + struct.pack("<I", flag << 29 | len(piece)) + piece + bytes(-len(piece) % 4)
    return written


def write(path: Path, records: dict[int, bytes]) -> Path:
    """Records, by key, in the order given; and the index beside them."""
    content, lines = b"", []
    for key, data in records.items():
        lines.append(f"{key}\t{len(content)}\n")
        content += framed(data)
    path.write_bytes(content)
    path.with_suffix(".idx").write_text("".join(lines))
    return path


def insightface(people: list[tuple[float, list[bytes]]], two_labels: bool = True) -> dict[int, bytes]:
    """The records of a face set, in face2rec2's order: images, record 0, identities."""
    records, ranges = {}, []
    for label, images in people:
        ranges.append([len(records) + 1, len(records) + 1 + len(images)])
        for key, image in enumerate(images, len(records) + 1):
            records[key] = packed([label, 1.0] if two_labels else label, image, key)
    first = len(records) + 1
    identities = {key: packed(span, key=key) for key, span in enumerate(ranges, first)}
    return records | {0: packed([first, first + len(people)])} | identities


PEOPLE = [(0, [b"a0", b"a1", b"a2"]), (1, [b"b0"]), (7, [b"c0", b"c1"])]


@pytest.fixture
def rec(tmp_path):
    """Opens a file of these records."""
    return lambda records: RecordIO(write(tmp_path / "x.rec", records))


@pytest.fixture
def faces(tmp_path) -> Path:
    return write(tmp_path / "train.rec", insightface(PEOPLE))


def test_insightfaces_layout(faces):
    source = open_images(faces)
    assert pairs_of(source) == [("0", b"a0"), ("0", b"a1"), ("0", b"a2"), ("1", b"b0"), ("7", b"c0"), ("7", b"c1")]
    assert source.classes == ("0", "1", "7")
    assert source[3] == {"image": b"b0", "category": "1", "rationales": (), "name": "record 4 of train.rec"}
    assert splits_of(faces) == ()
    index = faces.with_suffix(".idx")
    index.write_bytes(index.read_bytes().replace(b"\n", b"\r\n"))  # as Windows writes it
    assert pairs_of(RecordIO(faces)) == pairs_of(source)
    write(faces, insightface(PEOPLE, two_labels=False))
    assert RecordIO(faces).categories == source.categories
    with pytest.raises(UserError, match=r"train\.rec has no split 'test': a \.rec file has none"):
        open_images(faces, split="test")


def test_a_rec_becomes_array_records(tmp_path):
    people = [(3, [square(0), square(40)]), (12, [square(80)])]
    path = write(tmp_path / "train.rec", insightface(people))
    assert prepare(path, tmp_path / "out").counts == {"train": 3}
    assert sorted(pairs_of(open_images(tmp_path / "out"))) == sorted(pairs_of(RecordIO(path)))


def test_headers_are_read_without_their_images(rec, monkeypatch):
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *arguments: read.append(arguments[1]) or pread(*arguments))
    assert rec({key: packed([5, 1], bytes(9000)) for key in range(20)}).categories == ("5",) * 20
    assert sum(read) < 3 * 9000 + 20 * 50  # two whole records, to see that the file is one and is not cut off
    # Of face sets, three headers an identity.
    asked, ask = [], RecordFile.labels_and_size
    monkeypatch.setattr(RecordFile, "labels_and_size", lambda self, start: asked.append(start) or ask(self, start))
    source = rec(insightface([(label, [b"image"] * 50) for label in range(4)]))
    assert source.categories == tuple(str(row // 50) for row in range(200))
    assert len(asked) <= 1 + 3 * 4


@pytest.mark.parametrize(
    "changes",
    [
        {},  # shuffled sets come without identities
        {0: packed([7, 8]), 7: packed([1, 7])},  # all images are said to be of one person
        {0: packed([7, 8]), 7: packed([2, 4])},  # some images are of nobody
        {0: packed([7, 3])},  # the second label counts classes
    ],
)
def test_identities_that_are_not_there_or_disagree_are_asked_image_by_image(rec, changes):
    records = {key: data for key, data in insightface(PEOPLE).items() if key < 7}
    assert rec(records | changes).categories == ("0", "0", "0", "1", "7", "7")


def test_an_image_that_contradicts_its_identity_is_bad(rec):
    source = rec(insightface(PEOPLE) | {2: packed([9, 1], b"a1")})
    assert source.categories[:3] == ("0", "0", "0")
    with pytest.raises(BadImage, match=r"record 2 of x\.rec cannot be read: found the label 9; expected 0"):
        source[1]
    assert source[2]["image"] == b"a2"


def test_keys_too_large_for_f32_are_told_by_what_holds_an_image(faces, monkeypatch):
    expected = pairs_of(RecordIO(faces))
    monkeypatch.setattr(recordio, "EXACT", 8)
    assert pairs_of(RecordIO(faces)) == expected


def test_any_other_rec_holds_images_only(rec):
    source = rec({30: packed(2, b"second"), 4: packed([8, 0.5, 3], b"first"), 31: packed(2)})
    assert source.categories == ("8", "2", "2")
    assert source[0]["image"] == b"first" and source[1]["image"] == b"second"
    with pytest.raises(BadImage, match=r"record 31 of x\.rec cannot be read: it holds no image"):
        source[2]
    labelled = {0: packed([1, 2], b"an image after all"), 1: packed([6, 2], b"x")}
    assert rec(labelled).categories == ("1", "6")


@pytest.mark.parametrize("label", [0.5, -1.0, float("nan"), float("inf")])
def test_a_label_that_is_no_number_of_an_identity(rec, label):
    source = rec({1: packed(label, b"x"), 2: packed(4, b"y")})
    assert source.categories == ("", "4") and source.classes == ("4",)
    with pytest.raises(BadImage, match=rf"record 1 of x\.rec.*found the label {label:g}; expected a whole number"):
        source[0]
    with pytest.raises(UserError, match=r"none of its 1 images has a readable label"):
        rec({1: packed(label, b"x")})


def test_the_writer_splits_at_aligned_magic_words_only():
    first = MAGIC + struct.pack("<I", 1 << 29 | 4) + b"1234"
    last = MAGIC + struct.pack("<I", 3 << 29 | 6) + b"56" + MAGIC + bytes(2)
    assert framed(b"1234" + MAGIC + b"56" + MAGIC) == first + last


CHUNKS = st.sampled_from([MAGIC, MAGIC[:2], b"a", b"bcd", b"efgh", bytes(4)])
LABELS = st.integers(0, 1 << 24) | st.lists(st.integers(0, 99), min_size=1, max_size=5)
IMAGES = st.lists(CHUNKS, min_size=1, max_size=12).map(b"".join)
NUMBERS = st.sampled_from([0, 0xCED7230A, 0xCED7230ACED7230A])


@settings(max_examples=100)
@given(st.dictionaries(st.integers(1, 10**9), st.tuples(LABELS, IMAGES, NUMBERS), min_size=1, max_size=6))
def test_what_was_written_is_read(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("rec") / "x.rec"
    write(path, {key: packed(*record) for key, record in records.items()})
    expected = [records[key] for key in sorted(records)]
    assert pairs_of(RecordIO(path)) == [
        (str(labels[0] if isinstance(labels, list) else labels), image) for labels, image, _ in expected
    ]


def test_a_file_cut_off_anywhere_is_not_opened(faces):
    content = faces.read_bytes()
    assert len(content) == 424
    says = {
        150: r"ends at byte 150, but 6 of 10 records in train\.idx start there or beyond, as record 0 at byte 264: "
        "the file is cut off, or the index is of another file",
        414: "record 9 is broken: 32 bytes of data were announced at byte 384; found 22",
    }
    for length in range(len(content)):
        faces.write_bytes(content[:length])
        with pytest.raises(UserError, match=rf"train\.rec.*{says.get(length, '')}"):
            RecordIO(faces)
    faces.write_bytes(content)
    source = RecordIO(faces)
    os.truncate(faces, 60)
    with pytest.raises(BadImage, match=r"record 2 of train\.rec cannot be read: .* bytes were expected at byte 44"):
        source[1]


def damage(path: Path, position: int, content: bytes) -> None:
    file = bytearray(path.read_bytes())
    file[position : position + len(content)] = content
    path.write_bytes(file)


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [
        (0, b"JUNK", r"found 0x4b4e554a at byte 44; expected 0xced7230a"),
        (4, struct.pack("<I", 400_000), r"400000 bytes of data were announced at byte 44; found 372, then the end"),
        (4, struct.pack("<I", 2 << 29 | 34), r"part at byte 44 has the flag 2; expected 0 or 1, of a first part"),
        (4, struct.pack("<I", 1 << 29 | 34), r"part at byte 88 has the flag 0; expected 2 or 3, of a further part"),
        (4, struct.pack("<I", 23), r"found 23 bytes of data; expected a header of 24"),
        (8, struct.pack("<I", 1000), r"announces 1000 labels, 4000 bytes; found 10 bytes after it"),
    ],
)
def test_one_broken_record_is_a_bad_image(faces, offset, content, message):
    damage(faces, 44 + offset, content)
    source = RecordIO(faces)
    with pytest.raises(BadImage, match=rf"record 2 of train\.rec cannot be read: .*{message}"):
        source[1]
    assert source[0]["image"] == b"a0" and source[2]["image"] == b"a2"


def test_broken_records_at_the_ends_of_an_identity(tmp_path):
    path = write(tmp_path / "x.rec", insightface([(5, [b"0"]), (4, [b"1", b"2", b"3"]), (6, [b"4"])]))
    starts = dict(line.split("\t") for line in path.with_suffix(".idx").read_text().splitlines())
    for key, expected in (("2", ("5", "", "4", "4", "6")), ("4", ("5", "", "4", "", "6"))):
        damage(path, int(starts[key]), b"JUNK")
        source = RecordIO(path)
        assert source.categories == expected and source[2]["image"] == b"2"
        with pytest.raises(BadImage, match=r"record 2 of x\.rec"):
            source[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({0: packed(4)}, "record 0 is broken: found 1 labels and no image; expected the two keys of a range"),
        ({0: packed([1, 4])}, "record 0 puts the first identity at key 1, which leaves no image"),
        ({0: packed([6.5, 10])}, "record 0 is broken: found the label 6.5; expected a whole number"),
        ({8: packed([4, 9])}, "record 8 is broken: found an identity with the images 4 to 8; .* from 1 to 6"),
        ({8: packed([5, 4])}, "record 8 is broken: found an identity with the images 5 to 3"),
        ({8: packed(3)}, "record 8 is broken: found 1 labels and no image"),
        ({8: b"too short"}, "record 8 is broken: found 9 bytes of data; expected a header of 24"),
        ({0: packed([7, 12])}, r"idx lacks 2 of the 5 identities that record 0 of x.rec announces: 10, 11$"),
        ({0: packed([26, 30])}, r"idx lacks 16 of the 25 images that .*: 10, 11, 12, .*, 18, 19 and 6 more$"),
    ],
)
def test_records_that_describe_the_set_must_be_right(rec, changes, message):
    with pytest.raises(UserError, match=message):
        rec(insightface(PEOPLE) | changes)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("", r"train\.idx is empty; expected lines key<TAB>position"),
        ("1\t0\n2\tmany\n", r"train\.idx, line 2: found '2\\tmany'; expected two numbers, key<TAB>position"),
        ("1\t0\n\n2\t44\n", r"train\.idx, line 2: found ''"),
        ("1 0\n", r"train\.idx, line 1: found '1 0'"),
        ("1\t0\n2\t-44\n", r"train\.idx, line 2: found '2\\t-44'"),
        ("1\t0\n2\t" + "9" * 30, r"line 2"),
        ("\u00e9\t0\n", r"line 1"),
        ("1\t0\n2\t44\n1\t88\n", r"train\.idx gives 1 keys more than once, as 1"),
        ("1\t0\n2\t424\n", r"ends at byte 424, but 1 of 2 records in train\.idx start there or beyond, as record 2"),
        ("1\t0\n2\t422\n", r"record 2 is broken: 2 bytes are left at byte 422; expected 8 or more"),
        ("1\t4\n", r"train\.rec: record 1 is broken: found .* at byte 4; expected 0xced7230a, which starts a record"),
        (None, r"train\.idx: cannot be read \(No such file.*expected the index of the \.rec"),
    ],
)
def test_an_index_that_does_not_fit(faces, index, message):
    faces.with_suffix(".idx").unlink()
    if index is not None:
        faces.with_suffix(".idx").write_text(index, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        open_images(faces)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.rec does not exist: expected a \.rec"):
        open_images(tmp_path / "none.rec")
    (tmp_path / "folder.rec").mkdir()
    with pytest.raises(UserError, match=r"no images in .*folder\.rec"):
        open_images(tmp_path / "folder.rec")


def test_pickled_copies_read_on(faces):
    source = RecordIO(faces)
    pickled = pickle.dumps(source)
    assert pairs_of(pickle.loads(pickled)) == pairs_of(source)
    faces.unlink()
    with pytest.raises(UserError, match=re.escape(f"{faces} does not exist")):
        pickle.loads(pickled)


def test_many_threads_may_read_one_file(rec):
    images = [bytes([row]) * 30_000 for row in range(20)]
    source = rec(insightface([(label, [image]) for label, image in enumerate(images)]))
    assert read_by_many_threads(source) == [images] * 8


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_source_that_is_gone_closes_its_file(faces):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        RecordIO(faces)[0]
    assert len(os.listdir("/proc/self/fd")) <= before + 1
