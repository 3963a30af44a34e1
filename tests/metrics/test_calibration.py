"""Reliability bins and the expected calibration error, against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.metrics.calibration import expected_calibration_error, reliability


def slow(confidence, correct, bins):
    """Image by image into the bin whose range, open below and closed above, holds it; the first one holds 0 too."""
    members = [[] for _ in range(bins)]
    for probability, right in zip(confidence, correct, strict=True):
        place = 0
        while place < bins - 1 and probability > (place + 1) / bins:
            place += 1
        members[place].append((probability, right))
    return [
        (sum(c for c, _ in answers) / len(answers), sum(r for _, r in answers) / len(answers), len(answers))
        for answers in members
        if answers
    ]


def test_a_confidence_on_an_edge_belongs_below_it():
    binned = reliability(np.array([0.0, 0.25, 0.5, 0.51, 1.0]), np.ones(5, bool), 4)
    assert [entry.count for entry in binned] == [2, 1, 1, 1]


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([1, 4, 10, 15]),
)
def test_bins_equal_a_slow_loop(answers, bins):
    confidence = np.array([probability for probability, _ in answers])
    correct = np.array([right for _, right in answers])
    binned, expected = reliability(confidence, correct, bins), slow(confidence, correct, bins)
    assert len(binned) == len(expected)
    np.testing.assert_allclose(binned, expected, atol=1e-9)
    error = sum(count * abs(sure - right) for sure, right, count in expected) / len(answers)
    assert expected_calibration_error(binned) == pytest.approx(error, abs=1e-9)
