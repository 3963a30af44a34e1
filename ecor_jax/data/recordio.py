"""`RecordIO`: the images of an MXNet `.rec` as a `Source`: MS1MV2 and the other face sets that insightface packs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecor_jax.data.recordio_file import BrokenRecord, RecordFile, read_index
from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.errors import UserError

EXACT = 1 << 24
"""Integers above 2^24 are not all exact in float32, so labels cannot store larger keys."""


class RecordIO(Source):
    """The images of the `.rec` at `path`, in the order of their keys; its `.idx` must be in the same folder.

    In insightface's layout (src/data/face2rec2.py) record 0 has two labels, [first, end], and no image. The keys 1 to
    first - 1 are images, and each of the keys first to end - 1 is an identity with two labels [a, b], whose images are
    a to b - 1. In any other file all records are images.

    The category of an image is its own label (the first of several), an integer as text, which is the label that
    insightface trains with. The constructor learns the categories from the headers of the images: of an identity it
    reads only the first and the last one if their labels agree, and otherwise all. Reading an image compares its label
    with the category found this way. The category of an image with an unreadable header is ''.

    Safe for many threads; a pickled copy reopens the file. Reading raises BadImage if a record is broken, has no image,
    or has another label than its category.

    Raises UserError, naming file and record, if the `.rec` is missing, truncated or of another format; if the `.idx` is
    missing, damaged, points beyond the end of the `.rec` or lacks keys that record 0 announces; if record 0 or an
    identity is broken; or if there is no image.
    """

    def __init__(self, path: str | Path):
        self.path, self.origin = Path(path), str(path)
        self._file = RecordFile(self.path)
        self._index = self.path.with_suffix(".idx")
        keys, starts = read_index(self._index)
        self._check_ends(keys, starts)
        bounds = self._bounds(keys, starts)
        if bounds is None:
            self._keys, self._starts = keys, starts
            labels, _ = self._read_labels(starts)
        elif max(bounds) > EXACT:
            labels, images = self._read_labels(starts)
            self._keys, self._starts, labels = keys[images], starts[images], labels[images]
        else:
            self._starts = self._starts_of(keys, starts, range(1, bounds[0]), "images")
            self._keys = np.arange(1, bounds[0])
            labels = self._labels_by_identity(keys, starts, range(*bounds))
        self.categories = tuple(labels.tolist())
        if not any(self.categories):
            raise UserError(f"{path}: none of its {len(labels)} images has a readable label")

    def __getitem__(self, index: int) -> Record:
        name = f"record {self._keys[index]} of {self.path.name}"
        try:
            labels, image = self._file.labels_and_image(int(self._starts[index]))
            category, expected = _category(labels), self.categories[index]
            if category != expected:
                raise BrokenRecord(f"found the label {category}; expected {expected or 'none'}, as on opening the file")
            if not image:
                raise BrokenRecord("it holds no image")
        except BrokenRecord as error:
            raise BadImage(f"{name} cannot be read: {error}") from error
        return Record(image=image, category=category, rationales=(), name=name)

    def _check_ends(self, keys: np.ndarray, starts: np.ndarray) -> None:
        """Checks that the index fits the length of the file and that the first and the last record are complete."""
        if len(beyond := np.flatnonzero(starts >= self._file.size)):
            raise UserError(
                f"{self.path} ends at byte {self._file.size}, but {len(beyond)} of {len(keys)} records in "
                f"{self._index.name} start there or beyond, as record {keys[beyond[0]]} at byte {starts[beyond[0]]}: "
                "the file is cut off, or the index is of another file"
            )
        for place in (int(starts.argmin()), int(starts.argmax())):
            with self._needed(keys[place]):
                self._file.labels_and_image(starts[place])

    def _bounds(self, keys: np.ndarray, starts: np.ndarray) -> tuple[int, int] | None:
        """Returns (first, end) of the identity keys from record 0 of insightface's layout; None for other layouts."""
        if keys[0] != 0:
            return None
        with self._needed(0):
            labels, size = self._file.labels_and_size(starts[0])
            if size:
                return None
            first, end = _pair(labels)
        if first < 2:
            raise UserError(f"{self.path}: record 0 puts the first identity at key {first}, which leaves no image")
        return first, end

    def _labels_by_identity(self, keys: np.ndarray, starts: np.ndarray, identities: range) -> np.ndarray:
        """Returns the categories of the images, by identity, or by each image's header if the identity is ambiguous."""
        categories, known = np.full(len(self._keys), "", object), np.zeros(len(self._keys), bool)
        if len(identities) and _count(keys, identities):  # shuffled sets have no identity records
            ranges = self._starts_of(keys, starts, identities, "identities").tolist()
            for key, start in tqdm(list(zip(identities, ranges, strict=True)), "identities", delay=2):
                with self._needed(key):
                    a, b = self._range(start, identities.start)
                ends = {self._label(int(self._starts[image - 1]))[0] for image in (a, b - 1) if a < b}
                if len(ends) == 1 and "" not in ends:
                    categories[a - 1 : b - 1] = ends.pop()
                    known[a - 1 : b - 1] = True
        categories[~known] = self._read_labels(self._starts[~known])[0]
        return categories

    def _range(self, start: int, first: int) -> tuple[int, int]:
        """Returns the first image and the end of the images of an identity; `first`: key of the first identity."""
        a, b = _pair(self._file.labels_and_size(start)[0])
        if not 1 <= a <= b <= first:
            raise BrokenRecord(f"found an identity with the images {a} to {b - 1}; expected keys from 1 to {first - 1}")
        return a, b

    def _read_labels(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the category of each record at `starts`, as str objects, and bool: it has an image or is broken."""
        categories, images = np.full(len(starts), "", object), np.zeros(len(starts), bool)
        shared: dict[str, str] = {}  # images of an identity share one string
        for place, start in enumerate(tqdm(starts.tolist(), "reading labels", delay=2, unit="image")):
            category, images[place] = self._label(start)
            categories[place] = shared.setdefault(category, category)
        return categories, images

    def _label(self, start: int) -> tuple[str, bool]:
        try:
            labels, size = self._file.labels_and_size(start)
            return _category(labels), size > 0
        except BrokenRecord:
            return "", True

    def _starts_of(self, keys: np.ndarray, starts: np.ndarray, wanted: range, kind: str) -> np.ndarray:
        """Returns the byte offsets of the records with these keys; `keys` are sorted."""
        present = _count(keys, wanted)
        if lacking := len(wanted) - present:
            # A file may announce more keys than fit into memory; the first missing ones are in this range.
            first = np.arange(wanted.start, min(wanted.stop, wanted.start + present + 10))
            missing = first[~np.isin(first, keys)].tolist()[:10]
            more = f" and {lacking - len(missing)} more" if lacking > len(missing) else ""
            raise UserError(
                f"{self._index} lacks {lacking} of the {len(wanted)} {kind} that record 0 of {self.path.name} "
                f"announces: {', '.join(map(str, missing))}{more}"
            )
        return starts[np.searchsorted(keys, np.arange(wanted.start, wanted.stop))]

    @contextlib.contextmanager
    def _needed(self, key: int) -> Iterator[None]:
        """Turns BrokenRecord into UserError: the set cannot be read without the record of this key."""
        try:
            yield
        except BrokenRecord as error:
            raise UserError(f"{self.path}: record {key} is broken: {error}") from error


def _count(keys: np.ndarray, wanted: range) -> int:
    """Returns how many of the sorted, distinct `keys` are in a range."""
    return int(np.searchsorted(keys, wanted.stop) - np.searchsorted(keys, wanted.start))


def _category(labels: tuple[float, ...]) -> str:
    return str(_whole(labels[0]))


def _pair(labels: tuple[float, ...]) -> tuple[int, int]:
    if len(labels) != 2:
        raise BrokenRecord(f"found {len(labels)} labels and no image; expected the two keys of a range")
    return _whole(labels[0]), _whole(labels[1])


def _whole(label: float) -> int:
    if not (label >= 0 and label.is_integer()):
        raise BrokenRecord(f"found the label {label:g}; expected a whole number")
    return int(label)
