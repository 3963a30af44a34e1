"""`Evaluation`, everything that a method's evaluation computes."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from ecor_jax.tasks.rationale.causal import CausalTest
from ecor_jax.tasks.rationale.details import Detail
from ecor_jax.tasks.rationale.doubly_right import NAMES, RW, Outcomes, rates
from ecor_jax.tasks.rationale.pointing import PointingTest
from ecor_jax.tasks.rationale.predict import Predictions


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The predictions of one method for the test images, their outcomes, and the tests that were run.

    details: those of the pictures of the report, by number of the test picture; {} if they were not computed.
    """

    predictions: Predictions
    outcomes: Outcomes
    causal: CausalTest | None = None
    pointing: PointingTest | None = None
    details: Mapping[int, Detail] = dataclasses.field(default_factory=dict)

    @property
    def each(self) -> dict[str, Bool[np.ndarray, "N"]]:
        """Whether each picture counts for each of `rates`."""
        outcome, said = self.outcomes.outcome, self.predictions
        shares = {name: outcome == value for value, name in enumerate(NAMES)} | {"accuracy": outcome <= RW}
        return shares if said.category is None else shares | {"top1": said.category == said.gold_category}

    @property
    def rates(self) -> dict[str, float | int]:
        """The outcome rates, as in results.json; with calibration also `top1`, the likeliest class's accuracy."""
        shares, said = rates(self.outcomes.outcome), self.predictions
        if said.category is None:
            return shares
        return shares | {"top1": float(np.mean(said.category == said.gold_category))}
