"""Regular files alone, streams that expand within reason, folders without end walked to the end."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.data.files import open_files, open_texts
from ecor_jax.errors import UserError
from ecor_jax.untrusted import files
from ecor_jax.untrusted.files import gunzip, read_bytes, read_text, walk


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read .No such file"),
        (lambda path: path.mkdir(), "is a folder; expected a file"),
        (lambda path: os.mkfifo(path), "is a pipe; expected a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device; expected a file"),
        (lambda path: path.symlink_to(path), "cannot be read .Too many levels"),
    ],
)
def test_what_is_no_file_is_told_at_once(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(UserError, match=rf"^{tmp_path}/x: {message}"):
        read_bytes(tmp_path / "x")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"], ids=["long", "zero byte"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(UserError, match="cannot be read"):
        read_bytes(Path(name))


def test_text_is_utf_8_gunzipped_where_the_name_says_so(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffé".encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0")
    assert (read_text(tmp_path / "a.txt"), read_text(tmp_path / "a.txt.gz")) == ("é", "one two")
    (tmp_path / "a.txt").write_bytes(b"a\xff")
    with pytest.raises(UserError, match=r"a\.txt: is no UTF-8 text .byte 1"):
        read_text(tmp_path / "a.txt")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_gunzip_is_gzips(contents):
    assert gunzip(b"".join(map(gzip.compress, contents)), "x") == b"".join(contents)


def test_a_stream_may_expand_a_hundredfold_and_no_further(monkeypatch):
    monkeypatch.setattr(files, "SMALL", 1000)
    for content in (bytes(1000), os.urandom(5000)):
        assert gunzip(gzip.compress(content), "x") == content
    many_members = gzip.compress(bytes(900_000)) * 3
    for bomb in (gzip.compress(bytes(10_000_000)), many_members):
        with pytest.raises(UserError, match=r"x: expands to more than [0-9,]+ bytes"):
            gunzip(bomb, "x")


@given(st.binary(min_size=1, max_size=200))
def test_a_stream_cut_off_is_never_taken_for_whole(content):
    compressed = gzip.compress(content)
    for end in range(1, len(compressed)):
        with pytest.raises(UserError, match=r"cut off|damaged"):
            gunzip(compressed[:end], "x")


def test_a_folder_is_walked_in_order_and_through_links(tmp_path):
    for name in ("b/2.txt", "a/1.txt", "elsewhere/3.txt", "top.txt"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    (tmp_path / "root" / "elsewhere").rename(tmp_path / "elsewhere")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "loop").symlink_to("loop")
    expected = ["loop", "top.txt", "a/1.txt", "again/3.txt", "b/2.txt", "linked/3.txt"]
    assert list(walk(tmp_path / "root", [])) == expected


def test_links_into_themselves_have_an_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").touch()
    for name in ("self", "other", "a/up"):
        (tmp_path / name).symlink_to(tmp_path)
    assert list(walk(tmp_path, [])) == ["a/1.txt"]


def test_links_that_fan_out_have_an_end(tmp_path, monkeypatch):
    """Folders of two links each to the next: 2 ** 40 paths, were each of them walked."""
    for number in range(40):
        (tmp_path / f"{number}").mkdir()
        for name in "ab":
            (tmp_path / f"{number}" / name).symlink_to(tmp_path / f"{number + 1}")
    (tmp_path / "40").mkdir()
    monkeypatch.setattr(files, "LINKS", 1000)
    with pytest.raises(UserError, match=r"links more than 1,000 times; expected a tree"):
        list(walk(tmp_path, []))


def test_a_name_that_is_no_utf_8_is_named(tmp_path):
    """Where it matters: a text beside pictures is none of our business."""
    for name in (b"\xff.txt", b"1.jpg"):
        with open(os.fsencode(tmp_path) + b"/" + name, "w"):
            pass
    assert open_files(tmp_path).members == ("1.jpg",)
    with pytest.raises(UserError, match=r"the name .*xff\.txt.* is no UTF-8; rename it"):
        open_texts(tmp_path)
