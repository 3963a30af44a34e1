"""What methods say of a picture: categories, each with the rationale that speaks for it. Shares are in [0, 1]."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from PIL import Image

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.explanation import Explained, Plain
from ecor_jax.tasks.rationale.doubly_right import NAMES
from ecor_jax.tasks.rationale.predict import Predictions


@dataclasses.dataclass(frozen=True)
class Pair(Plain):
    """A category with a rationale, and their joint probability."""

    category: str
    rationale: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Explanation(Plain):
    """What one method says of one picture: its top pairs, the likeliest first, and the category that they elect.

    likeliest, probability: the category that is likeliest with all rationales taken together, and how likely; None
    where that was not asked for. outcome: "rr", "rw", "wr" or "ww" (`tasks.rationale.doubly_right`);
    None where there is no gold. classes, rationales: how many there were to choose from.
    """

    method: str
    pairs: Sequence[Pair]
    category: str
    likeliest: str | None
    probability: float | None
    classes: int
    rationales: int
    outcome: str | None = None
    derived = ("votes", "chance")

    @property
    def votes(self) -> int:
        """How many of the pairs name the category."""
        return sum(pair.category == self.category for pair in self.pairs)

    @property
    def tied(self) -> tuple[str, ...]:
        """Other categories with as many votes; the one whose pair is likeliest was taken."""
        votes = Counter(pair.category for pair in self.pairs)
        return tuple(name for name, count in votes.items() if count == self.votes and name != self.category)

    @property
    def chance(self) -> float:
        """The probability of a pair that is picked blindly."""
        return 1 / (self.classes * self.rationales)


@dataclasses.dataclass(frozen=True)
class ExplainedPicture(Explained):
    """A picture with the explanations of one or several methods, and the gold where it is known.

    name: need not be a path. category, pairs: what the last method says, which is ECOR where there are several.
    """

    name: str
    image: Image.Image
    explanations: Sequence[Explanation]
    gold_category: str | None = None
    gold_rationales: Sequence[str] = ()
    template = "rationale.html"

    @property
    def category(self) -> str:
        return self.explanations[-1].category

    @property
    def pairs(self) -> Sequence[Pair]:
        return self.explanations[-1].pairs

    def table(self) -> list[dict[str, Any]]:
        """A pair of a method a line."""
        return [{"method": said.method} | pair.to_dict() for said in self.explanations for pair in said.pairs]

    @property
    def disputed(self) -> bool:
        """Whether the methods name different categories."""
        return len({explanation.category for explanation in self.explanations}) > 1


def explanation_of(
    method: str, predictions: Predictions, number: int, vocabulary: Vocabulary, voted: int, outcome: int | None = None
) -> Explanation:
    """A method's answer for picture `number`, in words. outcome: as `tasks.rationale.doubly_right` numbers them."""
    columns = (predictions.categories[number], predictions.rationales[number], predictions.probabilities[number])
    return Explanation(
        method,
        [Pair(vocabulary.classes[c], vocabulary.rationales[r], float(p)) for c, r, p in zip(*columns, strict=True)],
        vocabulary.classes[voted],
        None if predictions.category is None else vocabulary.classes[predictions.category[number]],
        None if predictions.category_confidence is None else float(predictions.category_confidence[number]),
        len(vocabulary.classes),
        len(vocabulary.rationales),
        None if outcome is None else NAMES[outcome],
    )
