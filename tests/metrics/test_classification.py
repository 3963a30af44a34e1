"""Figures of classification: scikit-learn's documented examples, by hand, and slow loops over any resample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import paired_difference, point
from ecor_jax.metrics.calibration import Bin, reliability
from ecor_jax.metrics.classification import (
    AVERAGES,
    calibration_pairs,
    finding_statistics,
    statistics,
    two_classes,
)


def sure(said, classes):
    """Probabilities whose greatest is that of the class said."""
    return np.where(np.asarray(said)[:, None] == np.arange(classes), 0.8, 0.2 / max(classes - 1, 1))


def slow_figures(probabilities, gold, average):
    """Accuracy, precision, recall, F1, AUROC and Brier score, study by study; the AUROC is None if not defined."""
    classes = len(probabilities[0])
    said = [max(range(classes), key=lambda c: (row[c], -c)) for row in probabilities]
    each, support = [], []
    for c in range(classes):
        hit = sum(s == c and g == c for s, g in zip(said, gold, strict=True))
        named, true = said.count(c), list(gold).count(c)
        precision, recall = hit / named if named else 0, hit / true if true else 0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
        ups, downs = (
            [row[c] for row, g in zip(probabilities, gold, strict=True) if (g == c) is k] for k in (True, False)
        )
        wins = [1 if up > down else 0.5 if up == down else 0 for up in ups for down in downs]
        each.append((precision, recall, f1, sum(wins) / len(wins) if wins else None))
        support.append(true)
    accuracy = sum(s == g for s, g in zip(said, gold, strict=True)) / len(gold)
    if average == "binary":
        shares = [0, 1]
    else:
        shares = [1 / classes] * classes if average == "macro" else [true / len(gold) for true in support]
    means = [sum(share * one[k] for share, one in zip(shares, each, strict=True)) for k in range(3)]
    areas = [one[3] for one in each]
    if None in areas:
        area = None
    else:
        area = areas[1] if classes == 2 else sum(share * one for share, one in zip(shares, areas, strict=True))
    errors = [
        sum((p - (c == g)) ** 2 for c, p in enumerate(row) if classes > 2 or c == 1)
        for row, g in zip(probabilities, gold, strict=True)
    ]
    return [accuracy, *means, area, sum(errors) / len(errors)]


@st.composite
def studies(draw):
    """Probabilities with many ties, gold, and how many times each study stands in a resample (some once at least)."""
    c = draw(st.integers(2, 4))
    n = draw(st.integers(1, 12))
    raw = draw(st.lists(st.lists(st.integers(1, 4), min_size=c, max_size=c), min_size=n, max_size=n))
    gold = draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n))
    times = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    probabilities = np.array(raw, np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True), np.array(gold), np.array(times)


@given(studies(), st.sampled_from(AVERAGES))
def test_figures_equal_slow_loops_on_any_resample(case, average):
    probabilities, gold, times = case
    if average == "binary" and probabilities.shape[1] != 2:
        with pytest.raises(UserError, match="'binary' with"):
            statistics(probabilities, gold, average)
        return
    weights = np.stack([np.ones(len(times)), times])
    found = np.stack([figure(weights) for figure in statistics(probabilities, gold, average)], axis=1)
    for row, copies in zip(found, weights.astype(int), strict=True):
        slow = slow_figures(
            np.repeat(probabilities, copies, axis=0).tolist(), np.repeat(gold, copies).tolist(), average
        )
        np.testing.assert_allclose(row, [np.nan if value is None else value for value in slow], atol=1e-12)


@given(studies(), st.sampled_from(["weighted", "macro"]), st.randoms())
def test_figures_are_shares_and_the_order_of_studies_changes_none(case, average, random):
    probabilities, gold, _ = case
    order = list(range(len(gold)))
    random.shuffle(order)
    first, second = statistics(probabilities, gold, average), statistics(probabilities[order], gold[order], average)
    for one, other in zip(first, second, strict=True):
        value = point(one, len(gold))
        assert np.isnan(value) or -1e-12 <= value <= (2 if one is first.brier else 1) + 1e-12
        np.testing.assert_allclose(point(other, len(gold)), value, atol=1e-12)


@given(studies())
def test_the_weighted_recall_is_the_accuracy(case):
    probabilities, gold, _ = case
    found = statistics(probabilities, gold, "weighted")
    assert point(found.recall, len(gold)) == pytest.approx(point(found.accuracy, len(gold)))


def test_the_examples_of_scikit_learn():
    """y_true and y_pred of the documentation of precision_score, recall_score and f1_score, version 1.5."""
    gold, said = np.array([0, 1, 2, 0, 1, 2]), [0, 2, 1, 0, 0, 1]
    for average, expected in {"macro": (2 / 9, 1 / 3, 4 / 15), "weighted": (2 / 9, 1 / 3, 4 / 15)}.items():
        found = statistics(sure(said, 3), gold, average)
        values = [point(figure, 6) for figure in (found.precision, found.recall, found.f1)]
        np.testing.assert_allclose(values, expected)
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    area = statistics(np.stack([1 - scores, scores], axis=1), np.array([0, 0, 1, 1]), "binary").auroc
    assert point(area, 4) == 0.75
    risk = np.array([0.1, 0.9, 0.8, 0.3])
    brier = statistics(np.stack([1 - risk, risk], axis=1), np.array([0, 1, 1, 0]), "binary").brier
    assert point(brier, 4) == pytest.approx(0.0375)


def test_two_classes_by_hand():
    """Three of four positives found, one false alarm among six negatives."""
    gold, said = np.array([1] * 4 + [0] * 6), [1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
    expected = {
        "binary": (0.8, 3 / 4, 3 / 4, 3 / 4),
        "macro": (0.8, (3 / 4 + 5 / 6) / 2, (3 / 4 + 5 / 6) / 2, (3 / 4 + 5 / 6) / 2),
        "weighted": (0.8, 0.8, 0.8, 0.8),
    }
    for average, values in expected.items():
        found = statistics(sure(said, 2), gold, average)
        np.testing.assert_allclose([point(figure, 10) for figure in found[:4]], values)


def test_a_class_never_said_and_one_that_no_study_has_count_zero():
    found = statistics(sure([0, 0, 0], 3), np.array([0, 1, 0]), "macro")
    values = [point(figure, 3) for figure in found[1:4]]
    np.testing.assert_allclose(values, [(2 / 3) / 3, 1 / 3, 0.8 / 3])
    assert np.isnan(point(found.auroc, 3))


def test_a_probability_of_one_half_is_no_finding():
    found = statistics(*two_classes(np.array([0.5, 0.5000001]), np.array([0.0, 1.0])), "binary")
    assert point(found.accuracy, 2) == 1


def test_means_over_findings_equal_slow_loops():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, (40, 3)).astype(float)
    gold[rng.random(gold.shape) < 0.3] = np.nan
    probabilities = rng.random((40, 3))
    for average in AVERAGES:
        slow = []
        for p, y in zip(probabilities.T, gold.T, strict=True):
            known = [(1 - one, one) for one, label in zip(p, y, strict=True) if label == label]
            slow.append(slow_figures(known, [int(label) for label in y if label == label], average))
        found = [point(figure, 40) for figure in finding_statistics(probabilities, gold, average)]
        np.testing.assert_allclose(found, np.mean(slow, axis=0))


def test_a_finding_without_auroc_is_left_out_of_its_mean_only():
    probabilities, gold = np.array([[0.2, 0.9], [0.7, 0.1]]), np.array([[0.0, 0.0], [1.0, 0.0]])
    found = finding_statistics(probabilities, gold, "binary")
    assert point(found.auroc, 2) == 1
    assert point(found.accuracy, 2) == (1 + 0.5) / 2
    alone = finding_statistics(probabilities[:, 1:], gold[:, 1:], "binary")
    assert np.isnan(point(alone.auroc, 2))


def test_a_resample_that_knows_nothing_of_a_finding_has_no_figure():
    found = finding_statistics(np.array([[0.9], [0.1]]), np.array([[1.0], [np.nan]]), "weighted")
    weights = np.array([[0.0, 2.0], [1.0, 1.0]])
    for figure in found[:4]:
        np.testing.assert_array_equal(figure(weights), [np.nan, 1.0])
    np.testing.assert_allclose(found.brier(weights), [np.nan, 0.01])


def test_two_methods_are_compared_on_the_same_resamples():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 200)
    good = two_classes(np.clip(0.3 + 0.4 * gold + 0.2 * rng.normal(size=200), 0, 1), gold.astype(float))[0]
    bad = two_classes(rng.random(200), gold.astype(float))[0]
    one, other = statistics(good, gold, "weighted"), statistics(bad, gold, "weighted")
    found = paired_difference(one.auroc, other.auroc, [str(n) for n in range(200)])
    assert found is not None and found.interval is not None
    assert found.value == pytest.approx(point(one.auroc, 200) - point(other.auroc, 200))
    assert 0 < found.interval.low < found.value < found.interval.high


def test_calibration_of_two_classes_is_that_of_the_risk():
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]])
    bins = reliability(*calibration_pairs(probabilities, np.array([0, 1, 1, 1])))
    np.testing.assert_allclose(bins, [Bin(0.2, 0.5, 2), Bin(0.9, 1.0, 2)])


def test_calibration_and_brier_score_of_three_classes():
    probabilities, gold = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 1])
    confidence, right = calibration_pairs(probabilities, gold)
    assert confidence.tolist() == [0.6, 0.5] and right.tolist() == [True, False]
    expected = ((0.16 + 0.09 + 0.01) + (0.04 + 0.49 + 0.25)) / 2
    assert point(statistics(probabilities, gold, "macro").brier, 2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probabilities", "gold", "average", "message"),
    [
        ([[0.5, 0.5]], [0], "micro", "evaluation.average is 'micro'; expected one of weighted, macro, binary"),
        ([[0.2, 0.3, 0.5]], [0], "binary", "'binary' with 3 classes"),
        (np.zeros((0, 2)), np.zeros(0, int), "macro", "no study"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "macro", "1 of 2 studies have probabilities that are not in"),
        ([[-3.0, 4.0]], [0], "macro", "1 of 1 studies have probabilities that are not in"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], "macro", "gold classes from 0 to 2; expected 0 to 1"),
    ],
)
def test_refused(probabilities, gold, average, message):
    with pytest.raises(UserError, match=message):
        statistics(np.asarray(probabilities), np.asarray(gold), average)


def test_uncertain_labels_are_refused():
    with pytest.raises(UserError, match=r"\[-1.0, 0.0, 1.0\]; expected 0, 1 or NaN"):
        finding_statistics(np.full((3, 1), 0.5), np.array([[-1.0], [0.0], [1.0]]), "binary")
