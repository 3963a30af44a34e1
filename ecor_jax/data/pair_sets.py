"""Pairs of images of the same or of different people: the evaluation sets of face verification."""

import dataclasses
from pathlib import Path

import numpy as np

from ecor_jax.data.files import Files, composed, open_files, raise_missing
from ecor_jax.data.labelled_list import LabelledFiles
from ecor_jax.data.pickled_pairs import read_bin
from ecor_jax.data.records import Record, Source
from ecor_jax.data.sources import InMemory
from ecor_jax.data.tables import table_rows
from ecor_jax.data.vocabulary import distinct_names
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text, read_text

_CSV_COLUMNS = ("file_x", "file_y", "Decision")


@dataclasses.dataclass(frozen=True)
class PairSet:
    """P pairs of images; their order matters, because cross-validation uses consecutive pairs as folds."""

    name: str
    images: Source
    """Each image once."""
    first: np.ndarray
    second: np.ndarray
    """int64 [P] each: indices into `images`."""
    same: np.ndarray
    """bool [P]: whether both images show the same person."""


def open_pairs(name: str, path: str | Path, images: str | Path = "") -> PairSet:
    """Reads the pairs that a file lists, in its order.

    Args:
        name: the name of the set, for tables.
        path: one of
            - insightface's `.bin`, which contains its images; images with equal bytes are stored once;
            - LFW's `pairs.txt`: a line `folds<TAB>pairs` (in the development sets only `pairs`), then for each fold
              `pairs` lines `name<TAB>number<TAB>number` for the same person and `pairs` lines
              `name<TAB>number<TAB>name<TAB>number` for two people (other white space is accepted if no name contains
              white space); an image is the file `name/name_0001` with any suffix, and its category is the name;
            - a `.csv` with the columns file_x, file_y (paths, or the last parts of them) and Decision (Yes or No);
            - a zip with one such `.csv` and its images.
        images: the folder or zip with the images of a `.txt` or `.csv`; '' if they are in `path` itself.

    Raises UserError if a file is missing, of another kind or damaged (naming the line), if a pickle names anything but
    arrays, or if images do not exist (all are counted, ten named) or exist twice.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".bin":
        if images:
            raise UserError(f"{path} holds its images: expected no other path to images, found {images}")
        return _of_bin(name, path)
    if kind == ".zip" and not images:
        files = open_files(path)
        where, table = _only_table(files)
        return _of_csv(name, where, table, files)
    if kind not in (".txt", ".csv"):
        raise UserError(f"{path}: pairs are read from a .bin, .txt (as LFW's) or .csv, or a .zip with a .csv")
    if not images:
        raise UserError(f"{path} holds no images: give the folder or zip that does")
    text = read_text(path)
    read = _of_lfw if kind == ".txt" else _of_csv
    return read(name, str(path), text, open_files(Path(images)))


def pairs_within(name: str, source: Source, seed: int) -> PairSet:
    """Forms all pairs of images with the same category, and as many with different ones (all, if there are fewer).

    Pairs with different categories are drawn without replacement. Both kinds are spread evenly, so that any stretch of
    the order has nearly the same share of each. Pairs of one person are adjacent, so that the folds of a
    cross-validation share few people. The result depends only on the order of `source` and the seed.

    Raises UserError if a category is unknown or one of the two kinds has no pair.
    """
    categories = source.categories
    if unknown := sum(not category for category in categories):
        raise UserError(f"{unknown} of {len(categories)} images in {source.origin} have no category: no pairs to tell")
    _, codes = np.unique(np.asarray(categories), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    place = np.arange(len(order))
    ends = np.searchsorted(codes[order], codes[order], "right")  # the end of each image's category in `order`
    same = _partners(place + 1, ends - place - 1, slice(None))
    count = int((len(order) - ends).sum())
    if not len(same[0]) or not count:
        kind = "of the same category" if count else "of different categories"
        raise UserError(f"the {len(order)} images in {source.origin} form no pair {kind}")
    drawn = np.random.default_rng(seed).choice(count, min(count, len(same[0])), replace=False)
    different = _partners(ends, len(order) - ends, drawn)
    places = [(np.arange(len(pairs[0])) + 0.5) / len(pairs[0]) for pairs in (same, different)]
    spread = np.argsort(np.concatenate(places), kind="stable")
    first, second = (order[np.concatenate([same[side], different[side]])[spread]] for side in (0, 1))
    return PairSet(name, source, first, second, spread < len(same[0]))


def _partners(starts: np.ndarray, counts: np.ndarray, chosen: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chosen ones of all pairs (i, starts[i] + k) with 0 <= k < counts[i], ordered by i and k."""
    before = np.cumsum(counts) - counts
    numbers = np.arange(counts.sum())[chosen] if isinstance(chosen, slice) else chosen
    first = np.searchsorted(before + counts, numbers, "right")
    return first, starts[first] + numbers - before[first]


def _of_bin(name: str, path: Path) -> PairSet:
    contents, same = read_bin(path)
    number_of = {content: number for number, content in enumerate(dict.fromkeys(contents))}
    numbers = np.asarray([number_of[content] for content in contents], np.int64)
    places = np.unique(numbers, return_index=True)[1].tolist()
    records = [Record(image=contents[k], category="", rationales=(), name=f"image {k} of {path.name}") for k in places]
    source = InMemory(records, str(path))
    again = sorted(set(range(len(contents))) - set(places))
    source.skipped = {"the same picture again": [f"image {place}" for place in again]} if again else {}
    return PairSet(name, source, numbers[::2], numbers[1::2], same)


def _of_lfw(name: str, where: str, text: str, files: Files) -> PairSet:
    lines = [
        (number, [field.strip() for field in line.split("\t")] if "\t" in line.strip() else line.split())
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    head = lines[0][1] if lines else []
    if len(head) not in (1, 2) or not all(map(_is_count, head)):
        shown = " ".join(head)[:80]
        raise UserError(f"{where}, line 1: found {shown!r}; expected folds and pairs, or the number of pairs")
    pairs: list[tuple[str, str, bool]] = []
    for number, fields in lines[1:]:
        names, numbers = (fields[:1] * 2, fields[1:]) if len(fields) == 3 else (fields[::2], fields[1::2])
        if len(fields) not in (3, 4) or not all(map(_is_count, numbers)):
            expected = "name, number, number or name, number, name, number, with tabs between them"
            raise UserError(f"{where}, line {number}: found {' '.join(fields)[:80]!r}; expected {expected}")
        first, second = (f"{person}/{person}_{int(k):04}" for person, k in zip(names, numbers, strict=True))
        pairs.append((first, second, len(fields) == 3))
    folds, half = map(int, head if len(head) == 2 else (1, *head))
    for kind, count in (("same", sum(same for *_, same in pairs)), ("different", sum(not same for *_, same in pairs))):
        if count != folds * half:
            expected = f"{folds * half}, {half} in each of {folds} folds, by its first line"
            raise UserError(f"{where}: found {count} pairs of {kind} people; expected {expected}")
    stems = {member: member.rpartition(".")[0] for member in files.members}
    return _of_names(name, where, pairs, files, stems, people=True)


def _is_count(field: str) -> bool:
    return field.isdecimal() and len(field) < 10


def _of_csv(name: str, where: str, text: str, files: Files) -> PairSet:
    pairs = []
    for line, row in table_rows(text, where, _CSV_COLUMNS):
        first, second, decision = (row[column] for column in _CSV_COLUMNS)
        if not (first and second) or decision not in ("Yes", "No"):
            shown = ", ".join((first, second, decision))[:80]
            raise UserError(f"{where}, line {line}: found {shown!r}; expected two paths and Yes or No")
        pairs.append((first, second, decision == "Yes"))
    return _of_names(name, where, pairs, files, {member: member for member in files.members}, people=False)


def _of_names(
    name: str, where: str, pairs: list[tuple[str, str, bool]], files: Files, paths: dict[str, str], people: bool
) -> PairSet:
    """Builds a PairSet from pairs of image names; a name is the end of exactly one of `paths`, {member: path}.

    people: whether the last folder of a name is the person.
    """
    if not pairs:
        raise UserError(f"{where} lists no pairs")
    pairs = [(composed(first), composed(second), same) for first, second, same in pairs]
    members_of: dict[str, list[str]] = {image: [] for first, second, _ in pairs for image in (first, second)}
    for member, path in paths.items():
        folders = composed(path).split("/")
        for start in range(len(folders)):
            if (ending := "/".join(folders[start:])) in members_of:
                members_of[ending].append(member)
    raise_missing(where, [image for image, members in members_of.items() if not members])
    if twice := next((members for members in members_of.values() if len(members) > 1), None):
        raise UserError(f"{where}: {files.path} has two images of one name, {twice[0]} and {twice[1]}")
    number_of = {image: number for number, image in enumerate(members_of)}
    persons = [image.split("/")[-2] if people else "" for image in members_of]
    name_of = distinct_names(persons, where) if people else {"": ""}
    return PairSet(
        name,
        LabelledFiles(files, [members[0] for members in members_of.values()], [name_of[person] for person in persons]),
        np.asarray([number_of[first] for first, _, _ in pairs], np.int64),
        np.asarray([number_of[second] for _, second, _ in pairs], np.int64),
        np.asarray([same for *_, same in pairs], bool),
    )


def _only_table(files: Files) -> tuple[str, str]:
    """Returns the path (for messages) and the text of the only `.csv` with the columns of pairs."""
    tables = []
    for member in files.texts:
        where = f"{files.path}: {member}"
        if member.lower().endswith(".csv"):
            text = decode_text(files.read(member), where)
            header = text.partition("\n")[0].split(",")
            if set(_CSV_COLUMNS) <= {name.strip('" \r') for name in header}:
                tables.append((where, text))
    if len(tables) != 1:
        raise UserError(
            f"{files.path}: found {len(tables)} .csv files with the columns {', '.join(_CSV_COLUMNS)}; expected one"
        )
    return tables[0]
