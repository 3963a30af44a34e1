"""What a page of explained studies shows, as plain data.

Cosines are in [-1, 1], probabilities fractions in [0, 1]; weights and contributions are in units of the logit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

TOLERANCE = 1e-3
"""Sums in float32 may miss the model's probability by this much; more is no rounding."""


@dataclass(frozen=True)
class Evidence:
    """A descriptor's part in one finding: `weight` is what the finding's logit gains per unit of the cosine.

    `typical` is the mean cosine of the descriptor over the training images: cosines of CLIP bunch together, so only
    what is beyond the typical says something of this image.
    """

    descriptor: str
    group: str
    cosine: float
    typical: float
    weight: float

    @property
    def contribution(self) -> float:
        """The descriptor's exact share of the logit beyond what a typical image has."""
        return self.weight * (self.cosine - self.typical)

    @property
    def seen(self) -> bool:
        """Whether the image fits the descriptor better than a typical image does."""
        return self.cosine > self.typical


@dataclass(frozen=True)
class Diagnosis:
    """One finding: its probability, and the evidence whose contributions make up its logit.

    `base` is the logit of a typical image: the bias, and weight times typical cosine over all descriptors. Of two
    exclusive classes the weights are the difference of the two logits' weights, so that the probability is the
    sigmoid of the logit there as well. `gold` is None where the truth is not known.

    Raises ValueError where the probability is not the sigmoid of the logit that the evidence adds up to.
    """

    finding: str
    probability: float
    base: float
    evidence: Sequence[Evidence]
    gold: bool | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        expected = sigmoid(self.logit)
        if not abs(expected - self.probability) <= TOLERANCE:
            raise ValueError(
                f"{self.finding}: the base and the contributions add up to a logit of {self.logit:.6g}, which is a "
                f"probability of {expected:.6g}, not {self.probability}"
            )

    @property
    def logit(self) -> float:
        """The base and all contributions."""
        return math.fsum([self.base, *(one.contribution for one in self.evidence)])

    @property
    def found(self) -> bool:
        """Whether the answer is yes; at the threshold itself it is no."""
        return self.probability > self.threshold

    @property
    def right(self) -> bool | None:
        """Whether the answer is that of the gold, where there is one."""
        return None if self.gold is None else self.found == self.gold


@dataclass(frozen=True)
class WhatIf:
    """The probability of a finding if the cosine of this one descriptor were `cosine_to`."""

    descriptor: str
    cosine_from: float
    cosine_to: float
    probability: float


@dataclass(frozen=True)
class ExplainedStudy:
    """An image with its diagnoses, and what was reported of it.

    `name` is shown and need not be a path. `what_ifs` goes from a finding to its answers. `reported` are the
    descriptors that `report_source` ("the radiologist's report", "the labels") says are there.

    Raises ValueError for a what-if of no diagnosis or descriptor, or with a probability that its weight does not give.
    """

    name: str
    image: Image.Image
    diagnoses: Sequence[Diagnosis]
    what_ifs: Mapping[str, Sequence[WhatIf]] = field(default_factory=dict)
    reported: Sequence[str] = ()
    report_source: str = ""

    def __post_init__(self) -> None:
        diagnoses = {one.finding: one for one in self.diagnoses}
        for finding, what_ifs in self.what_ifs.items():
            if finding not in diagnoses:
                raise ValueError(f"{self.name}: what-ifs of {finding!r}, which is none of {list(diagnoses)}")
            for one in what_ifs:
                self._check(diagnoses[finding], one)

    def _check(self, diagnosis: Diagnosis, asked: WhatIf) -> None:
        weights = [one.weight for one in diagnosis.evidence if one.descriptor == asked.descriptor]
        if not weights:
            raise ValueError(f"{self.name}: a what-if of {asked.descriptor!r}, which is no evidence")
        moved = asked.cosine_to - asked.cosine_from
        expected = [sigmoid(diagnosis.logit + weight * moved) for weight in weights]
        if not any(abs(one - asked.probability) <= TOLERANCE for one in expected):
            raise ValueError(
                f"{self.name}: the what-if of {asked.descriptor!r} says a probability of {asked.probability}, its "
                f"weight gives {expected[0]:.6g}"
            )


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return (1 + math.tanh(logit / 2)) / 2
