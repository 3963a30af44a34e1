"""Does a probability of 0.8 come true four times out of five?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Bin(NamedTuple):
    """Answers of similar confidence: their mean confidence, how often they were right, how many they are."""

    confidence: float
    accuracy: float
    count: int


def reliability(confidence: Float[np.ndarray, "n"], correct: Bool[np.ndarray, "n"], bins: int = 10) -> tuple[Bin, ...]:
    """Non-empty bins of equal width over [0, 1] (Guo et al. 2017, equation 3), by rising confidence.

    A bin is open below and closed above, as there; 0 belongs to the first.
    """
    place = np.searchsorted(np.arange(1, bins) / bins, confidence)
    return tuple(
        Bin(float(confidence[chosen].mean()), float(correct[chosen].mean()), int(chosen.sum()))
        for number in range(bins)
        if (chosen := place == number).any()
    )


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance of confidence and accuracy, weighted by count (Guo et al. 2017, equation 5)."""
    total = sum(entry.count for entry in bins)
    return sum(entry.count * abs(entry.confidence - entry.accuracy) for entry in bins) / total
