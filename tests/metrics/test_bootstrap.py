"""Intervals over patients: whose studies go along, how often the truth is inside, what is drawn again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.metrics import bootstrap as module
from ecor_jax.metrics.bootstrap import Interval, bootstrap_interval, paired_difference, point, ratio


def mean_of(values):
    """The mean of the studies' values, NaN where no study stands in the resample."""
    values = np.asarray(values, np.float64)

    def statistic(weights):
        with np.errstate(invalid="ignore"):
            return weights @ values / weights.sum(axis=1)

    return statistic


def inside(truth, interval):
    assert interval is not None
    return interval.low <= truth <= interval.high


def width(interval):
    assert interval is not None
    return interval.high - interval.low


def test_a_ratio_is_that_of_the_sums():
    weights = np.array([[1.0, 1, 1], [0, 3, 1], [0, 0, 2]])
    np.testing.assert_allclose(ratio(np.array([1.0, 2, 0]), np.array([2.0, 3, 0]))(weights), [3 / 5, 6 / 9, np.nan])
    np.testing.assert_allclose(ratio(np.array([1.0, 2, 6]), np.ones(3))(weights), [3, 12 / 4, 6])


def test_all_studies_of_a_patient_go_along_and_as_many_patients_as_there_are():
    patients = ["a", "b", "a", "c", "a", "b"]
    seen = []

    def watch(weights):
        seen.append(weights)
        return weights.sum(axis=1)

    bootstrap_interval(watch, patients, resamples=500)
    weights = seen[-1]
    assert weights.shape == (500, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 4])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 5])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), np.full(500, 3))
    # Of three draws among three patients, each is drawn once on average, and left out (2/3)^3 of the time.
    np.testing.assert_allclose(weights.mean(axis=0), np.ones(6), atol=0.15)
    np.testing.assert_allclose((weights == 0).mean(axis=0), np.full(6, 8 / 27), atol=0.08)


def test_the_interval_is_the_quantiles_of_resamples_drawn_one_by_one():
    values, patients = [1.0, 5.0, 2.0, 9.0, 4.0], ["a", "b", "a", "c", "d"]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(20000):
        drawn = rng.choice(["a", "b", "c", "d"], 4)
        studies = [values[row] for one in drawn for row in range(5) if patients[row] == one]
        means.append(sum(studies) / len(studies))
    found = bootstrap_interval(mean_of(values), patients, resamples=20000, seed=1)
    np.testing.assert_allclose(found, np.quantile(means, [0.025, 0.975]), atol=0.1)


def test_the_truth_is_inside_about_nineteen_times_in_twenty():
    """Where a patient's three studies agree: over studies as if they were patients, it is so much more seldom."""
    rng = np.random.default_rng(2)
    over_patients, over_studies = 0, 0
    for trial in range(300):
        values = np.repeat(rng.normal(size=40), 3)
        statistic = mean_of(values)
        over_patients += inside(
            0, bootstrap_interval(statistic, [str(n // 3) for n in range(120)], resamples=400, seed=trial)
        )
        over_studies += inside(
            0, bootstrap_interval(statistic, [str(n) for n in range(120)], resamples=400, seed=trial)
        )
    assert 0.9 <= over_patients / 300 <= 0.98
    assert over_studies / 300 < 0.8


def test_seeds():
    statistic, patients = mean_of(np.random.default_rng(0).random(30)), [str(n % 11) for n in range(30)]
    one, again, other = (bootstrap_interval(statistic, patients, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_blocks_change_nothing(monkeypatch):
    statistic, patients = mean_of(np.random.default_rng(0).random(30)), [str(n % 11) for n in range(30)]
    whole = bootstrap_interval(statistic, patients)
    monkeypatch.setattr(module, "_BLOCK", 30 * 7)
    assert bootstrap_interval(statistic, patients) == pytest.approx(whole, abs=1e-12)


def test_the_order_of_studies_and_the_names_of_patients_change_no_width():
    rng = np.random.default_rng(0)
    values, patients = rng.random(60), rng.integers(0, 20, 60)
    order = rng.permutation(60)
    first = bootstrap_interval(mean_of(values), [f"{p:02}" for p in patients])
    second = bootstrap_interval(mean_of(values[order]), [f"{p:02}" for p in patients[order]])
    assert second == pytest.approx(first, abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcd")), min_size=1, max_size=12), st.integers(0, 5))
def test_an_interval_of_means_stays_within_the_values(studies, seed):
    values = [value for value, _ in studies]
    found = bootstrap_interval(mean_of(values), [patient for _, patient in studies], resamples=50, seed=seed)
    assert found is not None
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_one_patient_has_an_interval_of_no_width():
    assert bootstrap_interval(mean_of([1.0, 3.0]), ["a", "a"]) == Interval(2.0, 2.0)


def test_resamples_without_a_figure_are_drawn_again():
    """The figure is 1 where the rare patient is drawn and not defined elsewhere: every interval is of ones."""

    def only_with_the_first(weights):
        return np.where(weights[:, 0] > 0, weights[:, 0] / weights[:, 0].clip(1), np.nan)

    assert bootstrap_interval(only_with_the_first, ["a", "b", "c"]) == Interval(1.0, 1.0)


def test_a_figure_that_hardly_any_resample_has_gets_no_interval():
    """Defined only where each of 30 patients is drawn once, which does not happen."""

    def only_as_they_are(weights):
        return np.where((weights == 1).all(axis=1), 1.0, np.nan)

    patients = [str(n) for n in range(30)]
    assert point(only_as_they_are, 30) == 1.0
    assert bootstrap_interval(only_as_they_are, patients, resamples=20) is None


def test_a_figure_that_is_not_defined_has_neither_interval_nor_difference():
    nothing = mean_of([np.nan, 1.0])
    assert bootstrap_interval(nothing, ["a", "b"]) is None
    assert paired_difference(nothing, mean_of([1.0, 1.0]), ["a", "b"]) is None


def test_a_paired_difference_is_surer_than_two_intervals():
    rng = np.random.default_rng(0)
    hardness = rng.random(200)
    better, worse = mean_of(hardness + 0.05), mean_of(hardness + 0.01 * rng.random(200))
    patients = [str(n // 2) for n in range(200)]
    found = paired_difference(better, worse, patients)
    assert found is not None
    assert found.value == pytest.approx(0.045, abs=0.001)
    assert inside(found.value, found.interval)
    assert not inside(0, found.interval)
    assert width(found.interval) < width(bootstrap_interval(better, patients)) / 10
    itself = paired_difference(better, better, patients)
    assert itself is not None and itself == (0.0, Interval(0.0, 0.0))


def test_no_study_is_refused():
    with pytest.raises(UserError, match="no study"):
        bootstrap_interval(mean_of([]), [])
    with pytest.raises(UserError, match="no study"):
        paired_difference(mean_of([]), mean_of([]), [])
