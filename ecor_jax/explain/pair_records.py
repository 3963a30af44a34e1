"""What a page of explained pairs shows, as plain data.

Similarities and thresholds are cosines in [-1, 1]; activations are fractions in [0, 1].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

SUM_TOLERANCE = 1e-4
"""Contributions in float32 may miss the similarity by this much; more is no rounding."""


@dataclass(frozen=True)
class Side:
    """One picture of a pair; `name` is shown and need not be a path."""

    name: str
    image: Image.Image


@dataclass(frozen=True)
class Concept:
    """A descriptor with its activation in the first and in the second picture.

    Activations are relative: those of a group add up to 1 in each picture (softmax within the group).
    `contribution` is what the concept adds to the similarity of the pair; it may be negative.
    """

    group: str
    descriptor: str
    first: float
    second: float
    contribution: float


@dataclass(frozen=True)
class Intervention:
    """What the similarity would be, had the second picture `after` of a concept in place of `before`."""

    group: str
    descriptor: str
    before: float
    after: float
    similarity: float


@dataclass(frozen=True)
class ExplainedPair:
    """Two pictures, how similar they are, and every concept, in order.

    `same` is the gold, None where it is not known. `bias` is the part of the similarity that belongs to no concept.
    `interventions` are answers to "what if", in the order in which they are shown.

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
