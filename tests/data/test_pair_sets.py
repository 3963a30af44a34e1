import builtins
import io
import itertools
import os
import pickle
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecor_jax.data.pair_sets import PairSet, open_pairs, pairs_within
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError


def pickled(path: Path, value: object, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def shown(pairs: PairSet) -> list[tuple[bytes, bytes, bool]]:
    """The contents of every pair."""
    assert pairs.first.dtype == pairs.second.dtype == np.int64 and pairs.same.dtype == bool
    images = [pairs.images[index]["image"] for index in range(len(pairs.images))]
    listed = zip(pairs.first, pairs.second, pairs.same, strict=True)
    return [(images[first], images[second], bool(same)) for first, second, same in listed]


def test_the_bin_at_hand(shared_data):
    path = shared_data / "faces" / "small_lfw.bin"
    pairs = open_pairs("lfw", path)
    trusted = pickle.loads(path.read_bytes(), encoding="bytes")  # this one file is known
    images, same = [image.tobytes() for image in trusted[0]], trusted[1]
    assert shown(pairs) == [(images[2 * k], images[2 * k + 1], same[k]) for k in range(10)]
    assert len(pairs.images) == len(set(images)) == 17
    assert pairs.name == "lfw" and pairs.same.all()
    assert pairs.images[16]["name"] == "image 19 of small_lfw.bin"


IMAGES = [b"\xff\xd8one", b"\xe9two", b"\xff\xd8one", bytes(300)]
EXPECTED = [(IMAGES[0], IMAGES[1], True), (IMAGES[2], IMAGES[3], False)]


KINDS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "array": lambda image: np.frombuffer(image, np.uint8),
    "column": lambda image: np.array([[b] for b in image], "u1"),
}
ANSWERS = {
    "list": [True, False],
    "tuple": (True, False),
    "array": np.array([True, False]),
    "NumPy bools": [np.True_, np.False_],
    "floats": [1.0, 0.0],
    "column": np.array([[1], [0]], np.int64),
    "big-endian": np.array([1, 0], ">f4"),
    "NumPy numbers": [np.int32(1), np.int32(0)],
    "objects": np.array([True, False], object),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answers", ANSWERS)
def test_every_way_to_pickle_them(tmp_path, protocol, kind, answers):
    images = list(map(KINDS[kind], IMAGES))
    pairs = open_pairs("x", pickled(tmp_path / "x.bin", (images, ANSWERS[answers]), protocol))
    assert shown(pairs) == shown(pickle.loads(pickle.dumps(pairs))) == EXPECTED
    assert pairs.first.tolist() == [0, 0] and pairs.second.tolist() == [1, 2]  # images 0 and 2 are equal


PYTHON_2_TEXTS = b"".join(b"T" + struct.pack("<I", len(image)) + image for image in IMAGES)
PYTHON_2_ARRAY = (  # dtype names and content are str
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I5\ntcnumpy\ndtype\n(S'u1'\n"
    b"I0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'hello'\ntb"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x80\x02](" + PYTHON_2_TEXTS + b"e](\x88\x89e\x86.", EXPECTED),
        (b"((l" + (PYTHON_2_ARRAY + b"a") * 2 + b"(l" + b"I01\nat.", [(b"hello", b"hello", True)]),
    ],
)
def test_a_pickle_of_python_2(tmp_path, content, expected):
    (tmp_path / "x.bin").write_bytes(content)
    assert shown(open_pairs("x", tmp_path / "x.bin")) == expected


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HUGE = b"\x80\x02](c__builtin__\nbytes\n(I999999999999\ntRe](\x88et."
DOTTED = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Hostile(os.system, "touch trace"), "its pickle names (posix|nt).system"),
        (Hostile(builtins.getattr, b"x", "join"), "its pickle names (builtins|__builtin__).getattr"),
        (Hostile(np.memmap, "trace", "u1", "w+", 0, 4), r"its pickle names numpy.memmap"),
        (io.BytesIO(b"x"), "its pickle names _io.BytesIO"),
        (Path("x"), r"its pickle names pathlib\S*"),
        (np.object_, r"its pickle names numpy.object_"),
        (HUGE, "int 999999999999 where bytes were expected"),
        (DOTTED, r"its pickle names numpy\.ndarray\.tofile"),
    ],
)
def test_nothing_that_a_pickle_names_is_run_nor_memory_filled(tmp_path, monkeypatch, value, message, protocol):
    monkeypatch.chdir(tmp_path)
    content = value if isinstance(value, bytes) else pickle.dumps(([b"1", value], [True]), protocol)
    Path("x.bin").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.bin.*{message}"):
        open_pairs("x", "x.bin")
    assert not Path("trace").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (([b"1", b"2", b"3"], [True]), "found 3 images, an odd number, and 1 answers; expected two images for each"),
        (([b"1", b"2", b"3", b"4"], [True]), "found 4 images and 1 answers; expected two"),
        (([b"1", b"2"], [True, False]), "found 2 images and 2 answers"),
        (([], []), "it holds no images"),
        ([b"1", b"2", True], "found list; expected a pair"),
        (7, "found int 7; expected a pair"),
        (({"a": 1}, [True]), "found a pair of dict and list; expected lists"),
        (([b"1", "2"], [True]), "image 1 is str; expected the bytes of an image file"),
        (([b"1", np.zeros((2, 2), np.uint8)], [True]), r"image 1 is an array of u1 and shape \(2, 2\)"),
        (([b"1", np.zeros(2, np.float32)], [True]), r"image 1 is an array of f4 and shape \(2,\)"),
        (([b"1", np.array([None])], [True]), r"image 1 is an array of O8 and shape \(1,\)"),
        (([b"1", b"2"], [2]), "answer 0 is int 2; expected True or False"),
        (([b"1", b"2"], [None]), "answer 0 is NoneType None; expected True or False"),
        (([b"1", b"2"], [np.complex128(1)]), "NumPy scalar of type c16; expected bools"),
        (([b"1", b"2"], [np.float64(0.5)]), "answer 0 is float 0.5; expected True or False"),
    ],
)
def test_a_bin_that_holds_something_else(tmp_path, value, message):
    with pytest.raises(UserError, match=rf"x\.bin: .*{message}"):
        open_pairs("x", pickled(tmp_path / "x.bin", value))


PAIRS = "2\t1\nAnna_B\t1\t10\nAnna_B\t1\tClara\t12345\nClara\t1\t12345\nClara\t1\tAnna_B\t10\n"
FACES = ["Anna_B/Anna_B_0001.jpg", "Anna_B/Anna_B_0010.png", "Clara/Clara_0001.jpg", "Clara/Clara_12345.jpg"]


@pytest.mark.parametrize("top", ["", "lfw/"])
@pytest.mark.parametrize("text", [PAIRS, PAIRS.replace("\n", "\r\n"), "\ufeff" + PAIRS.replace("\t", " ")])
def test_lfws_pairs(tmp_path, make_folder, make_zip, text, top):
    (tmp_path / "pairs.txt").write_text(text, encoding="utf-8")
    root = make_folder([f"{top}{name}" for name in [*FACES, "Dora/Dora_0001.jpg"]])
    pairs = open_pairs("lfw", tmp_path / "pairs.txt", root)
    one, ten, first, second = (f"{top}{name}".encode() for name in FACES)
    assert shown(pairs) == [(one, ten, True), (one, second, False), (first, second, True), (first, ten, False)]
    assert pairs.images.categories == ("anna b", "anna b", "clara", "clara")
    zipped = make_zip({name: f"{top}{name}" for name in FACES})
    assert shown(open_pairs("lfw", tmp_path / "pairs.txt", zipped)) == shown(pairs)


def test_lists_of_the_development_sets_and_names_with_spaces(tmp_path, make_folder):
    """The first line of these is one number; people's own lists have names of several words, and accents apart."""
    names = ["Person 1", "Zoë Lee"]
    apart = [unicodedata.normalize("NFD", name) for name in names]
    root = make_folder([f"{name}/{name}_000{number}.png" for name in apart for number in (1, 2)])
    (tmp_path / "pairs.txt").write_text("1\nPerson 1\t1\t2\nPerson 1\t1\tZoë Lee\t2\n", encoding="utf-8")
    pairs = open_pairs("x", tmp_path / "pairs.txt", root)
    assert pairs.same.tolist() == [True, False] and pairs.images.categories == ("person 1", "person 1", "zoë lee")
    assert pairs.images[2]["image"] == f"{apart[1]}/{apart[1]}_0002.png".encode()


def test_the_published_pairs(shared_data, tmp_path):
    """Those of LFW without its images, and the celebrities with theirs."""
    (tmp_path / "a.jpg").touch()
    missing = r"names 7701 images that do not exist: Abel_Pacheco/Abel_Pacheco_0001, .* 7691"
    with pytest.raises(UserError, match=missing):
        open_pairs("lfw", shared_data / "faces" / "lfw_pairs.txt", tmp_path)
    pairs = open_pairs("celebrities", shared_data / "faces" / "celebrity_pairs.zip")
    assert len(pairs.first) == 300 and pairs.same.sum() == 38
    assert pairs.images[0]["name"] == "tests/unit/dataset/img20.jpg"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="A1\t\n 23_", max_size=60))
def test_any_text_is_a_user_error_or_pairs(tmp_path, make_folder, text):
    images = make_folder([f"{name}/{name}_{k:04}.jpg" for name in ("A", "1", "2", "3") for k in (1, 2, 3)])
    (tmp_path / "pairs.txt").write_text(text)
    try:
        assert len(open_pairs("x", tmp_path / "pairs.txt", images).first)
    except UserError as error:
        assert "pairs.txt" in str(error)


CSV = "file_x,file_y,Decision,note\na/1.jpg,2.jpg,Yes,x\n3.jpg,a/1.jpg,No,y\n"
FILES = ["a/1.jpg", "b/1.jpg", "2.jpg", "c/d/3.jpg"]


def test_a_table_of_pairs(tmp_path, make_folder):
    (tmp_path / "pairs.csv").write_text("\ufeff" + CSV, encoding="utf-8")
    pairs = open_pairs("x", tmp_path / "pairs.csv", make_folder(FILES))
    assert shown(pairs) == [(b"a/1.jpg", b"2.jpg", True), (b"c/d/3.jpg", b"a/1.jpg", False)]
    assert pairs.images.categories == ("", "", "")


KIMS = [f"{name}/{name}_000{number}.png" for name in ("Kim_A", "kim-a") for number in (1, 2)]
TWELVE = "".join(f"n{number:02},2.jpg,No,\n" for number in range(12))
LISTS = [
    ("txt", "", "line 1: found ''; expected folds and pairs, or the number of pairs"),
    ("txt", "300\n", "found 0 pairs of same people; expected 300"),
    ("txt", "1\t2\t3\n", "line 1: found '1 2 3'; expected folds and pairs"),
    ("txt", PAIRS.replace("2\t1", "2\tone", 1), "line 1: found '2 one'"),
    ("txt", PAIRS + "\nAnna_B\t1\n", "line 7: found 'Anna_B 1'; expected name, number, number or name, number, name"),
    ("txt", PAIRS.replace("Anna_B\t1\t10", "Anna_B\t1\tten"), "line 2: found 'Anna_B 1 ten'"),
    ("txt", PAIRS.replace("2\t1", "2\t2", 1), "found 2 pairs of same people; expected 4, 2 in each of 2 folds, by its"),
    ("txt", PAIRS + "Anna_B 1 Clara 1", "found 3 pairs of different people; expected 2, 1 in each of 2 folds"),
    ("txt", "0\t1", "lists no pairs"),
    ("txt", PAIRS.replace("\tClara\t12345", "\tClara\t3"), "names 1 images that do not exist: Clara/Clara_0003$"),
    ("txt", "1\nKim_A\t1\t2\nKim_A\t1\tkim-a\t2\n", "'Kim_A' and 'kim-a' are the same, 'kim a', once normalised"),
    ("csv", "", "has no column file_x, file_y, Decision; its columns are: nothing$"),
    ("csv", CSV.replace("Decision", "decision"), "has no column Decision; its columns are: file_x, file_y, decision"),
    ("csv", CSV.replace("Yes", "yes"), "line 2: found 'a/1.jpg, 2.jpg, yes'; expected two paths and Yes or No"),
    ("csv", CSV + "2.jpg,,,", "line 4: found '2.jpg, , '"),
    ("csv", CSV + "2.jpg", "line 4: found 1 cells; expected 4, as in the header"),
    ("csv", CSV.replace("a/1", "1"), r"has two images of one name, a/1\.jpg and b/1\.jpg"),
    ("csv", CSV + TWELVE, "names 12 images that do not exist: n00, .*, n09 and 2 more$"),
    ("csv", "file_x,file_y,Decision\n", "lists no pairs"),
]


@pytest.mark.parametrize(("kind", "text", "message"), LISTS)
def test_lists_that_do_not_fit(tmp_path, make_folder, kind, text, message):
    path, images = tmp_path / f"pairs.{kind}", make_folder([*FACES, *FILES, *KIMS])
    path.write_text(text)
    with pytest.raises(UserError, match=rf"(pairs\.{kind}|images).*{message}"):
        open_pairs("lfw", path, images)


def test_a_zip_holds_one_table(make_zip):
    others = dict.fromkeys([*FILES, "other.csv"], "x")
    assert len(open_pairs("x", make_zip({**others, "pairs.csv": CSV})).first) == 2
    for tables in ([], ["pairs.csv", "more/PAIRS.CSV"]):
        path = make_zip(others | dict.fromkeys(tables, CSV))
        with pytest.raises(UserError, match=rf"images\.zip: found {len(tables)} \.csv files with the columns file_x"):
            open_pairs("x", path)


@pytest.mark.parametrize(
    ("path", "images", "message"),
    [
        ("x.mat", "", r"x\.mat: pairs are read from a \.bin, \.txt \(as LFW's\) or \.csv, or a \.zip"),
        ("pairs.txt", "", r"pairs\.txt holds no images: give the folder or zip that does"),
        ("none.csv", ".", r"none\.csv: cannot be read"),
        ("none.bin", "", r"none\.bin: cannot be read \(No such file"),
        ("x.bin", ".", r"x\.bin holds its images: expected no other path"),
        ("pairs.txt", "none", "none does not exist"),
    ],
)
def test_paths_of_no_known_kind(tmp_path, path, images, message):
    (tmp_path / "pairs.txt").write_text(PAIRS)
    with pytest.raises(UserError, match=message):
        open_pairs("x", tmp_path / path, tmp_path / images if images else "")


def people(categories: Sequence[str]) -> InMemory:
    records = [Record(image=b"", category=category, rationales=(), name="") for category in categories]
    return InMemory(records, "letters")


def slow_pairs(categories: str, alike: bool) -> set[tuple[int, int]]:
    pairs = itertools.combinations(range(len(categories)), 2)
    return {(a, b) for a, b in pairs if (categories[a] == categories[b]) == alike}


@settings(max_examples=150)
@given(categories=st.text("abc", min_size=2, max_size=14), seed=st.integers(0, 9))
def test_pairs_within_a_set(categories, seed):
    alike, different = slow_pairs(categories, True), slow_pairs(categories, False)
    source = people(categories)
    if not (alike and different):
        with pytest.raises(UserError, match=r"in letters form no pair of (the same category|different categories)"):
            pairs_within("x", source, seed)
        return
    pairs = pairs_within("x", source, seed)
    drawn = [(min(pair), max(pair)) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)]
    assert len(set(drawn)) == len(drawn)
    assert {pair for pair, same in zip(drawn, pairs.same, strict=True) if same} == alike
    others = {pair for pair, same in zip(drawn, pairs.same, strict=True) if not same}
    assert others <= different and len(others) == min(len(alike), len(different))
    assert pairs.images is source
    if len(alike) == len(others):
        for fold in np.array_split(pairs.same, 10):
            assert abs(2 * int(fold.sum()) - len(fold)) <= 1


def test_different_pairs_are_drawn_evenly_and_by_the_seed():
    source = people("aabbbcdd")
    expected = slow_pairs("aabbbcdd", False)
    counts, draws = dict.fromkeys(expected, 0), 4000
    for seed in range(draws):
        pairs = pairs_within("x", source, seed)
        for first, second in zip(pairs.first[~pairs.same], pairs.second[~pairs.same], strict=True):
            counts[min(first, second), max(first, second)] += 1
    share = 5 / len(expected)
    deviations = (np.asarray(list(counts.values())) - draws * share) / np.sqrt(draws * share * (1 - share))
    assert abs(deviations).max() < 4.5
    drawn, again = (pairs_within("x", source, 3) for _ in range(2))
    np.testing.assert_array_equal([drawn.first, drawn.second], [again.first, again.second])


def test_pairs_are_spread_over_the_folds_and_unknown_people_form_none():
    pairs = pairs_within("x", people("aaaaaaab"), 0)  # 21 same, 7 different
    assert pairs.same.sum() == 21 and len(pairs.same) == 28
    assert all(fold.sum() == 3 for fold in np.array_split(pairs.same, 7))
    with pytest.raises(UserError, match="1 of 4 images in letters have no category"):
        pairs_within("x", people(["a", "", "b", "b"]), 0)
