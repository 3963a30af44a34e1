"""Several sources as one."""

import bisect
import itertools
from collections.abc import Sequence

from ecor_jax.data.records import Record, Source


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
