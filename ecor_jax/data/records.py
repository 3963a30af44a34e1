"""What a source of pictures is and what it yields; arrays in its place; and what becomes of bad pictures."""

import abc
import functools
import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypedDict

import numpy as np

from ecor_jax.errors import UserError

Example = dict[str, np.ndarray]
"""The arrays of one example, by name."""
OnBadImage = Literal["error", "skip"]
SKIP_OPTION = "--config.data.on_bad_image=skip"


class BadImage(UserError):
    """One image that cannot be read or decoded: the message names it and says why."""


def raise_bad_images(
    bad: list[BadImage], count: int, origin: str, on_bad_image: OnBadImage, option: str = SKIP_OPTION
) -> None:
    """UserError about the unreadable ones of `count` images, unless they may be skipped and leave others."""
    if bad and (on_bad_image == "error" or len(bad) == count):
        named = "; ".join(map(str, bad[:10])) + (f"; and {len(bad) - 10} more" if len(bad) > 10 else "")
        hint = "" if len(bad) == count else f" ({option} leaves them out)"
        raise UserError(f"{len(bad)} of {count} images in {origin} cannot be read: {named}{hint}")


class Labels(TypedDict):
    """What is known about a picture; texts are normalised (`vocabulary.normalise_name`)."""

    category: str
    """Name of its class; '' if unknown."""
    rationales: tuple[str, ...]
    """Gold rationales of this very image; () where only its class's list is known."""
    name: str
    """Path within its source, for messages."""


class Record(TypedDict):
    """One picture with what is known about it: `Labels`, and the picture."""

    # Written out again: pdoc does not find where the fields of a TypedDict are inherited from.
    category: str
    rationales: tuple[str, ...]
    name: str
    image: bytes | np.ndarray
    """The original picture: bytes of an image file, or decoded, uint8 [height, width, 3]."""


class Preprocessed(TypedDict):
    """What a vision tower looks at, with what is known about the picture: `Labels`, and its pixels."""

    category: str
    rationales: tuple[str, ...]
    name: str
    pixels: np.ndarray
    """uint8 [size, size, 3]."""


class Source(abc.ABC):
    """Random access to records in a fixed order; picklable, and safe to read from several threads."""

    origin: str
    """Where the records come from, for messages."""
    categories: tuple[str, ...]
    """The category of every record, in order, known without reading an image."""
    skipped: Mapping[str, Sequence[str]] = MappingProxyType({})
    """Of a reader, the files that it found and that are none of its records, by reason."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct categories, sorted; without ''."""
        return tuple(sorted(set(self.categories) - {""}))

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The name of every record, in order; some sources know them without reading an image."""
        return tuple(self.load(index)["name"] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.categories)

    def fingerprint(self) -> list[object]:
        """Plain values that are others for another set, as far as that is known by the labels and a few pictures."""
        looked_at: list[object] = []
        for index in np.unique(np.linspace(0, len(self) - 1, 4, dtype=int)).tolist() if len(self) else ():
            try:
                image = self[index]["image"]
                looked_at.append(hashlib.sha256(image if isinstance(image, bytes) else image.tobytes()).hexdigest())
            except BadImage as error:
                looked_at.append(str(error))
        return [self.categories, looked_at]

    @abc.abstractmethod
    def __getitem__(self, index: int) -> Record:
        """Raises BadImage if this record cannot be read."""

    def load(self, index: int) -> Record | Preprocessed:
        """What an encoder takes: the record, or what it was preprocessed to where that is in memory already."""
        return self[index]


class Arrays:
    """Examples that are arrays already, [N, ...] each; `pipeline.train_batches` takes them without an encoder."""

    def __init__(self, columns: Mapping[str, np.ndarray], origin: str):
        self._columns, self.origin = columns, origin

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def load(self, index: int) -> Example:
        return {name: column[index] for name, column in self._columns.items()}
