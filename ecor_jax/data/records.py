"""The interface of image sources: `Source`, the records it yields, and the errors for unreadable images."""

import abc
import functools
import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypedDict

import numpy as np
from jaxtyping import UInt64

from ecor_jax.errors import UserError

Example = dict[str, np.ndarray]
"""The arrays of one example, keyed by name."""
OnBadImage = Literal["error", "skip"]
SKIP_OPTION = "--config.data.on_bad_image=skip"


class BadImage(UserError):
    """An error for one image that cannot be read or decoded; the message names the image and the reason."""


def raise_bad_images(
    bad: list[BadImage], count: int, origin: str, on_bad_image: OnBadImage, option: str = SKIP_OPTION
) -> None:
    """Raises UserError for the unreadable images among `count`, unless they may be skipped and others are readable."""
    if bad and (on_bad_image == "error" or len(bad) == count):
        named = "; ".join(map(str, bad[:10])) + (f"; and {len(bad) - 10} more" if len(bad) > 10 else "")
        hint = "" if len(bad) == count else f" ({option} leaves them out)"
        raise UserError(f"{len(bad)} of {count} images in {origin} cannot be read: {named}{hint}")


class Labels(TypedDict):
    """The labels of an image. All texts are normalised by `vocabulary.normalise_name`."""

    category: str
    """The name of its class; '' if unknown."""
    rationales: tuple[str, ...]
    """The gold rationales of this image; () if rationales are known only for its class."""
    name: str
    """The path of the image within its source, for messages."""


class Record(TypedDict):
    """An image with its `Labels`."""

    # Repeated from Labels, because pdoc does not find inherited fields of a TypedDict.
    category: str
    rationales: tuple[str, ...]
    name: str
    image: bytes | np.ndarray
    """The original image: the bytes of an image file, or the decoded uint8 [height, width, 3] array."""


class Preprocessed(TypedDict):
    """The pixels that a vision tower takes, with the `Labels` of the image."""

    category: str
    rationales: tuple[str, ...]
    name: str
    pixels: np.ndarray
    """uint8 [size, size, 3]."""


def digest(image: bytes | np.ndarray) -> int:
    """Returns 64 bits of the BLAKE2b digest of the bytes of an image file, or of the array of a decoded image."""
    content = image if isinstance(image, bytes) else image.tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


class Source(abc.ABC):
    """A random-access sequence of records in a fixed order; picklable and safe to read from several threads."""

    origin: str
    """The origin of the records, for messages."""
    categories: tuple[str, ...]
    """The category of every record, in order; known without reading an image."""
    skipped: Mapping[str, Sequence[str]] = MappingProxyType({})
    """The files that a reader found but does not serve as records, grouped by reason."""

    digests: UInt64[np.ndarray, "N"] | None = None
    """The digest of every image (`digest`) if all images have been read; otherwise None."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the distinct categories, sorted, without ''."""
        return tuple(sorted(set(self.categories) - {""}))

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Returns the name of every record, in order; some sources know the names without reading an image."""
        return tuple(self.load(index)["name"] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.categories)

    def fingerprint(self) -> list[object]:
        """Returns plain values that identify the set: the categories and the digests of up to four spread images."""
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
        """Returns the record; raises BadImage if it cannot be read."""

    def load(self, index: int) -> Record | Preprocessed:
        """Returns the input of an encoder: the record, or its preprocessed form if that is in memory already."""
        return self[index]


class Arrays:
    """Examples that are stored as arrays of shape [N, ...]; `pipeline.train_batches` reads them without an encoder."""

    def __init__(self, columns: Mapping[str, np.ndarray], origin: str):
        self._columns, self.origin = columns, origin

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def load(self, index: int) -> Example:
        return {name: column[index] for name, column in self._columns.items()}
