"""`LabelledFiles`, a source of image files with labels, and `label.txt` lists, which often accompany face crops."""

import posixpath
from collections.abc import Sequence

from ecor_jax.data.files import Files, composed, raise_missing
from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import distinct_names, normalise_name
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text

LIST_NAME = "label.txt"


class LabelledFiles(Source):
    """Image files of a folder or zip, with the category ('' if unknown) and the rationales of each.

    below: the folder of the images, with a trailing `/`; other files in it are `skipped`.
    """

    def __init__(
        self,
        files: Files,
        members: Sequence[str],
        categories: Sequence[str],
        rationales: Sequence[tuple[str, ...]] = (),
        below: str = "",
    ):
        self._files, self.origin = files, str(files.path)
        self.skipped = files.apart_from(members, below)
        self.names, self.categories = tuple(members), tuple(categories)
        self._rationales = tuple(rationales) or ((),) * len(members)

    def __getitem__(self, index: int) -> Record:
        name = self.names[index]
        category, rationales = self.categories[index], self._rationales[index]
        return Record(image=self._files.read(name), category=category, rationales=rationales, name=name)


def find_list(files: Files) -> str:
    """Returns the `label.txt` in the folder that contains all images, at the top or deeper; '' if there is none."""
    for name in sorted(files.texts, key=lambda name: name.count("/")):
        folder = name[: name.rfind("/") + 1]
        if name == folder + LIST_NAME and all(member.startswith(folder) for member in files.members):
            return name
    return ""


def open_list(files: Files, listing: str) -> LabelledFiles:
    """Opens the images of a list, in its order; its lines are `path<TAB>class`, paths relative to the list.

    Class names are normalised; an image may have several, as `one|another`. Paths are compared in NFC. Images that the
    list does not name are not part of the source.

    Raises UserError naming the list and the line if a line has another form, a path is repeated, or two classes are
    equal after normalisation; and naming the listed files that are missing.
    """
    where = f"{files.path}: {listing}"
    text = decode_text(files.read(listing), where)
    folder = posixpath.dirname(listing)
    members = {composed(member): member for member in files.members}
    lines: dict[str, int] = {}
    labels: list[list[str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        path, tab, label = line.rpartition("\t")
        names = [name.strip() for name in label.split("|")]
        if not (tab and path.strip() and all(map(normalise_name, names))):
            raise UserError(f"{where}, line {number}: found {line[:80]!r}; expected path<TAB>class")
        member = posixpath.normpath(posixpath.join(folder, composed(path.strip())))
        if lines.setdefault(member, number) != number:
            raise UserError(f"{where}, line {number}: {path.strip()} was given in line {lines[member]} already")
        labels.append(names)
    if not lines:
        raise UserError(f"{where} is empty; expected lines path<TAB>class")
    normalised = distinct_names((name for names in labels for name in names), where)
    raise_missing(where, [member for member in lines if member not in members])
    categories = ["|".join(normalised[name] for name in names) for names in labels]
    return LabelledFiles(files, [members[member] for member in lines], categories)
