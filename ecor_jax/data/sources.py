"""Sources built from records or from other sources: subsets, concatenations, and sources with renamed classes."""

import bisect
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError


class InMemory(Source):
    """A source of records that are in memory."""

    def __init__(self, records: Sequence[Record], origin: str):
        self._records, self.origin = records, origin
        self.categories = tuple(record["category"] for record in records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]


class Concatenated(Source):
    """The concatenation of several sources."""

    def __init__(self, sources: Sequence[Source]):
        self._sources = tuple(sources)
        self._starts = [0, *itertools.accumulate(map(len, sources))]
        self.origin = ", ".join(source.origin for source in sources)
        self.categories = tuple(itertools.chain.from_iterable(source.categories for source in sources))
        self.skipped: dict[str, list[str]] = {}
        for reason, names in itertools.chain.from_iterable(source.skipped.items() for source in sources):
            self.skipped.setdefault(reason, []).extend(names)

    def __getitem__(self, index: int) -> Record:
        number = bisect.bisect_right(self._starts, index) - 1
        return self._sources[number][index - self._starts[number]]


class Renamed(Source):
    """A source with renamed categories.

    Raises UserError if an alias names a class that the source does not have.
    """

    def __init__(self, source: Source, aliases: Mapping[str, str]):
        new_names = {normalise_name(old): normalise_name(new) for old, new in aliases.items()}
        if unknown := sorted(set(new_names) - set(source.classes)):
            raise UserError(f"{source.origin} has no class to rename: {', '.join(map(repr, unknown))}")
        self._source, self.origin = source, source.origin
        self.categories = tuple(new_names.get(name, name) for name in source.categories)

    def __getitem__(self, index: int) -> Record:
        return {**self._source[index], "category": self.categories[index]}


class Subset(Source):
    """A subset of the records of a source, given by indices, in that order."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self._source, self.origin = source, source.origin
        self._indices = np.asarray(indices, np.int64)
        self.categories = tuple(source.categories[index] for index in self._indices)

    def __getitem__(self, index: int) -> Record:
        return self._source[int(self._indices[index])]


def without_classes(source: Source, names: Sequence[str]) -> Subset:
    """Returns the records of a source whose category is not among `names`."""
    unwanted = set(names)
    return Subset(source, [index for index, name in enumerate(source.categories) if name not in unwanted])


def split_by_class(source: Source, *, holdout: float, seed: int) -> tuple[Subset, Subset]:
    """Splits a source into train and test; the test split gets `holdout` of every class (rounded, at least one image).

    The result depends only on the order of the source and the seed. Raises UserError if `holdout` is not between 0 and
    1, or if classes have too few images for both splits (the message names them).
    """
    if not 0 < holdout < 1:
        raise UserError(f"data.holdout is {holdout}; expected a share between 0 and 1")
    images_of: dict[str, list[int]] = {}
    for index, category in enumerate(source.categories):
        images_of.setdefault(category, []).append(index)
    test: list[int] = []
    small: list[str] = []
    for name, images in sorted(images_of.items()):
        count = max(1, round(holdout * len(images)))
        test += np.random.default_rng([seed, *name.encode()]).permutation(images)[:count].tolist()
        small += [f"{name} ({len(images)})"] if count >= len(images) else []
    if small:
        raise UserError(
            f"a holdout of {holdout} leaves no image to train on in {len(small)} classes: {', '.join(small)}"
        )
    train = sorted(set(range(len(source))) - set(test))
    return Subset(source, train), Subset(source, sorted(test))
