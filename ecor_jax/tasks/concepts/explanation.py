"""Records that explain a classification by contributions of descriptors, and selections of them for pages.

Cosines are in [-1, 1], probabilities in [0, 1]; weights and contributions are in units of the logit.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from ecor_jax.tasks.explanation import Explained, Plain, SaliencyMap

SHOWN_OF_KIND = 4
"""Number of descriptors of each kind of evidence that pages show."""
TOLERANCE = 1e-3
"""Maximum difference from the model's probability that is accepted as float32 rounding."""
KINDS = {
    (True, True): "Seen, and speaks for it",
    (True, False): "Seen, but speaks against it",
    (False, True): "Not seen, which speaks for it",
    (False, False): "Not seen, which speaks against it",
}
"""Names of the kinds of evidence, by (seen, contributes positively)."""


@dataclasses.dataclass(frozen=True)
class Evidence(Plain):
    """A descriptor's evidence for one answer. `weight` is the derivative of the logit by the cosine.

    `typical` is the mean cosine of the descriptor over the training images. Because CLIP's cosines vary little, only
    the difference from the typical cosine is informative.
    """

    descriptor: str
    group: str
    cosine: float
    typical: float
    weight: float
    derived = ("contribution", "seen")

    @property
    def contribution(self) -> float:
        """The descriptor's exact contribution to the difference of the logit from that of a typical image."""
        return self.weight * (self.cosine - self.typical)

    @property
    def seen(self) -> bool:
        """Whether the cosine exceeds the typical one."""
        return self.cosine > self.typical


@dataclasses.dataclass(frozen=True)
class Removed(Plain):
    """A descriptor that a counterfactual sets to its typical cosine. group: distinguishes equal descriptors."""

    descriptor: str
    group: str


@dataclasses.dataclass(frozen=True)
class Counterfactual(Plain):
    """The smallest set of descriptors that changes an answer if their cosines are the typical ones.

    probability: that of the label then. category: for exclusive classes, the most probable class then; else empty.
    """

    removed: Sequence[Removed]
    probability: float
    category: str = ""


@dataclasses.dataclass(frozen=True)
class Answer(Plain):
    """One label with its probability, and the evidence whose contributions add up to its logit.

    `base` is the logit of a typical image: the bias plus the sum of weight times typical cosine over all descriptors.
    For exclusive classes, the logit is that of the class minus that of `rival`, the most probable other class, so that
    its exponential is the odds of the two. For a binary label, `rival` is empty. `gold` is None if unknown.
    `counterfactual` is None if no set of descriptors changes the answer, or none was searched.

    Raises ValueError if the probabilities do not match the logit that the evidence adds up to, or if the counterfactual
    does not change the answer.
    """

    label: str
    probability: float
    base: float
    evidence: Sequence[Evidence]
    gold: bool | None = None
    rival: str = ""
    rival_probability: float | None = None
    counterfactual: Counterfactual | None = None
    derived = ("logit", "found")

    def __post_init__(self) -> None:
        share = share_of_both(self.probability, self.rival_probability)
        expected = sigmoid(self.logit)
        if not abs(expected - share) <= TOLERANCE:
            raise ValueError(
                f"{self.label}: the base and the contributions add up to a logit of {self.logit:.6g}, which is a "
                f"probability of {expected:.6g}, not {share}"
            )
        if self.counterfactual is not None:
            self._check(self.counterfactual)

    def _check(self, counterfactual: Counterfactual) -> None:
        removed = {(own.descriptor, own.group) for own in counterfactual.removed}
        evidence = [own for own in self.evidence if (own.descriptor, own.group) in removed]
        if not removed or len(evidence) != len(counterfactual.removed):
            raise ValueError(f"{self.label}: the counterfactual removes {sorted(removed)}, which is no evidence")
        left = sigmoid(self.logit - math.fsum(own.contribution for own in evidence))
        found = counterfactual.probability > 0.5
        if not self.rival:
            consistent = abs(left - counterfactual.probability) <= TOLERANCE and found != self.found
        elif counterfactual.category == self.rival:
            consistent = left <= 0.5 + TOLERANCE
        else:
            consistent = counterfactual.category not in ("", self.label)
        if not consistent:
            raise ValueError(
                f"{self.label}: the counterfactual says a probability of {counterfactual.probability:.6g} "
                f"{counterfactual.category!r}, the evidence gives {left:.6g}, from {self.probability:.6g}"
            )

    @property
    def logit(self) -> float:
        """The sum of the base and all contributions."""
        return math.fsum([self.base, *(evidence.contribution for evidence in self.evidence)])

    @property
    def threshold(self) -> float:
        """The probability of the rival, which that of the label must exceed; 0.5 without a rival."""
        return 0.5 if self.rival_probability is None else self.rival_probability

    @property
    def found(self) -> bool:
        """Whether the probability exceeds the threshold."""
        return self.probability > self.threshold

    @property
    def right(self) -> bool | None:
        """Whether `found` agrees with the gold label; None without one."""
        return None if self.gold is None else self.found == self.gold

    def ranked(self) -> list[Evidence]:
        """Returns the evidence by decreasing magnitude of its contribution; ties keep their order."""
        return sorted(self.evidence, key=lambda evidence: -abs(evidence.contribution))

    @property
    def shown(self) -> "Selection":
        """The evidence that pages show."""
        return self.selected(SHOWN_OF_KIND)

    def selected(self, top: int) -> "Selection":
        """Returns the `top` strongest of each kind of evidence."""
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
    """The strongest evidence of each kind, by decreasing magnitude of its contribution, and the sum of the rest.

    The contributions in `kinds` and `rest` (of `left_out` descriptors) add up to the sum of all contributions.
    Evidence whose contribution is 0 belongs to no kind.
    """

    kinds: Mapping[str, Sequence[Evidence]]
    rest: float
    left_out: int


@dataclasses.dataclass(frozen=True)
class WhatIf(Plain):
    """The probability of a label if the cosine of this one descriptor were `cosine_to`.

    group: distinguishes equal descriptors of several groups. rival_probability, likeliest: for exclusive classes, the
    probability of the same rival and the most probable class after the change.
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
    """An image with the model's answers and the reported descriptors.

    `name` is displayed and need not be a path. `what_ifs` are by label. `reported` are the descriptors stated by
    `report_source` ("the radiologist's report", "the labels"). medical: whether to add a disclaimer (X-rays).
    label_maps, descriptor_maps: saliency maps of `view`, the image as the model sees it, by label and by
    "GROUP: DESCRIPTOR" (`tasks.concepts.saliency`); {} if they were not computed.

    Raises ValueError if a what-if has an unknown label or descriptor, or a probability that contradicts the weight.
    """

    name: str
    image: Image.Image
    answers: Sequence[Answer]
    what_ifs: Mapping[str, Sequence[WhatIf]] = dataclasses.field(default_factory=dict)
    reported: Sequence[str] = ()
    report_source: str = ""
    medical: bool = False
    view: Image.Image | None = None
    label_maps: Mapping[str, SaliencyMap] = dataclasses.field(default_factory=dict)
    descriptor_maps: Mapping[str, SaliencyMap] = dataclasses.field(default_factory=dict)
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
        """The most probable class; for labels, all that are found, joined by commas."""
        return ", ".join(answer.label for answer in self.answers if answer.found)

    def folded(self, answer: Answer) -> bool:
        """Returns whether a page folds an answer: one of many that is neither found nor right."""
        return len(self.answers) > 3 and not answer.found and not answer.gold

    def table(self) -> list[dict[str, Any]]:
        """Returns one row per answer and descriptor, the strongest first."""
        return [
            {"label": answer.label, "probability": answer.probability} | evidence.to_dict()
            for answer in self.answers
            for evidence in answer.ranked()
        ]

    def compared(self) -> dict[str, bool | None]:
        """Returns whether the model sees each reported descriptor; None if it lacks the descriptor.

        Upper case and white space are ignored.
        """

        def normal(descriptor: str) -> str:
            return " ".join(descriptor.casefold().split())

        seen: dict[str, bool] = {}
        for evidence in (evidence for answer in self.answers for evidence in answer.evidence):
            name = normal(evidence.descriptor)
            seen[name] = seen.get(name, False) or evidence.seen
        return {descriptor: seen.get(normal(descriptor)) for descriptor in self.reported}


def sigmoid(logit: float) -> float:
    """Computes 1 / (1 + exp(-logit)) without overflow."""
    return (1 + math.tanh(logit / 2)) / 2


def share_of_both(probability: float, rival: float | None) -> float:
    """Returns the probability of an answer given that it or its rival is right; unchanged without a rival."""
    return probability if rival is None else probability / (probability + rival)
