"""Sources made of records at hand, or of other sources: a part, several as one, with classes under other names."""

import bisect
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError


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


class Concatenated(Source):
    """The records of one source after another's."""

    def __init__(self, sources: Sequence[Source]):
        self.sources = tuple(sources)
        self.origin = ", ".join(source.origin for source in sources)
        self.ends = list(itertools.accumulate(len(source) for source in sources))

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(source.categories for source in self.sources))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Record:
        part = bisect.bisect_right(self.ends, index)
        return self.sources[part][index - (self.ends[part - 1] if part else 0)]


class Renamed(Source):
    """A source whose categories go by other names.

    Raises UserError for an alias of a class that the source does not have.
    """

    def __init__(self, source: Source, aliases: Mapping[str, str]):
        self._source = source
        self.origin = source.origin
        self._aliases = {normalise_name(old): normalise_name(new) for old, new in aliases.items()}
        if unknown := sorted(set(self._aliases) - set(source.classes)):
            raise UserError(f"{source.origin} has no class to rename: {', '.join(map(repr, unknown))}")
        self._categories = tuple(self._aliases.get(name, name) for name in source.categories)

    @property
    def categories(self) -> tuple[str, ...]:
        return self._categories

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        return {**self._source[index], "category": self._categories[index]}


class Subset(Source):
    """Some records of a source, by their indices, in the order given."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self._source = source
        self._indices = np.asarray(indices, np.int64)
        self.origin = source.origin
        categories = source.categories
        self._categories = tuple(categories[index] for index in self._indices)

    @property
    def categories(self) -> tuple[str, ...]:
        return self._categories

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Record:
        return self._source[int(self._indices[index])]


def without_classes(source: Source, names: Sequence[str]) -> Subset:
    """The records of a source whose category is none of `names`."""
    unwanted = set(names)
    return Subset(source, [row for row, name in enumerate(source.categories) if name not in unwanted])


def split_by_class(source: Source, *, holdout: float, seed: int) -> tuple[Subset, Subset]:
    """A training part and a test part, of `holdout` of every class (rounded, at least one image of each).

    Depends on nothing but the order of the source and the seed. Raises UserError for a share outside 0 to 1,
    and naming the classes that have too few images for both parts.
    """
    if not 0 < holdout < 1:
        raise UserError(f"data.holdout is {holdout}; expected a share between 0 and 1")
    rows_of: dict[str, list[int]] = {}
    for row, category in enumerate(source.categories):
        rows_of.setdefault(category, []).append(row)
    tested = {name: max(1, round(holdout * len(rows))) for name, rows in rows_of.items()}
    small = [f"{name} ({len(rows)})" for name, rows in sorted(rows_of.items()) if tested[name] >= len(rows)]
    if small:
        raise UserError(
            f"a holdout of {holdout} leaves no image to train on in {len(small)} classes: {', '.join(small)}"
        )
    train = [
        row
        for name in sorted(rows_of)
        for row in np.random.default_rng([seed, *name.encode()]).permutation(rows_of[name])[tested[name] :]
    ]
    chosen = set(train)
    test = [row for row in range(len(source)) if row not in chosen]
    return Subset(source, sorted(train)), Subset(source, test)
