"""What every source of images yields, and what a source is."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

import numpy as np

from ecor_jax.errors import UserError


class BadImage(UserError):
    """One image that cannot be read or decoded: the message names it and says why."""


class Record(TypedDict):
    """One picture with what is known about it; texts are normalised (`vocabulary.normalise_name`)."""

    image: bytes | np.ndarray
    """Bytes of an image file, or a decoded and preprocessed picture uint8 [size, size, 3]."""
    category: str
    """Name of its class; '' if unknown."""
    rationales: tuple[str, ...]
    """Gold rationales of this very image; () where only its class's list is known."""
    name: str
    """Path within its source, for messages."""


class Source(Protocol):
    """Random access to records in a fixed order; picklable, and safe to read from several threads."""

    origin: str = "the data"
    """Where the records come from, for messages."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The category of every record, in order, known without reading an image."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct categories, sorted; without ''."""
        return tuple(sorted(set(self.categories) - {""}))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every record, in order; some sources know them without reading an image."""
        return tuple(self[row]["name"] for row in range(len(self)))

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """Raises BadImage if this record cannot be read."""
        ...


class InOrder(Source):
    """Records that are in memory already."""

    def __init__(self, records: Sequence[Record], origin: str):
        self._records, self.origin = records, origin

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(record["category"] for record in self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]


class InMemory(Source):
    """Decoded pictures uint8 [N, size, size, 3], and for each its category, rationales and name."""

    def __init__(
        self,
        images: np.ndarray,
        categories: tuple[str, ...],
        rationales: tuple[tuple[str, ...], ...],
        names: tuple[str, ...],
        origin: str,
    ):
        self._images, self._categories, self._rationales, self._names = images, categories, rationales, names
        self.origin = origin

    @property
    def categories(self) -> tuple[str, ...]:
        return self._categories

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Record:
        return Record(
            image=self._images[index],
            category=self._categories[index],
            rationales=self._rationales[index],
            name=self._names[index],
        )
