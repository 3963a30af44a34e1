"""`Files`: the image and text files of a folder or zip, found by suffix or content and addressed by relative path."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ecor_jax.data import dicom
from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError, some_of
from ecor_jax.untrusted.archives import Archive, is_zip
from ecor_jax.untrusted.files import is_utf8, read_bytes, read_head, walk
from ecor_jax.untrusted.pictures import FORMATS, HEAD, picture_format

TEXT_SUFFIXES = (".txt", ".csv")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".dcm")
"""Suffixes of files that count as images without inspection; any other file is an image if its content is one."""
_NO_PICTURES = (".json", ".xml", ".md", ".html", ".yaml", ".yml", ".py", ".npy", ".npz")
_READ = ", ".join((*FORMATS, "DICOM"))


class Files:
    """The image and text files of a folder or zip; picklable, and safe to read from several threads.

    path: the root, for messages.
    members, texts: sorted relative paths, with `/`, of the images and of the texts. A file without a known
    suffix is an image if its first bytes are those of an image.
    skipped: the paths of all other files by reason: hidden files, unsupported image formats, files that are no images.
    Raises UserError if the path is missing, or neither a folder nor a zip.
    """

    def __init__(self, path: Path, expected: str):
        self.path = path
        self._archive = None
        unreadable: list[str] = []
        if path.is_dir():
            names = tuple(walk(path, unreadable))
        elif is_zip(path) or (path.suffix.lower() == ".zip" and path.exists()):
            self._archive = Archive(path)
            names = self._archive.names
        else:
            problem = "is a file of another kind" if path.exists() else "does not exist"
            raise UserError(f"{path} {problem}: expected {expected}")
        members, texts = [], []
        self.skipped: dict[str, list[str]] = {"in a folder that cannot be read": unreadable} if unreadable else {}
        for name in sorted(name for name in names if not name.endswith("/")):
            if any(folder.startswith(".") or folder == "__MACOSX" for folder in name.split("/")):
                self.skipped.setdefault("hidden", []).append(name)
            elif name.lower().endswith(TEXT_SUFFIXES):
                texts.append(name)
            elif name.lower().endswith(IMAGE_SUFFIXES) or not (reason := self._no_picture(name)):
                members.append(name)
            else:
                self.skipped.setdefault(reason, []).append(name)
        self.members, self.texts = tuple(members), tuple(texts)
        if self._archive:
            for name in self.members:
                self._archive.check(name)

    def _no_picture(self, name: str) -> str:
        """Returns why the content of a file is not a supported image; '' if it is."""
        # Files with these suffixes, such as labels, are not opened, because there may be thousands. DICOMDIR is an
        # index in DICOM format.
        if name.lower().endswith(_NO_PICTURES) or name.rpartition("/")[2] == "DICOMDIR":
            return "no picture"
        try:
            head = self._archive.head(name, HEAD) if self._archive else read_head(self.path / name, HEAD)
        except UserError:
            return "cannot be read"
        kind = picture_format(head, name)
        if kind in FORMATS or (not kind and dicom.is_dicom(head)):
            return ""
        return f"{kind} (not read)" if kind else "no picture"

    def read(self, member: str) -> bytes:
        """Returns the content of a member or text. Raises BadImage if it cannot be read."""
        try:
            return self._archive.read(member) if self._archive else read_bytes(self.path / member)
        except UserError as error:
            raise BadImage(str(error)) from error

    def apart_from(self, used: Sequence[str], below: str = "") -> dict[str, list[str]]:
        """Returns the unused files below a folder by reason: `skipped`, texts, and members that are not in `used`."""
        others = sorted(set(self.members) - set(used))
        skipped = {**self.skipped, "a list or text": self.texts, "not listed": others}
        chosen = {reason: [name for name in names if name.startswith(below)] for reason, names in skipped.items()}
        return {reason: names for reason, names in chosen.items() if names}


def open_files(path: Path) -> Files:
    """Opens the images of a folder or a zip. Raises UserError as `Files` does, or if there is no image."""
    files = Files(path, "a folder of images, a zip, or a directory written by ecor-jax prepare")
    _check_names(files, "images", files.members, f"read are {_READ}, by their content")
    return files


def open_texts(path: Path) -> Files:
    """Opens the texts of a folder or zip, such as reports. Raises UserError as `Files` does, or if there is none."""
    files = Files(path, "a folder of texts, or a zip")
    _check_names(files, "texts", files.texts, f"looked for files ending in {' '.join(TEXT_SUFFIXES)}")
    return files


def _check_names(files: Files, kind: str, names: Sequence[str], expected: str) -> None:
    if not names:
        found = "; ".join(f"{len(skipped)} {reason}: {some_of(skipped)}" for reason, skipped in files.skipped.items())
        raise UserError(f"no {kind} in {files.path}: {expected}; found {found or 'no file'}")
    if foreign := [name for name in names if not is_utf8(name)]:
        raise UserError(f"{files.path}: the name {os.fsencode(foreign[0])!r} is no UTF-8; rename it")


def read_picture(path: Path) -> bytes:
    """Reads an image file with any suffix. Raises UserError if it cannot be read."""
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a picture")
    return read_bytes(path)


def read_text(files: Files, member: str) -> str:
    """Decodes a text as UTF-8, else as Latin-1 (a few old reports), which assigns a character to every byte.

    Raises UserError if it cannot be read.
    """
    content = files.read(member)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def composed(path: str) -> str:
    """Returns the path in NFC, because macOS stores accents as separate characters."""
    return unicodedata.normalize("NFC", path)


def raise_missing(where: str, names: Sequence[str]) -> None:
    """Raises UserError if `where` lists images that do not exist (`names`): states their number and ten names."""
    if names:
        raise UserError(f"{where} names {len(names)} images that do not exist: {some_of(names)}")
