"""What a report shows, as plain data: the page is a pure function of these records.

Shares, probabilities, confidences and accuracies are fractions in [0, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

Outcome = Literal["RR", "RW", "WR", "WW"]
"""First letter: is the voted category right? Second: is its rationale (DROR, arXiv 2212.06202)?"""


@dataclass(frozen=True)
class Pair:
    """One (category, rationale) pair and its joint probability."""

    category: str
    rationale: str
    probability: float


@dataclass(frozen=True)
class Explanation:
    """What one method says about one picture: its top pairs, best first, and the category they elect.

    `outcome` is None where there is no gold to judge by.
    """

    method: str
    pairs: Sequence[Pair]
    vote: str
    outcome: Outcome | None = None

    @property
    def votes(self) -> int:
        """How many of the pairs name the voted category."""
        return sum(pair.category == self.vote for pair in self.pairs)


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture with the explanations of one or several methods, and the gold where it is known.

    `name` is shown and need not be a path.
    """

    name: str
    image: Image.Image
    explanations: Sequence[Explanation]
    gold_category: str | None = None
    gold_rationales: Sequence[str] = ()


@dataclass(frozen=True)
class Outcomes:
    """The shares of the four outcomes among `count` pictures; they sum to 1."""

    rr: float
    rw: float
    wr: float
    ww: float
    count: int

    @property
    def accuracy(self) -> float:
        return self.rr + self.rw


@dataclass(frozen=True)
class MethodRow:
    """One line of the table of methods; a range is (lowest, highest) over seeds."""

    name: str
    outcomes: Outcomes
    rr_range: tuple[float, float] | None = None
    accuracy_range: tuple[float, float] | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of similar confidence: their mean confidence, and the share that was right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram with its expected calibration error (Guo et al., arXiv 1706.04599, eq. 3)."""

    bins: Sequence[ReliabilityBin]
    ece: float


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities of a method's categories and rationales can be trusted."""

    category: Reliability
    rationale: Reliability


Curve = Sequence[tuple[int, float]]
"""(step, value), steps increasing."""


@dataclass(frozen=True)
class Report:
    """Everything on the page; a part that is empty is left out.

    The mappings go from the name of a method to its `Outcomes` by class, its calibration, or its curve.
    """

    title: str
    intro: str = ""
    dataset: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    methods: Sequence[MethodRow] = ()
    pictures: Sequence[ExplainedPicture] = ()
    classes: Mapping[str, Mapping[str, Outcomes]] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    loss: Mapping[str, Curve] = field(default_factory=dict)
    images_per_second: Mapping[str, Curve] = field(default_factory=dict)
    commands: Sequence[str] = ()
    notes: Sequence[str] = ()
