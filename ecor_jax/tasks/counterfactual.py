"""The fewest terms of a sum that change a decision about it, for counterfactuals of additive explanations."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float


def fewest(
    start: float, gains: Float[np.ndarray, "terms"], changed: Callable[[float], bool]
) -> tuple[list[int], float] | None:
    """Returns the fewest gains (indices, largest first) that change a decision, and `start` plus these gains.

    changed: whether a value changes the decision; it is true for every value above one for which it is true. So the
    largest gains reach it first, and the search is exact. Equal gains keep their order. Returns None if all positive
    gains together do not suffice.
    """
    value, chosen = start, []
    for index in np.argsort(-gains, kind="stable").tolist():
        if gains[index] <= 0:
            return None
        value += float(gains[index])
        chosen.append(index)
        if changed(value):
            return chosen, value
    return None
