"""Image files with labels, and lists of them beside the images, `label.txt`: aligned face crops often come so."""

import posixpath
from collections.abc import Sequence

from absl import logging

from ecor_jax.data.files import Files, raise_missing
from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text

LIST_NAME = "label.txt"


class LabelledFiles(Source):
    """Some image files of a folder or zip, with the category ('' if unknown) of each, and its rationales."""

    def __init__(
        self,
        files: Files,
        members: Sequence[str],
        categories: Sequence[str],
        rationales: Sequence[tuple[str, ...]] = (),
    ):
        self._files, self.origin = files, str(files.path)
        self.names, self.categories = tuple(members), tuple(categories)
        self._rationales = tuple(rationales) or ((),) * len(members)

    def __getitem__(self, index: int) -> Record:
        name = self.names[index]
        return Record(
            image=self._files.read(name),
            category=self.categories[index],
            rationales=self._rationales[index],
            name=name,
        )


def find_list(files: Files) -> str:
    """The `label.txt` in the folder that holds all images, at the top or further down; '' if there is none."""
    for name in sorted(files.texts, key=lambda name: name.count("/")):
        folder = name[: name.rfind("/") + 1]
        if name == folder + LIST_NAME and all(member.startswith(folder) for member in files.members):
            return name
    return ""


def open_list(files: Files, listing: str) -> LabelledFiles:
    """The images that a list names, in its order; its lines are `path<TAB>class`, paths relative to the list.

    Classes are normalised. Images that the list does not name are no part of the source; their number is logged.

    Raises UserError naming the list and the line for a line of another form, a path given twice, or two classes
    that are the same once normalised; and naming the listed files that are missing.
    """
    where = f"{files.path}: {listing}"
    text = decode_text(files.read(listing), where)
    folder = posixpath.dirname(listing)
    lines: dict[str, int] = {}
    categories: list[str] = []
    spelled: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        path, tab, label = line.rpartition("\t")
        name = normalise_name(label)
        if not (tab and path.strip() and name):
            raise UserError(f"{where}, line {number}: found {line[:80]!r}; expected path<TAB>class")
        member = posixpath.normpath(posixpath.join(folder, path.strip()))
        if lines.setdefault(member, number) != number:
            raise UserError(f"{where}, line {number}: {path.strip()} was given in line {lines[member]} already")
        if spelled.setdefault(name, label.strip()) != label.strip():
            both = f"{spelled[name]!r} and {label.strip()!r}"
            raise UserError(f"{where}, line {number}: the classes {both} are the same, {name!r}, once normalised")
        categories.append(name)
    if not lines:
        raise UserError(f"{where} is empty; expected lines path<TAB>class")
    members = set(files.members)
    raise_missing(where, [member for member in lines if member not in members])
    if more := len(files.members) - len(lines):
        logging.warning("%s: %d images are not listed and left out", where, more)
    return LabelledFiles(files, tuple(lines), categories)
