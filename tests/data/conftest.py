"""Folders and zips of small files, for all tests of data."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Content = Mapping[str, str | bytes] | Sequence[str]
"""The files by their names below the root; names alone stand for files that hold their own names."""


def contents(files: Content) -> dict[str, bytes]:
    named = files if isinstance(files, Mapping) else {name: name for name in files}
    return {name: content.encode() if isinstance(content, str) else content for name, content in named.items()}


@pytest.fixture
def make_folder(tmp_path) -> Callable[..., Path]:
    """Makes `tmp_path / where`, a folder of these files."""

    def build(files: Content, where: str = "images") -> Path:
        for name, content in contents(files).items():
            (tmp_path / where / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / where / name).write_bytes(content)
        return tmp_path / where

    return build


@pytest.fixture
def make_zip(tmp_path) -> Callable[..., Path]:
    """Makes `tmp_path / where`, a zip of these files."""

    def build(files: Content, where: str = "images.zip", method: int = zipfile.ZIP_DEFLATED) -> Path:
        with zipfile.ZipFile(tmp_path / where, "w", method) as archive:
            for name, content in contents(files).items():
                archive.writestr(name, content)
        return tmp_path / where

    return build


@pytest.fixture(params=["folder", "zip"])
def make(request, make_folder, make_zip) -> Callable[[Content], Path]:
    """Makes a folder, and in another test a zip, of these files."""
    return make_folder if request.param == "folder" else make_zip
