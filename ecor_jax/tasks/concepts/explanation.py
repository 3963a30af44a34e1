"""What a picture shows, and what each descriptor adds to that: records, and what of them to show first.

Cosines are in [-1, 1], probabilities fractions in [0, 1]; weights and contributions are in units of the logit.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from ecor_jax.tasks.explanation import Explained, Plain

TOLERANCE = 1e-3
"""Sums in float32 may miss the model's probability by this much; more is no rounding."""
KINDS = {
    (True, True): "Seen, and speaks for it",
    (True, False): "Seen, but speaks against it",
    (False, True): "Not seen, which speaks for it",
    (False, False): "Not seen, which speaks against it",
}
"""Of evidence: whether it is seen, and whether it is for the answer."""


@dataclasses.dataclass(frozen=True)
class Evidence(Plain):
    """A descriptor's part in one answer: `weight` is what its logit gains per unit of the cosine.

    `typical` is the mean cosine of the descriptor over the training images: cosines of CLIP bunch together, so only
    what is beyond the typical says something of this image.
    """

    descriptor: str
    group: str
    cosine: float
    typical: float
    weight: float
    derived = ("contribution", "seen")

    @property
    def contribution(self) -> float:
        """The descriptor's exact share of the logit beyond what a typical image has."""
        return self.weight * (self.cosine - self.typical)

    @property
    def seen(self) -> bool:
        """Whether the image fits the descriptor better than a typical image does."""
        return self.cosine > self.typical


@dataclasses.dataclass(frozen=True)
class Answer(Plain):
    """One label: its probability, and the evidence whose contributions make up its logit.

    `base` is the logit of a typical image: the bias, and weight times typical cosine over all descriptors. Of classes
    that exclude each other, the logit is that of the class less that of `rival`, the likeliest other class: it says
    why the picture is of this class rather than of that one, and the odds of the two are its exponential. Of a label
    that holds or does not, `rival` is empty: that it does not hold. `gold` is None where the truth is not known.

    Raises ValueError where the probabilities are not those of the logit that the evidence adds up to.
    """

    label: str
    probability: float
    base: float
    evidence: Sequence[Evidence]
    gold: bool | None = None
    rival: str = ""
    rival_probability: float | None = None
    derived = ("logit", "found")

    def __post_init__(self) -> None:
        share = share_of_both(self.probability, self.rival_probability)
        expected = sigmoid(self.logit)
        if not abs(expected - share) <= TOLERANCE:
            raise ValueError(
                f"{self.label}: the base and the contributions add up to a logit of {self.logit:.6g}, which is a "
                f"probability of {expected:.6g}, not {share}"
            )

    @property
    def logit(self) -> float:
        """The base and all contributions."""
        return math.fsum([self.base, *(evidence.contribution for evidence in self.evidence)])

    @property
    def threshold(self) -> float:
        """What the probability must exceed: the rival's."""
        return 0.5 if self.rival_probability is None else self.rival_probability

    @property
    def found(self) -> bool:
        """Whether the answer is yes; at the threshold itself it is no."""
        return self.probability > self.threshold

    @property
    def right(self) -> bool | None:
        """Whether the answer is that of the gold, where there is one."""
        return None if self.gold is None else self.found == self.gold

    def ranked(self) -> list[Evidence]:
        """The evidence by the size of its contribution; ties keep the order in which they are given."""
        return sorted(self.evidence, key=lambda evidence: -abs(evidence.contribution))

    def selected(self, top: int) -> "Selection":
        """The `top` strongest of each kind of evidence."""
        kinds: dict[str, list[Evidence]] = {kind: [] for kind in KINDS.values()}
        rest = []
        for evidence in self.ranked():
            kind = kinds[KINDS[evidence.seen, evidence.contribution > 0]]
            if evidence.contribution and len(kind) < top:
                kind.append(evidence)
            else:
                rest.append(evidence.contribution)
        return Selection({name: kind for name, kind in kinds.items() if kind}, math.fsum(rest), len(rest))


class Selection(NamedTuple):
    """The strongest evidence of each kind, each by the size of its contribution, and the sum of all the rest.

    What is shown and `rest` (of `left_out` descriptors) add up to all contributions. "Seen" is a cosine beyond the
    typical; evidence is for the answer where its contribution is positive. Evidence that contributes nothing is of
    no kind.
    """

    kinds: Mapping[str, Sequence[Evidence]]
    rest: float
    left_out: int


@dataclasses.dataclass(frozen=True)
class WhatIf(Plain):
    """The probability of a label if the cosine of this one descriptor were `cosine_to`.

    group: of the descriptor, which several may have. rival_probability, likeliest: of classes, what the same rival then
    has, and the class that is then likeliest.
    """

    descriptor: str
    cosine_from: float
    cosine_to: float
    probability: float
    rival_probability: float | None = None
    likeliest: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True)
class ExplainedImage(Explained):
    """An image with what is answered of it, and what was reported of it.

    `name` is shown and need not be a path. `what_ifs` goes from a label to its what-ifs. `reported` are the
    descriptors that `report_source` ("the radiologist's report", "the labels") says are there. medical: it is an X-ray,
    and its page says that this is no medical device.

    Raises ValueError for a what-if of no answer or descriptor, or with a probability that its weight does not give.
    """

    name: str
    image: Image.Image
    answers: Sequence[Answer]
    what_ifs: Mapping[str, Sequence[WhatIf]] = dataclasses.field(default_factory=dict)
    reported: Sequence[str] = ()
    report_source: str = ""
    medical: bool = False
    template, shown_as = "concepts.html", "images"

    def __post_init__(self) -> None:
        answers = {answer.label: answer for answer in self.answers}
        for label, what_ifs in self.what_ifs.items():
            if label not in answers:
                raise ValueError(f"{self.name}: what-ifs of {label!r}, which is none of {list(answers)}")
            for asked in what_ifs:
                self._check(answers[label], asked)

    def _check(self, answer: Answer, asked: WhatIf) -> None:
        weights = [
            evidence.weight
            for evidence in answer.evidence
            if evidence.descriptor == asked.descriptor and asked.group in ("", evidence.group)
        ]
        if not weights:
            raise ValueError(f"{self.name}: a what-if of {asked.descriptor!r}, which is no evidence")
        moved = asked.cosine_to - asked.cosine_from
        expected = [sigmoid(answer.logit + weight * moved) for weight in weights]
        share = share_of_both(asked.probability, asked.rival_probability)
        if not any(abs(probability - share) <= TOLERANCE for probability in expected):
            raise ValueError(
                f"{self.name}: the what-if of {asked.descriptor!r} says a probability of {share}, its "
                f"weight gives {expected[0]:.6g}"
            )

    @property
    def category(self) -> str:
        """The likeliest class; of labels those that are found, with commas."""
        return ", ".join(answer.label for answer in self.answers if answer.found)

    def table(self) -> list[dict[str, Any]]:
        """A descriptor of an answer a line, the strongest first."""
        return [
            {"label": answer.label, "probability": answer.probability} | evidence.to_dict()
            for answer in self.answers
            for evidence in answer.ranked()
        ]

    def compared(self) -> dict[str, bool | None]:
        """What was reported, and whether the model sees it: None where it has no such descriptor.

        Capitals and spaces do not count.
        """

        def normal(descriptor: str) -> str:
            return " ".join(descriptor.casefold().split())

        seen: dict[str, bool] = {}
        for evidence in (evidence for answer in self.answers for evidence in answer.evidence):
            name = normal(evidence.descriptor)
            seen[name] = seen.get(name, False) or evidence.seen
        return {descriptor: seen.get(normal(descriptor)) for descriptor in self.reported}


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return (1 + math.tanh(logit / 2)) / 2


def share_of_both(probability: float, rival: float | None) -> float:
    """The probability of an answer among itself and its rival (None: that it does not hold)."""
    return probability if rival is None else probability / (probability + rival)
