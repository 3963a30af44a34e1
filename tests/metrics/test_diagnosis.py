"""Scores of diagnoses as results.json has them: which figure stands where, intervals, unknown labels."""

import dataclasses
import json

import numpy as np
import pytest
from ecor_jax.metrics.diagnosis import score_classes, score_findings

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import Interval, bootstrap_interval
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.classification import statistics

GOLD = np.array([1] * 4 + [0] * 6)
RISK = np.array([0.9, 0.8, 0.7, 0.4, 0.6, 0.3, 0.2, 0.2, 0.1, 0.1])
PATIENTS = list("aabbbcddee")


def two(risk):
    return np.stack([1 - risk, risk], axis=1)


def test_figures_by_hand():
    found = score_classes(two(RISK), GOLD, PATIENTS, "binary").as_results()
    assert found["accuracy"] == 0.8
    assert (found["precision"], found["recall"], found["f1"]) == (3 / 4, 3 / 4, 3 / 4)
    # Of 24 couples only .4 against .6 is the wrong way round.
    assert found["auroc"] == 23 / 24
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.09 + 0.36 + 0.36 + 0.09 + 0.04 * 2 + 0.01 * 2) / 10)
    assert found["calibration_error"] == pytest.approx(expected_calibration_error(reliability(RISK, GOLD == 1)))
    assert (found["count"], found["positives"], found["patients"], found["average"]) == (10, 4, 5, "binary")


def test_results_are_plain_and_intervals_hold_their_figures():
    found = score_classes(two(RISK), GOLD, PATIENTS, "weighted", resamples=300)
    results = json.loads(json.dumps(found.as_results(), allow_nan=False))
    assert results == found.as_results()
    for name in ("accuracy", "precision", "recall", "f1", "auroc", "brier"):
        low, high = results[f"{name}_interval"]
        assert 0 <= low <= results[name] <= high <= 1
        assert low < high


def test_intervals_are_those_of_the_bootstrap():
    patients = list("abcdefghij")
    found = score_classes(two(RISK), GOLD, patients, "weighted", resamples=300, seed=5)
    figures = statistics(two(RISK), GOLD, "weighted")
    for name in ("accuracy", "precision", "recall", "f1", "auroc", "brier"):
        expected = bootstrap_interval(getattr(figures, name), patients, resamples=300, seed=5)
        assert getattr(found, f"{name}_interval") == expected
    assert found.precision_interval != found.recall_interval
    assert found == score_classes(two(RISK), GOLD, patients, "weighted", resamples=300, seed=5)
    assert found != score_classes(two(RISK), GOLD, patients, "weighted", resamples=300, seed=6)


def test_the_positives_of_three_classes_are_not_defined():
    found = score_classes(np.eye(3), np.arange(3), list("abc"), "macro", resamples=20)
    assert found.positives is None and found.brier == 0


def test_one_class_only_has_no_auroc():
    found = score_classes(two(RISK), np.zeros(10, int), PATIENTS, "weighted", resamples=50)
    assert found.auroc is None and found.auroc_interval is None
    assert found.accuracy == 0.6 and found.accuracy_interval is not None


def test_a_single_patient_with_the_finding_still_has_an_interval():
    """Every other resample or so holds no positive, and is drawn again."""
    gold = np.array([1] + [0] * 9)
    found = score_classes(two(RISK), gold, [str(n) for n in range(10)], "weighted")
    assert found.auroc == 1 and found.auroc_interval == Interval(1.0, 1.0)


def test_findings_are_scored_over_the_studies_that_know_them():
    gold = np.stack([GOLD, np.where(np.arange(10) < 4, np.nan, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0])], axis=1).astype(float)
    probabilities = np.stack([RISK, RISK], axis=1)
    options = {"average": "binary", "resamples": 100, "seed": 3}
    found = score_findings(probabilities, gold, PATIENTS, ["effusion", "edema"], **options)
    assert found.findings["effusion"] == score_classes(two(RISK), GOLD, PATIENTS, **options)
    edema = found.findings["edema"]
    assert edema == score_classes(two(RISK[4:]), gold[4:, 1].astype(int), PATIENTS[4:], **options)
    assert (edema.count, edema.patients, found.macro.count, found.macro.patients) == (6, 4, 10, 5)
    assert [one.positives for one in (*found.findings.values(), found.macro)] == [4, 2, None]
    for name in ("accuracy", "precision", "recall", "f1", "auroc", "brier", "calibration_error"):
        values = [getattr(one, name) for one in found.findings.values()]
        assert getattr(found.macro, name) == pytest.approx(np.mean(values))
    assert found.macro.f1_interval is not None and found.macro.f1_interval.low < found.macro.f1_interval.high
    results = found.as_results()
    assert results["findings"]["edema"] == edema.as_results()
    assert results["auroc"] == found.macro.auroc


def test_studies_of_which_nothing_is_known_do_not_count():
    gold = np.append(GOLD, np.nan)[:, None]
    probabilities = np.append(RISK, 0.5)[:, None]
    found = score_findings(probabilities, gold, [*PATIENTS, "another"], ["effusion"], "binary", resamples=100)
    assert found.macro == dataclasses.replace(found.findings["effusion"], positives=None)
    assert (found.macro.count, found.macro.patients) == (10, 5)


def test_a_finding_known_of_no_study_is_refused():
    with pytest.raises(UserError, match="finding 'edema': its label is known of none of 3 studies"):
        score_findings(np.full((3, 1), 0.5), np.full((3, 1), np.nan), list("abc"), ["edema"], "binary")


def test_single_precision_probabilities_are_scored():
    found = score_classes(two(RISK).astype(np.float32), GOLD, PATIENTS, "weighted", resamples=50)
    assert found.accuracy == 0.8
    assert isinstance(found.as_results()["brier"], float)
