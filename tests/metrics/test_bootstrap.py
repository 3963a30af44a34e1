"""Intervals over patients: whose studies go along, what is drawn again, what SciPy says where all is simple."""

import warnings

import numpy as np
import pytest
from scipy import stats

from ecor_jax.errors import UserError
from ecor_jax.metrics import bootstrap as module
from ecor_jax.metrics.bootstrap import Interval, bootstrap_intervals, ratios


def mean_of(*values):
    """The mean of each list of the studies' values."""
    return ratios(np.array(values, np.float64), np.ones(1))


def test_ratios_are_those_of_the_sums():
    weights = np.array([[1.0, 1, 1], [0, 3, 1], [0, 0, 2]])
    values = ratios(np.array([[1.0, 2, 0], [1, 2, 6]]), np.array([[2.0, 3, 0], [1, 1, 1]]))(weights)
    np.testing.assert_allclose(values, [[3 / 5, 6 / 9, np.nan], [3, 12 / 4, 6]])


def test_all_studies_of_a_patient_go_along_and_as_many_patients_as_there_are():
    seen = []

    def watch(weights):
        seen.append(weights)
        return weights.sum(axis=1)[None]

    bootstrap_intervals(watch, ["a", "b", "a", "c", "a", "b"], resamples=500)
    weights = seen[-1]
    assert weights.shape == (500, 6)
    np.testing.assert_array_equal(weights[:, [0, 0, 1]], weights[:, [2, 4, 5]])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), np.full(500, 3))
    # Of three draws among three patients, each is drawn once on average, and left out (2/3)^3 of the time.
    np.testing.assert_allclose(weights.mean(axis=0), np.ones(6), atol=0.15)
    np.testing.assert_allclose((weights == 0).mean(axis=0), np.full(6, 8 / 27), atol=0.08)


def test_where_all_is_simple_the_interval_is_scipys():
    """A study a patient, in the order of their names, and a figure of every resample."""
    values = np.random.default_rng(0).random(30)
    (interval,) = bootstrap_intervals(mean_of(values), [f"{n:02}" for n in range(30)], resamples=300, seed=4)
    expected = stats.bootstrap((values,), np.mean, n_resamples=300, method="percentile", rng=np.random.default_rng(4))
    np.testing.assert_allclose(interval, expected.confidence_interval, rtol=1e-12)


def test_equal_seeds_give_equal_intervals_whatever_is_computed_beside_and_in_whatever_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    first, second, patients = rng.random(30), rng.random(30), [str(n % 11) for n in range(30)]
    together = bootstrap_intervals(mean_of(first, second), patients, seed=1)
    monkeypatch.setattr(module, "_BLOCK", 30 * 7)
    alone = [bootstrap_intervals(mean_of(values), patients, seed=1)[0] for values in (first, second)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert bootstrap_intervals(mean_of(first), patients, seed=2)[0] != alone[0]


def test_a_single_patient_has_an_interval_of_no_width():
    assert bootstrap_intervals(mean_of([1.0, 3.0]), ["a", "a"]) == (Interval(2.0, 2.0),)


def test_resamples_without_a_figure_are_replaced_by_the_next_that_have_it():
    """The second figure is the mean where the first patient is drawn, and not defined elsewhere."""
    values, patients = np.arange(10.0), [str(n) for n in range(10)]
    every = []

    def statistic(weights):
        mean = weights @ values / 10
        every.extend(zip(mean, weights[:, 0] > 0, strict=True))
        return np.stack([mean, np.where(weights[:, 0] > 0, mean, np.nan)])

    with warnings.catch_warnings(action="error"):
        intervals = bootstrap_intervals(statistic, patients, resamples=100)
    drawn = every[1:]  # without the studies as they are
    told = [mean for mean, has_first in drawn if has_first]
    assert len(told) == 100 < len(drawn)
    assert intervals[0] == bootstrap_intervals(mean_of(values), patients, resamples=100)[0]
    np.testing.assert_allclose(intervals[1], np.quantile(told, [0.025, 0.975]))


def test_a_figure_that_hardly_any_resample_has_gets_no_interval_and_costs_the_others_none():
    """Defined only where each of 30 patients is drawn once, which does not happen."""

    def statistic(weights):
        return np.stack(
            [np.where((weights == 1).all(axis=1), 1.0, np.nan), weights[:, 0], np.full(len(weights), np.nan)]
        )

    rare, usual, never = bootstrap_intervals(statistic, [str(n) for n in range(30)], resamples=20)
    assert rare is None and never is None and usual is not None


def test_no_study_is_refused():
    with pytest.raises(UserError, match="no study"):
        bootstrap_intervals(mean_of([]), [])
