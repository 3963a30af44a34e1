"""`Evaluation`, everything that a method's evaluation computes."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ecor_jax.tasks.rationale.causal import CausalTest
from ecor_jax.tasks.rationale.details import Detail
from ecor_jax.tasks.rationale.doubly_right import RW, Outcomes, each_rate, rates, right_share
from ecor_jax.tasks.rationale.pointing import PointingTest
from ecor_jax.tasks.rationale.predict import Predictions


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The predictions of one method for the test images, their outcomes, and the tests that were run.

    details: those of the pictures of the report, by number of the test picture; {} if they were not computed.
    sizes: pairs, the number of candidates; texts, that of the prompts; bank_mib, the memory of their embeddings in MiB.
    parts: what each drawing contributes to the comparison of `tasks.rationale.parts`; {} if it was not asked for.
    """

    predictions: Predictions
    outcomes: Outcomes
    causal: CausalTest | None = None
    pointing: PointingTest | None = None
    details: Mapping[int, Detail] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, float] = dataclasses.field(default_factory=dict)
    parts: Mapping[str, Float[np.ndarray, "drawings"]] = dataclasses.field(default_factory=dict)

    @property
    def each(self) -> dict[str, Float[np.ndarray, "N"]]:
        """What each picture counts for each of `rates`."""
        said, outcome = self.predictions, self.outcomes.outcome
        named = right_share(said.categories, said.rationales, self.outcomes.voted, said.gold_rationales)
        each = each_rate(outcome) | {"rr_share": np.where(outcome <= RW, named, 0.0)}
        if said.looked_at is not None:
            each["looked_at"] = said.looked_at.astype(np.float64)
        if said.category is not None:
            each["top1"] = (said.category == said.gold_category).astype(np.float64)
        return each

    @property
    def rates(self) -> dict[str, float | int]:
        """The outcome rates, as in results.json.

        rr_share: the mean share of right rationales, 0 where the category is wrong. looked_at: see `Predictions`. With
        calibration also top1, the accuracy of the likeliest category.
        """
        return rates(self.each)
