"""Reliability bins and the expected calibration error, against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.metrics.calibration import expected_calibration_error, reliability


def slow(confidence, correct, bins):
    """Image by image into the bin whose range holds it; the last one holds 1 too."""
    members = [[] for _ in range(bins)]
    for probability, right in zip(confidence, correct, strict=True):
        place = 0
        while place < bins - 1 and probability * bins >= place + 1:
            place += 1
        members[place].append((probability, right))
    return [
        (sum(c for c, _ in answers) / len(answers), sum(r for _, r in answers) / len(answers), len(answers))
        for answers in members
        if answers
    ]


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
