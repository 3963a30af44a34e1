"""The image files of a folder or of a zip, by their paths within it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError
from ecor_jax.untrusted.archives import Archive, is_zip
from ecor_jax.untrusted.files import is_utf8, read_bytes, walk

TEXT_SUFFIXES = (".txt", ".csv")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".dcm")


class Files:
    """The image files and texts of a folder or zip; picklable, and safe to read from several threads.

    path: the root, for messages.
    members, texts: paths below the root, with `/`, sorted, of the images, and of the lists and tables beside them.
    Hidden files, `__MACOSX` and files without a known suffix are ignored. UserError if the path is missing, or neither
    a folder nor a zip.
    """

    def __init__(self, path: Path, expected: str):
        self.path = path
        self._archive = None
        if path.is_dir():
            names = tuple(walk(path))
        elif is_zip(path) or (path.suffix.lower() == ".zip" and path.exists()):
            self._archive = Archive(path)
            names = self._archive.names
        else:
            problem = "is a file of another kind" if path.exists() else "does not exist"
            raise UserError(f"{path} {problem}: expected {expected}")
        self.members, self.texts = _ending(names, IMAGE_SUFFIXES), _ending(names, TEXT_SUFFIXES)
        if self._archive:
            for name in self.members:
                self._archive.check(name)

    def read(self, member: str) -> bytes:
        """The content of a member or text. Raises BadImage if it cannot be read."""
        try:
            return self._archive.read(member) if self._archive else read_bytes(self.path / member)
        except UserError as error:
            raise BadImage(str(error)) from error


def _ending(names: Iterable[str], suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """The names with one of the suffixes that lie below no hidden folder, sorted."""

    def visible(name: str) -> bool:
        return not any(folder.startswith(".") or folder == "__MACOSX" for folder in name.split("/"))

    return tuple(sorted(name for name in names if name.lower().endswith(suffixes) and visible(name)))


def open_files(path: Path) -> Files:
    """The images of a folder or a zip. UserError as of `Files`, and if there is no image."""
    files = Files(path, "a folder of images, a zip, or a directory written by ecor-jax prepare")
    _check_names(path, "images", files.members, IMAGE_SUFFIXES)
    return files


def open_texts(path: Path) -> Files:
    """A folder or zip for the sake of its texts, reports for one. UserError as of `Files`, and if there is no text."""
    files = Files(path, "a folder of texts, or a zip")
    _check_names(path, "texts", files.texts, TEXT_SUFFIXES)
    return files


def _check_names(path: Path, kind: str, names: Sequence[str], suffixes: Sequence[str]) -> None:
    if not names:
        raise UserError(f"no {kind} in {path}: looked for files ending in {' '.join(suffixes)}")
    if foreign := [name for name in names if not is_utf8(name)]:
        raise UserError(f"{path}: the name {os.fsencode(foreign[0])!r} is no UTF-8; rename it")


def read_picture(path: Path) -> bytes:
    """The content of a file that is to be a picture, whatever its name. UserError if it cannot be read."""
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a picture")
    return read_bytes(path)


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
