"""Reliability bins and the expected calibration error, against a slow loop and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.metrics.calibration import Bin, expected_calibration_error, reliability


def slow(confidence, correct, bins):
    """Image by image into the bin whose range holds it; the last one holds 1 too."""
    members = [[] for _ in range(bins)]
    for one, right in zip(confidence, correct, strict=True):
        place = 0
        while place < bins - 1 and one * bins >= place + 1:
            place += 1
        members[place].append((one, right))
    return [
        (sum(c for c, _ in found) / len(found), sum(r for _, r in found) / len(found), len(found))
        for found in members
        if found
    ]


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([1, 4, 10, 15]),
)
def test_bins_equal_a_slow_loop(answers, bins):
    confidence = np.array([one for one, _ in answers])
    correct = np.array([right for _, right in answers])
    found, expected = reliability(confidence, correct, bins), slow(confidence, correct, bins)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    error = sum(count * abs(sure - right) for sure, right, count in expected) / len(answers)
    assert expected_calibration_error(found) == pytest.approx(error, abs=1e-9)


def test_by_hand():
    found = reliability(np.array([0.2, 0.3, 0.9, 1.0]), np.array([False, True, True, True]), bins=2)
    assert found == (Bin(0.25, 0.5, 2), Bin(0.95, 1.0, 2))
    assert expected_calibration_error(found) == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)


def test_answers_as_right_as_they_are_sure_have_no_error():
    sure = np.repeat([0.25, 0.75], 4)
    right = np.array([True, False, False, False, True, True, True, False])
    assert expected_calibration_error(reliability(sure, right)) == pytest.approx(0)
