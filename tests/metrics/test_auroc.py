"""The area under the ROC curve, against couples counted one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.metrics.auroc import auroc, weighted_auroc

EXAMPLES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9]) | st.floats(0, 1), st.booleans(), st.integers(0, 3)), min_size=1
)


def arrays(examples):
    scores, positive, times = zip(*examples, strict=True)
    return np.array(scores), np.array(positive), np.array([times], np.float64)


def slow(scores, positive):
    won, couples = 0.0, 0
    for one, good in zip(scores, positive, strict=True):
        for other, bad in zip(scores, positive, strict=True):
            if good and not bad:
                couples += 1
                won += 1 if one > other else 0.5 if one == other else 0
    return won / couples if couples else None


@given(EXAMPLES)
def test_equals_couples_counted_one_by_one(examples):
    scores, positive, _ = arrays(examples)
    expected = slow(scores, positive)
    assert auroc(scores, positive) == (expected if expected is None else pytest.approx(expected, abs=1e-12))


@given(EXAMPLES)
def test_a_weight_is_a_number_of_copies(examples):
    scores, positive, weights = arrays(examples)
    times = weights[0].astype(int)
    expected = slow(np.repeat(scores, times), np.repeat(positive, times))
    found = weighted_auroc(scores, positive, np.concatenate([np.ones_like(weights), weights]))[1]
    assert np.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert auroc(scores, positive) == (1 + 0.5 + 1 + 1) / 4
    assert auroc(-scores, positive) == (0 + 0.5 + 0 + 0) / 4


@pytest.mark.parametrize("kind", [True, False])
def test_one_kind_alone_has_none(kind):
    assert auroc(np.array([0.1, 0.2]), np.array([kind, kind])) is None
