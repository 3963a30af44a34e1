"""The fewest descriptors without whose contributions a concept bottleneck would answer otherwise.

A descriptor without its contribution has its typical cosine. Contributions add up to a logit, so the search is exact.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ecor_jax.tasks.concepts.explanation import sigmoid
from ecor_jax.tasks.concepts.heads import probabilities
from ecor_jax.tasks.counterfactual import fewest


class Change(NamedTuple):
    """A smallest set of concepts without whose contributions an answer changes, largest contribution first.

    probability: that of the answer then. output: the most probable class then; None for a label.
    """

    concepts: list[int]
    probability: float
    output: int | None = None


def change_of_label(contributions: Float[np.ndarray, "concepts"], logit: float) -> Change | None:
    """Returns the smallest set that changes whether a label's probability exceeds 0.5; None if there is none."""
    if sigmoid(logit) > 0.5:
        found = fewest(-logit, contributions, lambda value: sigmoid(-value) <= 0.5)
        return None if found is None else Change(found[0], sigmoid(-found[1]))
    found = fewest(logit, -contributions, lambda value: sigmoid(value) > 0.5)
    return None if found is None else Change(found[0], sigmoid(found[1]))


def change_of_class(
    contributions: Float[np.ndarray, "concepts classes"], logits: Float[np.ndarray, "classes"], best: int
) -> Change | None:
    """Returns the smallest set without which another class exceeds the `best` one; None if there is none.

    It is the smallest over all other classes; of equally small ones, that of the more probable class. The most probable
    class then may be a third one.
    """
    smallest: list[int] = []
    for other in np.argsort(-logits, kind="stable").tolist():
        gains = contributions[:, best] - contributions[:, other]
        found = fewest(float(logits[other] - logits[best]), gains, lambda margin: margin > 0)
        if found is not None and (not smallest or len(found[0]) < len(smallest)):
            smallest = found[0]
    if not smallest:
        return None
    left = logits - contributions[smallest].sum(axis=0)
    # One of the others exceeds the best, be it by less than the rounding of these sums.
    others = np.where(np.arange(len(left)) == best, -np.inf, left)
    return Change(smallest, float(probabilities(left, exclusive=True)[best]), int(np.argmax(others)))
