"""The image files of a folder or of a zip, by their paths within it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError
from ecor_jax.untrusted.archives import Archive, is_zip
from ecor_jax.untrusted.files import is_utf8, read_bytes, walk

TEXT_SUFFIXES = (".txt", ".csv")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".dcm")


class Files(Protocol):
    """Image files below one root; picklable, and safe to read from several threads."""

    path: Path
    """The root, for messages."""
    members: tuple[str, ...]
    """Paths of the images below the root, with `/`, sorted."""
    texts: tuple[str, ...]
    """Paths of the lists and tables beside them, likewise."""

    def read(self, member: str) -> bytes:
        """The content of a member or text. Raises BadImage if it cannot be read."""
        ...


def open_files(path: Path) -> Files:
    """The images of a folder or a zip; hidden files, `__MACOSX` and files without a known suffix are ignored.

    Raises UserError if the path is missing, is neither a folder nor a zip, or has no image.
    """
    files = _open(path, "a folder of images, a zip, or a directory written by ecor-jax prepare")
    if not files.members:
        raise UserError(f"no images in {path}: looked for files ending in {' '.join(IMAGE_SUFFIXES)}")
    _check_names(path, files.members)
    return files


def read_picture(path: Path) -> bytes:
    """The content of a file that is to be a picture, whatever its name. UserError if it cannot be read."""
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a picture")
    return read_bytes(path)


def open_texts(path: Path) -> Files:
    """A folder or zip for the sake of its texts, reports for one: as `open_files`, with texts in place of images."""
    files = _open(path, "a folder of texts, or a zip")
    if not files.texts:
        raise UserError(f"no texts in {path}: looked for files ending in {' '.join(TEXT_SUFFIXES)}")
    _check_names(path, files.texts)
    return files


def _check_names(path: Path, names: Sequence[str]) -> None:
    if foreign := [name for name in names if not is_utf8(name)]:
        raise UserError(f"{path}: the name {os.fsencode(foreign[0])!r} is no UTF-8; rename it")


def _open(path: Path, expected: str) -> Files:
    if path.is_dir():
        return _Folder(path)
    if is_zip(path) or (path.suffix.lower() == ".zip" and path.exists()):
        return _Zip(path)
    found = "is a file of another kind" if path.exists() else "does not exist"
    raise UserError(f"{path} {found}: expected {expected}")


def read_text(files: Files, member: str) -> str:
    """A text of UTF-8, or else of Latin-1, as a few old reports are: there every byte is a character.

    Raises UserError if it cannot be read.
    """
    content = files.read(member)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def raise_missing(where: str, names: Sequence[str]) -> None:
    """UserError that says which images `where` names although they do not exist: ten of them, and how many."""
    if names:
        raise UserError(f"{where} names {len(names)} images that do not exist: {some_of(names)}")


def some_of(names: Sequence[object]) -> str:
    """The first ten, and how many more there are."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more


def _ending(names: Iterable[str], suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Those that end in one of the suffixes and lie below no hidden folder, sorted."""

    def visible(name: str) -> bool:
        return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))

    return tuple(sorted(name for name in names if name.lower().endswith(suffixes) and visible(name)))


class _Folder(Files):
    def __init__(self, path: Path):
        self.path = path
        names = tuple(walk(path))
        self.members, self.texts = _ending(names, IMAGE_SUFFIXES), _ending(names, TEXT_SUFFIXES)

    def read(self, member: str) -> bytes:
        try:
            return read_bytes(self.path / member)
        except UserError as error:
            raise BadImage(str(error)) from error


class _Zip(Files):
    def __init__(self, path: Path):
        self.path, self._archive = path, Archive(path)
        names = self._archive.names
        self.members, self.texts = _ending(names, IMAGE_SUFFIXES), _ending(names, TEXT_SUFFIXES)
        for name in self.members:
            self._archive.check(name)

    def read(self, member: str) -> bytes:
        try:
            return self._archive.read(member)
        except UserError as error:
            raise BadImage(str(error)) from error
