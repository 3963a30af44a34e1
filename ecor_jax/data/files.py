"""The image files of a folder or of a zip, by their paths within it."""

import lzma
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError

TEXT_SUFFIXES = (".txt", ".csv")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".dcm")
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# What zipfile and its decompressors raise on a damaged member.
_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # encrypted, or an unknown compression
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
_ENCRYPTED = 0x1  # bit of a member's flags


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
    files = _open(path, "a folder of images, a zip, or a directory written by launch.prepare")
    if not files.members:
        raise UserError(f"no images in {path}: looked for files ending in {' '.join(IMAGE_SUFFIXES)}")
    return files


def open_texts(path: Path) -> Files:
    """A folder or zip for the sake of its texts, reports for one: as `open_files`, with texts in place of images."""
    files = _open(path, "a folder of texts, or a zip")
    if not files.texts:
        raise UserError(f"no texts in {path}: looked for files ending in {' '.join(TEXT_SUFFIXES)}")
    return files


def _open(path: Path, expected: str) -> Files:
    if path.is_dir():
        return _Folder(path)
    if zipfile.is_zipfile(path):
        return _Zip(path)
    if path.suffix.lower() == ".zip" and path.exists():
        raise UserError(f"{path} is not a zip file, or is cut off")
    found = "is a file of another kind" if path.exists() else "does not exist"
    raise UserError(f"{path} {found}: expected {expected}")


def read_text(files: Files, member: str) -> str:
    """A text of UTF-8, or else of Latin-1, as a few old reports are: there every byte is a character.

    Raises UserError if it cannot be read.
    """
    try:
        content = files.read(member)
    except BadImage as error:
        raise UserError(f"{files.path}: {error}") from error
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
        walk = os.walk(path, followlinks=True)
        found = [(Path(folder).relative_to(path) / name).as_posix() for folder, _, names in walk for name in names]
        self.members, self.texts = _ending(found, IMAGE_SUFFIXES), _ending(found, TEXT_SUFFIXES)

    def read(self, member: str) -> bytes:
        try:
            return (self.path / member).read_bytes()
        except OSError as error:
            raise BadImage(f"{member} cannot be read: {error.strerror or error}") from error


class _Zip(Files):
    """Reads members in place: nothing is unpacked, so no name can lead out of the archive."""

    def __init__(self, path: Path):
        self.path = path
        self._open()
        members = self._archive.infolist()
        for member in members:
            if re.match(r"[/\\]|[A-Za-z]:", member.filename) or ".." in re.split(r"[/\\]", member.filename):
                raise UserError(f"{path} names a path outside itself, {member.filename!r}: it is not read")
        found = [member.filename for member in members]
        self.members, self.texts = _ending(found, IMAGE_SUFFIXES), _ending(found, TEXT_SUFFIXES)
        for name in self.members:
            member = self._archive.getinfo(name)
            if member.flag_bits & _ENCRYPTED:
                raise UserError(f"{path} is encrypted ({name!r}): decrypt it first")
            if member.compress_type not in _ZIP_METHODS:
                raise UserError(f"{path} uses a compression this Python cannot undo ({name!r}): zip it again")

    def _open(self) -> None:
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise UserError(f"{self.path} is a broken zip file: {error}") from error
        self._lock = threading.Lock()

    def read(self, member: str) -> bytes:
        try:
            # One reader at a time: ZipFile counts its open members without a lock. Decoding is not in here.
            with self._lock:
                return self._archive.read(member)
        except _READ_ERRORS as error:
            raise BadImage(f"{member} cannot be read: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "members": self.members, "texts": self.texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()
