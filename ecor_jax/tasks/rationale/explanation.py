"""Records of explanations by categories and rationales, for reports and the explainer. Probabilities are in [0, 1]."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.explanation import Explained, Plain, SaliencyMap
from ecor_jax.tasks.rationale.counterfactual import Removal
from ecor_jax.tasks.rationale.details import Detail
from ecor_jax.tasks.rationale.doubly_right import NAMES
from ecor_jax.tasks.rationale.evaluation import Evaluation
from ecor_jax.tasks.rationale.predict import Predictions


@dataclasses.dataclass(frozen=True)
class Pair(Plain):
    """A pair of a category and a rationale, with its joint probability."""

    category: str
    rationale: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Counterfactual(Plain):
    """The smallest set of rationales without which the vote would be another, and the category it would be for.

    category: None if no set is known; `removed` is then empty. searched: no set of up to so many rationales changes the
    vote.
    """

    removed: Sequence[str]
    category: str | None
    searched: int


@dataclasses.dataclass(frozen=True)
class Explanation(Plain):
    """The explanation of one picture by one method: its top pairs, most probable first, and the category that it names.

    voted: the category that most of the pairs name. likeliest, probability: the category with the largest marginal
    probability, and that probability; None if they were not computed, because that takes all pairs.
    outcome: "rr", "rw", "wr" or "ww" (`tasks.rationale.doubly_right`); None without gold labels.
    saliency: a map of the log-probability of each pair; empty if not computed. counterfactual: None if not searched.
    classes, rationales: numbers of candidates.

    Raises ValueError if the category of the counterfactual is the voted one.
    """

    method: str
    pairs: Sequence[Pair]
    voted: str
    likeliest: str | None
    probability: float | None
    classes: int
    rationales: int
    outcome: str | None = None
    saliency: Sequence[SaliencyMap] = ()
    counterfactual: Counterfactual | None = None
    derived = ("category", "votes", "chance")

    def __post_init__(self) -> None:
        if self.counterfactual is not None and self.counterfactual.category == self.voted:
            raise ValueError(
                f"{self.method}: without {list(self.counterfactual.removed)} the vote is {self.voted!r} too"
            )

    @property
    def category(self) -> str:
        """The category that the method names: the likeliest one if known.

        In an evaluation it is the voted one, which decides the outcome (DROR, arXiv 2212.06202).
        """
        return self.voted if self.outcome is not None or self.likeliest is None else self.likeliest

    @property
    def votes(self) -> int:
        """The number of top pairs with the voted category."""
        return sum(pair.category == self.voted for pair in self.pairs)

    @property
    def tied(self) -> tuple[str, ...]:
        """The other categories with as many votes; the most probable pair broke the tie."""
        votes = Counter(pair.category for pair in self.pairs)
        return tuple(name for name, count in votes.items() if count == self.votes and name != self.voted)

    @property
    def chance(self) -> float:
        """The probability of a pair under a uniform distribution."""
        return 1 / (self.classes * self.rationales)


@dataclasses.dataclass(frozen=True)
class ExplainedPicture(Explained):
    """A picture with the explanations of one or several methods, and its gold labels if known.

    name: need not be a path. view: the picture as the model sees it, which saliency maps are of; None without maps.
    category, pairs: those of the last method.
    """

    name: str
    image: Image.Image
    explanations: Sequence[Explanation]
    gold_category: str | None = None
    gold_rationales: Sequence[str] = ()
    view: Image.Image | None = None
    template = "rationale.html"

    @property
    def category(self) -> str:
        return self.explanations[-1].category

    @property
    def pairs(self) -> Sequence[Pair]:
        return self.explanations[-1].pairs

    def table(self) -> list[dict[str, Any]]:
        """Returns one row per method and pair."""
        return [{"method": said.method} | pair.to_dict() for said in self.explanations for pair in said.pairs]

    @property
    def disputed(self) -> bool:
        """Whether the methods name different categories."""
        return len({explanation.category for explanation in self.explanations}) > 1


def explanation_of(
    method: str,
    predictions: Predictions,
    number: int,
    vocabulary: Vocabulary,
    voted: int,
    outcome: int | None = None,
    detail: Detail | None = None,
) -> Explanation:
    """Converts a method's predictions for picture `number` to texts. outcome: a constant of `doubly_right`."""
    detail = detail or Detail()
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
        () if detail.maps is None else [SaliencyMap(values) for values in detail.maps],
        None if detail.removal is None else counterfactual_of(detail.removal, vocabulary),
    )


def counterfactual_of(removal: Removal, vocabulary: Vocabulary) -> Counterfactual:
    """Converts a removal to texts."""
    removed = [vocabulary.rationales[rationale] for rationale in removal.rationales]
    category = None if removal.category is None else vocabulary.classes[removal.category]
    return Counterfactual(removed, category, removal.searched)


def explanations_of(evaluations: Mapping[str, Evaluation], number: int, vocabulary: Vocabulary) -> list[Explanation]:
    """Returns the explanation of test picture `number` by each method, with its outcome."""
    explanations = []
    for name, own in evaluations.items():
        voted, outcome = own.outcomes.voted[number], int(own.outcomes.outcome[number])
        detail = own.details.get(number)
        explanations.append(explanation_of(name, own.predictions, number, vocabulary, voted, outcome, detail))
    return explanations
