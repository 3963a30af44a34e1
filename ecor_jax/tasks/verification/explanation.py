"""Records that explain the similarity of two faces by contributions of concepts, and selections of them for pages.

Similarities and thresholds are cosines in [-1, 1]; activations are fractions in [0, 1]. Groups and concepts keep
their given order, also in ties.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ecor_jax.tasks.counterfactual import fewest
from ecor_jax.tasks.explanation import Explained, Plain, SaliencyMap

SHOWN_GROUPS = 6
"""Number of groups that pages show."""
SUM_TOLERANCE = 1e-4
"""Maximum difference of the contributions' sum and the similarity that is accepted as float32 rounding."""


@dataclasses.dataclass(frozen=True)
class Side(Plain):
    """A picture of a pair. `name` is displayed and need not be a path.

    saliency: maps of `view`, the picture as the model sees it, by "GROUP: DESCRIPTOR" (`tasks.verification.saliency`);
    {} if they were not computed.
    """

    name: str
    image: Image.Image
    view: Image.Image | None = None
    saliency: Mapping[str, SaliencyMap] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Concept(Plain):
    """A descriptor with its activations in the first and in the second picture.

    Activations are relative: those of a group add up to 1 in each picture (softmax within the group).
    `contribution` is the term of the concept in the similarity of the pair; it may be negative.
    """

    group: str
    descriptor: str
    first: float
    second: float
    contribution: float


@dataclasses.dataclass(frozen=True)
class Intervention(Plain):
    """The similarity of the pair if the second picture's activation of a concept were `after` instead of `before`."""

    group: str
    descriptor: str
    before: float
    after: float
    similarity: float


@dataclasses.dataclass(frozen=True)
class Counterfactual(Plain):
    """The smallest set of concepts or of groups that changes whether a pair matches, and the similarity then.

    removed: of a match, the concepts without whose contributions it would be none. groups: of another pair, those that
    would make it a match if they contributed what they do for an average pair of the same person. One of both is empty.
    """

    removed: Sequence[Concept]
    groups: Sequence[str]
    similarity: float


class Highlight(NamedTuple):
    """A group with the concepts that represent it, best first.

    `size` is the number of all concepts of the group, `contribution` the sum of their contributions, `difference` the
    total variation distance of the two pictures' activations in [0, 1], half their L1 distance. `typical` is the mean
    contribution of the group to the similarity of pairs of the same person, None if unknown.
    """

    group: str
    concepts: tuple[Concept, ...]
    size: int
    contribution: float
    difference: float
    typical: float | None = None


@dataclasses.dataclass(frozen=True)
class ExplainedPair(Explained):
    """Two pictures, their similarity, and every concept, in the order of the descriptors.

    `same` is the gold label, None if unknown. `bias` is the part of the similarity that belongs to no concept.
    `interventions` are counterfactuals, in the order of display. `threshold_source` describes the origin of the
    threshold in words. `typical` is the mean contribution of each group to the similarity of pairs of the same person;
    empty if unknown.

    Raises ValueError if the contributions and the bias do not add up to the similarity, as they must.
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
    derived = ("match", "counterfactual")
    template, shown_as = "verification.html", "pairs"

    @property
    def names(self) -> Sequence[str]:
        return self.first.name, self.second.name

    def table(self) -> list[dict[str, Any]]:
        """Returns one row per concept, the largest contribution first."""
        return [concept.to_dict() for concept in sorted(self.concepts, key=lambda own: -own.contribution)]

    def __post_init__(self) -> None:
        if not abs(self.total - self.similarity) <= SUM_TOLERANCE:
            raise ValueError(
                f"{self.first.name}, {self.second.name}: the contributions and the bias add up to {self.total}, "
                f"not to the similarity {self.similarity}"
            )

    @property
    def total(self) -> float:
        """The sum of all contributions and the bias: the similarity up to rounding."""
        return math.fsum([self.bias, *(concept.contribution for concept in self.concepts)])

    @property
    def match(self) -> bool:
        """Whether the pictures are accepted as the same person: the similarity exceeds the threshold."""
        return self.similarity > self.threshold

    @property
    def right(self) -> bool | None:
        """Whether `match` agrees with the gold label; None without one."""
        return None if self.same is None else self.match == self.same

    @property
    def counterfactual(self) -> Counterfactual | None:
        """The smallest change of contributions that changes `match`, the largest first; None if there is none.

        It is exact, because the contributions add up to the similarity.
        """
        if self.match:
            own = np.array([concept.contribution for concept in self.concepts])
            found = fewest(-self.similarity, own, lambda value: -value <= self.threshold)
            return found and Counterfactual([self.concepts[index] for index in found[0]], [], -found[1])
        missing = most_missing(self.concepts, self.typical, len(self.typical))
        gaps = np.array([self.typical[group.group] - group.contribution for group in missing])
        found = fewest(self.similarity, gaps, lambda value: value > self.threshold)
        return found and Counterfactual([], [missing[index].group for index in found[0]], found[1])

    @property
    def shown(self) -> list[Highlight]:
        """The groups that pages show."""
        return self.telling(SHOWN_GROUPS)

    def telling(self, top: int) -> list[Highlight]:
        """Returns the groups that explain the verdict: `most_shared` for a match, else `most_missing`.

        If no group is missing, or typical contributions are unknown, returns `most_different`.
        """
        if self.match:
            return most_shared(self.concepts, top)
        return most_missing(self.concepts, self.typical, top) or most_different(self.concepts, top)


def groups(concepts: Sequence[Concept]) -> dict[str, list[Concept]]:
    """Returns the concepts by group."""
    by_group: dict[str, list[Concept]] = {}
    for concept in concepts:
        by_group.setdefault(concept.group, []).append(concept)
    return by_group


def most_shared(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """Returns the `top` groups that contribute most to the similarity, each with the concept that both pictures share.

    That is the concept with the largest minimum of the two pictures' activations.
    """
    shared = [
        _highlight(name, members, [max(members, key=lambda concept: min(concept.first, concept.second))])
        for name, members in groups(concepts).items()
    ]
    return sorted(shared, key=lambda highlight: -highlight.contribution)[:top]


def most_different(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """Returns the `top` groups in which the pictures differ most, each with the strongest concept of either picture.

    If both have the same strongest concept, it is listed once.
    """
    different = [_of_either(name, members) for name, members in groups(concepts).items()]
    return sorted(different, key=lambda highlight: -highlight.difference)[:top]


def most_missing(concepts: Sequence[Concept], typical: Mapping[str, float], top: int) -> list[Highlight]:
    """Returns the `top` groups that contribute less than for a typical pair of the same person, largest gap first.

    The concepts are chosen as in `most_different`.
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
