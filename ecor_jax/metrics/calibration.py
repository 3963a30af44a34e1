"""Calibration of predicted probabilities: reliability diagrams and the expected calibration error, for reports."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Bin(NamedTuple):
    """Mean confidence, accuracy and number of the predictions in one bin of a reliability diagram."""

    confidence: float
    accuracy: float
    count: int


def reliability(confidence: Float[np.ndarray, "n"], correct: Bool[np.ndarray, "n"], bins: int = 10) -> tuple[Bin, ...]:
    """Returns the non-empty bins of equal width over [0, 1] (Guo et al. 2017, equation 3), by increasing confidence.

    As in the paper, a bin is open below and closed above; a confidence of 0 belongs to the first bin.
    """
    place = np.searchsorted(np.arange(1, bins) / bins, confidence)
    return tuple(
        Bin(float(confidence[chosen].mean()), float(correct[chosen].mean()), int(chosen.sum()))
        for number in range(bins)
        if (chosen := place == number).any()
    )


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Returns the mean |confidence - accuracy|, weighted by count (Guo et al. 2017, equation 5)."""
    total = sum(entry.count for entry in bins)
    return sum(entry.count * abs(entry.confidence - entry.accuracy) for entry in bins) / total
