"""Two faces, how similar they are, and what each concept adds to that: records, and what of them to show first.

Similarities and thresholds are cosines in [-1, 1], activations fractions in [0, 1]. Groups and concepts come in the
order in which they are given, and ties keep it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from ecor_jax.tasks.explanation import Explained, Plain

SUM_TOLERANCE = 1e-4
"""Contributions in float32 may miss the similarity by this much; more is no rounding."""


@dataclasses.dataclass(frozen=True)
class Side(Plain):
    """A picture of a pair; `name` is shown and need not be a path."""

    name: str
    image: Image.Image


@dataclasses.dataclass(frozen=True)
class Concept(Plain):
    """A descriptor with its activation in the first and in the second picture.

    Activations are relative: those of a group add up to 1 in each picture (softmax within the group).
    `contribution` is what the concept adds to the similarity of the pair; it may be negative.
    """

    group: str
    descriptor: str
    first: float
    second: float
    contribution: float


@dataclasses.dataclass(frozen=True)
class Intervention(Plain):
    """What the similarity would be, had the second picture `after` of a concept in place of `before`."""

    group: str
    descriptor: str
    before: float
    after: float
    similarity: float


class Highlight(NamedTuple):
    """A group with the concepts that stand for it, best first.

    `size` is the number of all concepts of the group, `contribution` what they add to the similarity together,
    `difference` the total variation of the two pictures' activations in [0, 1]: half their L1 distance, which is
    the share of one that has to move to make the other. `typical` is what the group adds for an average pair of the
    same person, None where that is not known.
    """

    group: str
    concepts: tuple[Concept, ...]
    size: int
    contribution: float
    difference: float
    typical: float | None = None


@dataclasses.dataclass(frozen=True)
class ExplainedPair(Explained):
    """Two pictures, how similar they are, and every concept, in order.

    `same` is the gold, None where it is not known. `bias` is the part of the similarity that belongs to no concept.
    `interventions` are answers to "what if", in the order in which they are shown. `threshold_source` says in words
    where the threshold comes from. `typical` is what each group adds for an average pair of the same person; empty
    where that is not known.

    Raises ValueError where the contributions and the bias do not add up to the similarity: they are exact.
    """

    first: Side
    second: Side
    similarity: float
    threshold: float
    concepts: Sequence[Concept]
    same: bool | None = None
    bias: float = 0.0
    interventions: Sequence[Intervention] = ()
    threshold_source: str = ""
    typical: Mapping[str, float] = dataclasses.field(default_factory=dict)
    derived = ("match",)
    template, shown_as = "verification.html", "pairs"

    @property
    def names(self) -> Sequence[str]:
        return self.first.name, self.second.name

    def table(self) -> list[dict[str, Any]]:
        """A concept a line, the largest contribution first."""
        return [concept.to_dict() for concept in sorted(self.concepts, key=lambda own: -own.contribution)]

    def __post_init__(self) -> None:
        if not abs(self.total - self.similarity) <= SUM_TOLERANCE:
            raise ValueError(
                f"{self.first.name}, {self.second.name}: the contributions and the bias add up to {self.total}, "
                f"not to the similarity {self.similarity}"
            )

    @property
    def total(self) -> float:
        """All contributions and the bias: the similarity, but for rounding."""
        return math.fsum([self.bias, *(concept.contribution for concept in self.concepts)])

    @property
    def match(self) -> bool:
        """Whether the pictures are taken for the same person; at the threshold itself they are not."""
        return self.similarity > self.threshold

    @property
    def right(self) -> bool | None:
        """Whether the verdict is that of the gold, where there is one."""
        return None if self.same is None else self.match == self.same

    def telling(self, top: int) -> list[Highlight]:
        """The groups that explain the verdict: of a match those that add most, else those that add too little.

        Where none does, or that is not known, those in which the pictures differ most.
        """
        if self.match:
            return most_shared(self.concepts, top)
        return most_missing(self.concepts, self.typical, top) or most_different(self.concepts, top)


def groups(concepts: Sequence[Concept]) -> dict[str, list[Concept]]:
    """The concepts by group."""
    by_group: dict[str, list[Concept]] = {}
    for concept in concepts:
        by_group.setdefault(concept.group, []).append(concept)
    return by_group


def most_shared(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """The `top` groups that add most to the similarity, each with the concept that both pictures activate most.

    That is the one with the largest smaller activation: both show it at least so much.
    """
    shared = [
        _highlight(name, members, [max(members, key=lambda concept: min(concept.first, concept.second))])
        for name, members in groups(concepts).items()
    ]
    return sorted(shared, key=lambda highlight: -highlight.contribution)[:top]


def most_different(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """The `top` groups in which the pictures differ most, each with the strongest concept of either picture.

    Where both have the same strongest concept, it stands alone.
    """
    different = [_of_either(name, members) for name, members in groups(concepts).items()]
    return sorted(different, key=lambda highlight: -highlight.difference)[:top]


def most_missing(concepts: Sequence[Concept], typical: Mapping[str, float], top: int) -> list[Highlight]:
    """The `top` groups that add less than they do for an average pair of the same person, the largest gap first.

    Concepts as in `most_different`.
    """
    compared = [
        _of_either(name, members)._replace(typical=typical[name])
        for name, members in groups(concepts).items()
        if name in typical
    ]
    gaps = [(highlight.contribution - typical[highlight.group], highlight) for highlight in compared]
    return [highlight for gap, highlight in sorted(gaps, key=lambda pair: pair[0]) if gap < 0][:top]


def _of_either(name: str, members: Sequence[Concept]) -> Highlight:
    first = max(members, key=lambda concept: concept.first)
    second = max(members, key=lambda concept: concept.second)
    return _highlight(name, members, [first] if first is second else [first, second])


def _highlight(name: str, members: Sequence[Concept], chosen: Sequence[Concept]) -> Highlight:
    contribution = math.fsum(concept.contribution for concept in members)
    difference = math.fsum(abs(concept.first - concept.second) for concept in members) / 2
    return Highlight(name, tuple(chosen), len(members), contribution, difference)
