"""Scores as results.json has them: which figure stands where, intervals, unknown labels, no patients."""

import dataclasses
import json

import numpy as np
import pytest

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import bootstrap_intervals
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.classification import FIGURES, figures, resampled
from ecor_jax.metrics.scores import score_classes, score_labels

GOLD = np.array([1] * 4 + [0] * 6)
RISK = np.array([0.9, 0.8, 0.7, 0.4, 0.6, 0.3, 0.2, 0.2, 0.1, 0.1])
PATIENTS = list("aabbbcddee")


def two(risk):
    return np.stack([1 - risk, risk], axis=1)


def test_results_are_plain_and_each_figure_stands_beside_its_interval():
    scores = score_classes(two(RISK), GOLD, PATIENTS, "weighted", resamples=300, seed=5)
    results = json.loads(json.dumps(scores.as_results(), allow_nan=False))
    assert results == scores.as_results()
    values = figures(two(RISK), GOLD, "weighted")
    intervals = bootstrap_intervals(resampled(two(RISK), GOLD, "weighted"), PATIENTS, resamples=300, seed=5)
    assert len({values[name] for name in FIGURES}) > 3
    for name, interval in zip(FIGURES, intervals, strict=True):
        assert interval is not None and 0 <= interval.low <= values[name] <= interval.high <= 1
        assert results[name] == values[name] and results[f"{name}_interval"] == list(interval)
    assert results["calibration_error"] == pytest.approx(expected_calibration_error(reliability(RISK, GOLD == 1)))
    assert [results[name] for name in ("count", "positives", "patients", "average")] == [10, 4, 5, "weighted"]
    assert scores != score_classes(two(RISK), GOLD, PATIENTS, "weighted", resamples=300, seed=6)


@pytest.mark.parametrize("labels", [False, True])
def test_without_patients_the_results_are_the_same_without_the_intervals(labels):
    def results(patients):
        if labels:
            gold, names = np.stack([GOLD, 1 - GOLD], axis=1).astype(float), ["effusion", "clear"]
            return score_labels(two(RISK), gold, patients, names, "macro", resamples=20).as_results()
        return score_classes(two(RISK), GOLD, patients, "macro", resamples=20).as_results()

    def without(scores):
        kept = {name: value for name, value in scores.items() if "_interval" not in name and name != "patients"}
        return kept | ({"findings": {k: without(v) for k, v in kept["findings"].items()}} if "findings" in kept else {})

    assert results(None) == without(results(PATIENTS))


def test_labels_are_scored_over_the_studies_that_know_them():
    gold = np.stack([GOLD, np.where(np.arange(10) < 4, np.nan, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0])], axis=1).astype(float)
    probabilities = np.stack([RISK, RISK], axis=1)
    options = {"average": "binary", "resamples": 100, "seed": 3}
    scores = score_labels(probabilities, gold, PATIENTS, ["effusion", "edema"], **options)
    assert scores.labels["effusion"] == score_classes(two(RISK), GOLD, PATIENTS, **options)
    edema = scores.labels["edema"]
    assert edema == score_classes(two(RISK[4:]), gold[4:, 1].astype(int), PATIENTS[4:], **options)
    assert (edema.count, edema.patients, scores.macro.count, scores.macro.patients) == (6, 4, 10, 5)
    assert [own.positives for own in (*scores.labels.values(), scores.macro)] == [4, 2, None]
    for name in (*FIGURES, "calibration_error"):
        values = [getattr(own, name) for own in scores.labels.values()]
        assert getattr(scores.macro, name) == pytest.approx(np.mean(values))
    assert scores.macro.f1_interval is not None and scores.macro.f1_interval.low < scores.macro.f1_interval.high
    results = scores.as_results()
    assert results["findings"]["edema"] == edema.as_results() and results["auroc"] == scores.macro.auroc


def test_studies_of_which_nothing_is_known_do_not_count():
    gold, probabilities = np.append(GOLD, np.nan)[:, None], np.append(RISK, 0.5)[:, None]
    scores = score_labels(probabilities, gold, [*PATIENTS, "another"], ["effusion"], "binary", resamples=100)
    assert scores.macro == dataclasses.replace(scores.labels["effusion"], positives=None)
    assert (scores.macro.count, scores.macro.patients) == (10, 5)


def test_a_label_known_of_no_study_is_refused():
    with pytest.raises(UserError, match="finding 'edema': its label is known of none of 3 studies"):
        score_labels(np.full((3, 1), 0.5), np.full((3, 1), np.nan), list("abc"), ["edema"], "binary")


def test_what_is_not_defined_is_none():
    single = score_classes(two(RISK).astype(np.float32), np.zeros(10, int), PATIENTS, "weighted", resamples=50)
    assert single.auroc is None and single.auroc_interval is None
    assert single.accuracy == 0.6 and single.accuracy_interval is not None
    assert score_classes(np.eye(3), np.arange(3), None, "macro").positives is None
