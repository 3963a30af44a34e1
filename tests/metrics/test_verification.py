"""The ten-fold protocol and the curves, against slow loops and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from ecor_jax.errors import UserError
from ecor_jax.metrics.verification import auc, every_threshold, pair_distances, roc, tar_at_far, ten_fold

# A few distances only, so that ties are the rule; those of the protocol's thresholds among them.
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.31, 0.5, 1.0, 1.27, 3.99, 4.0]), st.booleans()), min_size=1)
ANY = st.lists(st.tuples(st.floats(0, 4), st.booleans()), min_size=1, max_size=60)


def arrays(pairs):
    distances, same = zip(*pairs, strict=True)
    return np.array(distances, np.float64), np.array(same, bool)


def slow_accuracy(threshold, distances, same):
    """insightface's calculate_accuracy: true positives and true negatives of a strict comparison."""
    right = 0
    for distance, kind in zip(distances, same, strict=True):
        said = distance < threshold
        right += (said and kind) or (not said and not kind)
    return float(right) / len(distances)


def slow_ten_fold(distances, same, folds=10):
    """insightface's calculate_roc, as its facts say: all 400 thresholds on nine folds, the first best on the tenth."""
    thresholds = np.arange(0, 4, 0.01)
    accuracies, chosen = [], []
    for train, test in KFold(folds).split(distances):
        right = [slow_accuracy(threshold, distances[train], same[train]) for threshold in thresholds]
        best = right.index(max(right))
        chosen.append(thresholds[best])
        accuracies.append(slow_accuracy(thresholds[best], distances[test], same[test]))
    return np.mean(accuracies), accuracies, chosen


def test_random_embeddings_equal_the_slow_protocol_to_the_last_digit():
    random = np.random.default_rng(3)
    first = random.normal(size=(203, 16))
    same = random.random(203) < 0.5
    second = np.where(same[:, None], first + random.normal(size=first.shape), random.normal(size=first.shape))
    first, second = (faces / np.linalg.norm(faces, axis=1, keepdims=True) for faces in (first, second))
    distances = pair_distances(first, second)
    slow = np.array([sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(first, second, strict=True)])
    np.testing.assert_allclose(distances, slow, rtol=1e-12)
    np.testing.assert_allclose(distances, 2 - 2 * (first * second).sum(axis=1), atol=1e-12)
    result, expected = ten_fold(distances, same), slow_ten_fold(distances, same)
    assert 0.6 < result.accuracy < 1.0, "an example in which the threshold matters"
    assert result.accuracy == expected[0]
    assert result.fold_accuracies.tolist() == expected[1]
    assert result.thresholds.tolist() == expected[2]


@given(TIED.filter(lambda pairs: len(pairs) >= 3), st.integers(2, 3))
def test_ties_are_broken_as_by_the_slow_protocol(pairs, folds):
    distances, same = arrays(pairs)
    result, expected = ten_fold(distances, same, folds), slow_ten_fold(distances, same, folds)
    assert (result.accuracy, result.fold_accuracies.tolist(), result.thresholds.tolist()) == expected


@pytest.mark.parametrize(("pairs", "folds"), [(9, 10), (0, 10), (5, 1)])
def test_fewer_pairs_than_folds(pairs, folds):
    with pytest.raises(UserError, match=f"{pairs} pairs in {folds} folds"):
        ten_fold(np.zeros(pairs), np.ones(pairs, bool), folds)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_named(value):
    broken = np.array([[value, 0.0], [1.0, 0.0]])
    with pytest.raises(UserError, match="1 of 2 pairs"):
        pair_distances(broken, np.ones((2, 2)))


@given(st.one_of(TIED, ANY))
def test_a_curve_has_what_every_threshold_accepts(pairs):
    distances, same = arrays(pairs)
    curve, area = roc(distances, same), auc(distances, same)
    if same.all() or not same.any():
        assert curve is None and area is None and tar_at_far(curve, 1e-3) is None
        return
    assert curve is not None
    accepted = distances < every_threshold(distances)[:, None]
    assert accepted.sum(axis=1).tolist() == [0, *(int((distances <= d).sum()) for d in sorted(set(distances)))]
    np.testing.assert_array_equal(curve.far, accepted[:, ~same].mean(axis=1))
    np.testing.assert_array_equal(curve.tar, accepted[:, same].mean(axis=1))
    couples = np.sign(distances[~same] - distances[same][:, None])
    assert area == pytest.approx((couples.mean() + 1) / 2, abs=1e-12)
    for far in (0.0, 0.001, 0.25, 0.5, 1.0):
        at = tar_at_far(curve, far)
        assert at is not None and at.far == far and at.tar == curve.tar[curve.far <= far].max()
        assert at.resolved == ((~same).sum() * far >= 1)


@pytest.mark.parametrize(("different", "resolved"), [(999, False), (1000, True), (3000, True)])
def test_a_far_needs_enough_different_pairs(different, resolved):
    distances = np.concatenate([np.linspace(0.1, 1.9, different), [0.05, 0.1005, 1.95]])
    same = np.arange(different + 3) >= different
    at = tar_at_far(roc(distances, same), 1e-3)
    assert at is not None and at.resolved is resolved
    # One false accept of 1,000, three of 3,000: FAR is exactly 1e-3 and allowed; the nearest different pair is at .1.
    assert at.tar == pytest.approx(2 / 3 if resolved else 1 / 3)
