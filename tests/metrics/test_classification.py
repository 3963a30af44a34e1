"""Figures of classification by hand, and those of resamples against scikit-learn's of the examples repeated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.metrics.calibration import Bin, reliability
from ecor_jax.metrics.classification import FIGURES, calibration_pairs, figures, resampled, two_classes

AVERAGES = ("weighted", "macro", "binary")


def sure(said, classes):
    """Probabilities whose greatest is that of the class said."""
    return np.where(np.asarray(said)[:, None] == np.arange(classes), 0.8, 0.2 / max(classes - 1, 1))


def values_of(*evaluated):
    return list(figures(*evaluated).values())


@st.composite
def examples(draw):
    """Probabilities with many ties, gold, and how many times each example stands in a resample (some once at least)."""
    c = draw(st.integers(2, 4))
    n = draw(st.integers(1, 12))
    raw = draw(st.lists(st.lists(st.integers(1, 4), min_size=c, max_size=c), min_size=n, max_size=n))
    gold = draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n))
    times = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    probabilities = np.array(raw, np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True), np.array(gold), np.array(times)


@given(examples(), st.sampled_from(AVERAGES))
def test_a_weight_is_a_number_of_copies(case, average):
    probabilities, gold, times = case
    if average == "binary":
        probabilities, gold = two_classes(probabilities[:, 0], (gold == 0).astype(float))
    result = resampled(probabilities, gold, average)(np.stack([np.ones(len(times)), times]))
    for values, copies in zip(result.T, (np.ones(len(times), int), times), strict=True):
        repeated = np.repeat(probabilities, copies, axis=0), np.repeat(gold, copies)
        np.testing.assert_allclose(values, values_of(*repeated, average), atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
def test_means_over_labels(average):
    """Each label over the examples that know it; in resamples too, where they are those of these examples."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, (40, 3)).astype(float)
    gold[rng.random(gold.shape) < 0.3] = np.nan
    probabilities = rng.random((40, 3))
    labels = [values_of(*two_classes(p, y), average) for p, y in zip(probabilities.T, gold.T, strict=True)]
    np.testing.assert_allclose(values_of(probabilities, gold, average), np.mean(labels, axis=0))
    times = rng.integers(0, 3, 40)
    repeated = np.repeat(probabilities, times, axis=0), np.repeat(gold, times, axis=0)
    result = resampled(probabilities, gold, average)(times[None].astype(float))
    np.testing.assert_allclose(result[:, 0], values_of(*repeated, average))


def test_two_classes_by_hand():
    """Three of four positives found, one false alarm among six negatives; of 24 couples two are equal, two wrong."""
    gold = np.array([1] * 4 + [0] * 6)
    risk = np.array([0.9, 0.8, 0.6, 0.4, 0.6, 0.4, 0.2, 0.2, 0.1, 0.1])
    expected = {
        "binary": (0.8, 3 / 4, 3 / 4, 3 / 4),
        "macro": (0.8, (3 / 4 + 5 / 6) / 2, (3 / 4 + 5 / 6) / 2, (3 / 4 + 5 / 6) / 2),
        "weighted": (0.8, 0.8, 0.8, 0.8),
    }
    brier = (0.01 + 0.04 + 0.16 + 0.36 + 0.36 + 0.16 + 2 * 0.04 + 2 * 0.01) / 10
    # Precision above each positive: 1, 1, 3 of 4, 4 of 6.
    ranking = ((24 - 2 / 2 - 1) / 24, (1 + 1 + 3 / 4 + 4 / 6) / 4)
    for average, values in expected.items():
        result = figures(*two_classes(risk, gold.astype(float)), average)
        assert tuple(result) == FIGURES
        np.testing.assert_allclose(list(result.values()), [*values, *ranking, brier])


def test_three_classes_by_hand():
    """Nothing is said to be the last class; which of two classes is the more probable is right of the first two."""
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.1, 0.4], [0.5, 0.3, 0.2]])
    gold = np.array([0, 1, 2, 0])
    result = figures(probabilities, gold, "macro")
    expected = {"accuracy": 3 / 4, "precision": (2 / 3 + 1 + 0) / 3, "recall": 2 / 3, "f1": (0.8 + 1 + 0) / 3}
    expected |= {"auroc": (3.5 / 4 + 1 + 1) / 3, "average_precision": ((1 + 2 / 3) / 2 + 1 + 1) / 3}
    expected["brier"] = ((0.16 + 0.09 + 0.01) + (0.04 + 0.25 + 0.09) + (0.25 + 0.01 + 0.36) + (0.25 + 0.09 + 0.04)) / 4
    assert result == pytest.approx(expected)
    weighted = figures(probabilities, gold, "weighted")
    assert weighted["recall"] == weighted["accuracy"] and weighted["auroc"] == pytest.approx((3.5 / 4 + 1) / 2)


def test_a_class_that_no_example_has_counts_zero_and_leaves_no_ranking():
    result = figures(sure([0, 0, 0], 3), np.array([0, 1, 0]), "macro")
    assert [result[name] for name in FIGURES[1:4]] == pytest.approx([(2 / 3) / 3, 1 / 3, 0.8 / 3])
    assert np.isnan(result["auroc"]) and np.isnan(result["average_precision"])


def test_a_probability_of_one_half_is_no_finding():
    assert figures(*two_classes(np.array([0.5, 0.5000001]), np.array([0.0, 1.0])), "binary")["accuracy"] == 1


def test_a_label_without_auroc_is_left_out_of_its_mean_only():
    probabilities, gold = np.array([[0.2, 0.9], [0.7, 0.1]]), np.array([[0.0, 0.0], [1.0, 0.0]])
    result = figures(probabilities, gold, "binary")
    assert result["auroc"] == 1 and result["accuracy"] == (1 + 0.5) / 2
    assert np.isnan(figures(probabilities[:, 1:], gold[:, 1:], "binary")["auroc"])
    resample = resampled(probabilities, gold, "binary")(np.array([[1.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(resample[FIGURES.index("auroc")], [1, np.nan])


def test_a_resample_that_knows_nothing_of_a_label_has_no_figure():
    values = resampled(np.array([[0.9], [0.1]]), np.array([[1.0], [np.nan]]), "weighted")(np.array([[0.0, 2], [1, 1]]))
    assert np.isnan(values[:, 0]).all()
    np.testing.assert_allclose(values[:, 1], [1, 1, 1, 1, np.nan, np.nan, 0.01])


def test_calibration_of_two_classes_is_that_of_the_risk_and_of_three_that_of_the_answer():
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]])
    bins = reliability(*calibration_pairs(probabilities, np.array([0, 1, 1, 1])))
    np.testing.assert_allclose(bins, [Bin(0.2, 0.5, 2), Bin(0.9, 1.0, 2)])
    confidence, right = calibration_pairs(np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 1]))
    assert confidence.tolist() == [0.6, 0.5] and right.tolist() == [True, False]


@pytest.mark.parametrize("evaluate", [figures, resampled])
@pytest.mark.parametrize(
    ("probabilities", "gold", "average", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "macro", "no study"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "macro", "1 of 2 studies have probabilities that are not in"),
        ([[-3.0, 4.0]], [0], "macro", "1 of 1 studies have probabilities that are not in"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], "macro", "gold classes from 0 to 2; expected 0 to 1"),
        ([[0.5]] * 3, [[-1.0], [0.0], [1.0]], "binary", r"\[-1.0, 0.0, 1.0\]; expected 0, 1 or NaN"),
    ],
)
def test_refused(evaluate, probabilities, gold, average, message):
    with pytest.raises(UserError, match=message):
        evaluate(np.asarray(probabilities), np.asarray(gold), average)
