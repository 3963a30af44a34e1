"""The image files of a folder or of a zip, by their paths within it."""

import lzma
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".tif", ".tiff")
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# What zipfile and its decompressors raise on a damaged member.
_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
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

    def read(self, member: str) -> bytes:
        """The content of a member. Raises BadImage if it cannot be read."""
        ...


def open_files(path: Path) -> Files:
    """The images of a folder or a zip; hidden files, `__MACOSX` and files without a known suffix are ignored.

    Raises UserError if the path is missing, is neither a folder nor a zip, or has no image.
    """
    if path.is_dir():
        files: Files = _Folder(path)
    elif zipfile.is_zipfile(path):
        files = _Zip(path)
    elif path.suffix.lower() == ".zip" and path.exists():
        raise UserError(f"{path} is not a zip file, or is cut off")
    else:
        found = "is a file of another kind" if path.exists() else "does not exist"
        raise UserError(f"{path} {found}: expected a folder of images, a zip, or a directory written by launch.prepare")
    if not files.members:
        raise UserError(f"no images in {path}: looked for files ending in {' '.join(IMAGE_SUFFIXES)}")
    return files


def _images(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are images by their suffix and lie below no hidden folder, sorted."""

    def visible(name: str) -> bool:
        return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))

    return tuple(sorted(name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and visible(name)))


class _Folder(Files):
    def __init__(self, path: Path):
        self.path = path
        walk = os.walk(path, followlinks=True)
        self.members = _images(
            (Path(folder).relative_to(path) / name).as_posix() for folder, _, names in walk for name in names
        )

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
        self.members = _images(member.filename for member in members)
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
        return {"path": self.path, "members": self.members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()
