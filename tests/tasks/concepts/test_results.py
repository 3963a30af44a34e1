"""What a diagnosis run measures, against sums done by hand: reasons, agreement with reports, concepts kept, table."""

import dataclasses
import json

import numpy as np
import pytest

from ecor_jax.metrics.bootstrap import bootstrap_intervals
from ecor_jax.metrics.classification import FIGURES, figures, resampled
from ecor_jax.radiology.reports.descriptor_sets import equal, set_agreement
from ecor_jax.radiology.reports.text_overlap import text_overlap
from ecor_jax.tasks.concepts.results import reasons, results_of, table

CLEAR, SHARP, BLUNT, MENISCUS, FLUID = PHRASES = (
    "clear lungs", "sharp angles", "a blunt angle", "a meniscus", "fluid",
)  # fmt: skip
TYPICAL = np.full(5, 0.25)
KERNEL = np.array([[10, -20], [2, -2], [-10, 20], [-1, 1], [0, 10]], float)
"""For effusion: -30, -4, +30, +2, +10."""


def film(**beyond: float) -> np.ndarray:
    """Cosines that are this much beyond the typical ones."""
    names = {"clear": 0, "sharp": 1, "blunt": 2, "meniscus": 3, "fluid": 4}
    found = TYPICAL.copy()
    for name, excess in beyond.items():
        found[names[name]] += excess
    return found


def single(case, films, phrases=None, targets=None, bias=(0.0, -5.0), **options):
    """One method over the films; at the typical cosines the logit of an effusion is -3."""
    targets = np.eye(2)[np.arange(len(films)) % 2] if targets is None else targets
    made = case(targets, [f"p{n}" for n in range(len(films))], phrases or [["x"]] * len(films), **options)
    return made, made.row(np.stack(films), TYPICAL, KERNEL, np.array(bias))


def test_reasons_of_a_finding_are_what_is_seen_and_speaks_for_it_by_contribution(case):
    """The meniscus is furthest beyond the typical, and contributes least; clear lungs unseen are no reason."""
    made, row = single(case, [film(blunt=0.1, fluid=0.2, meniscus=0.4, clear=-0.3, sharp=0.1)])
    assert row.probabilities[0, 1] > 0.5
    assert reasons(row, made.data, 5) == [[BLUNT, FLUID, MENISCUS]]
    assert reasons(row, made.data, 2) == [[BLUNT, FLUID]]


def test_reasons_of_no_finding_are_what_speaks_against_it(case):
    made, row = single(case, [film(clear=0.05, sharp=0.1, blunt=-0.1, fluid=0.1), film()])
    assert (row.probabilities[:, 1] < 0.5).all()
    assert reasons(row, made.data, 5) == [[CLEAR, SHARP], []]


def test_reasons_of_several_findings_equal_slow_loops(case):
    rng = np.random.default_rng(0)
    kernel, bias = 20 * rng.normal(size=(5, 3)), np.zeros(3)
    cosines = 0.25 + 0.1 * rng.normal(size=(60, 5))
    made = case(rng.integers(0, 2, (60, 3)), map(str, range(60)), [["x"]] * 60, single_label=False)
    row = made.row(cosines, TYPICAL, kernel, bias)
    expected, kinds = [], set()
    for study in range(60):
        found = [f for f in range(3) if bias[f] + cosines[study] @ kernel[:, f] > 0]
        kinds.add(len(found))
        totals = {}
        for concept in range(5):
            excess = cosines[study, concept] - 0.25
            if found:
                total = sum(kernel[concept, f] * excess for f in found)
            else:
                total = -sum(kernel[concept, f] * excess for f in range(3))
            if excess > 0 and total > 0:
                totals[PHRASES[concept]] = total
        expected.append(sorted(totals, key=lambda name: -totals[name])[:3])
    assert kinds >= {0, 1, 2}
    assert reasons(row, made.data, 3) == expected


def test_explanations_are_compared_with_the_whole_report(case):
    """A reported descriptor that the model does not have is one it misses; studies without report are left out."""
    films = [film(blunt=0.2, fluid=0.1), film(clear=0.1), film(blunt=0.2)]
    phrases = [["fluid", "rib fracture"], [], ["a blunt angle", "clear lungs", "a pacemaker"]]
    made, row = single(case, films, phrases)
    found = results_of({"bottleneck": row}, made.data, made.config)["explanations"]
    assert (found["reference"], found["descriptors"], found["studies"], found["without_report"]) == ("reports", 5, 2, 1)
    micro, macro = found["sets"]["equal"]["micro"], found["sets"]["equal"]["macro"]
    assert (micro["precision"], micro["recall"], micro["f1"]) == (2 / 3, 2 / 5, 4 / 8)
    assert (macro["precision"], macro["recall"]) == pytest.approx(((1 / 2 + 1) / 2, (1 / 2 + 1 / 3) / 2))
    predicted, held = [[BLUNT, FLUID], [BLUNT]], [phrases[0], phrases[2]]
    assert found["text"] == {
        one.name: {"value": one.value, "interval": [min(one.each), max(one.each)], "implementation": one.implementation}
        for one in text_overlap(predicted, held)
    }, "of two patients some resamples have one alone"
    patients = ["p0", "p2"]
    again = set_agreement(predicted, held, equal).as_results(patients, resamples=60, seed=0)
    assert found["sets"]["equal"] == again and set(found["sets"]) == {"equal", "alike"}


def test_no_more_descriptors_are_explained_than_asked(case):
    made, row = single(case, [film(blunt=0.2, fluid=0.1, meniscus=0.1)] * 2, [["fluid"]] * 2)
    evaluation = dataclasses.replace(made.config.evaluation, explained=1)
    options = dataclasses.replace(made.config, evaluation=evaluation)
    found = results_of({"bottleneck": row}, made.data, options)["explanations"]
    assert found["sets"]["equal"]["micro"]["recall"] == 0


def test_without_any_report_there_is_nothing_to_compare(case):
    made, row = single(case, [film(blunt=0.2), film(clear=0.1)], [[], []])
    found = results_of({"bottleneck": row}, made.data, made.config)["explanations"]
    assert found == {
        "reference": "reports", "descriptors": 5, "studies": 0, "without_report": 2, "text": {}, "sets": {},
    }  # fmt: skip


@pytest.fixture
def methods(case):
    """Forty films of twenty patients, and four methods that are better than guessing."""
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 2, 40)
    cosines = 0.25 + 0.05 * rng.normal(size=(40, 5)) + 0.03 * gold[:, None] * np.array([-1, 0, 1, 0, 1])
    made = case(np.eye(2)[gold], [f"p{n // 2}" for n in range(40)], [["fluid"]] * 40)
    bias = np.array([0.0, -2.0])
    return made, {
        "bottleneck": made.row(cosines, TYPICAL, KERNEL, bias),
        "bottleneck_push_absent": made.row(cosines, TYPICAL, KERNEL / 2, bias),
        "random_descriptors": made.row(rng.permuted(cosines, axis=1), TYPICAL, KERNEL, bias),
        "black_box": made.black_box(np.eye(2)[gold] * 0.6 + 0.2),
    }


def test_concepts_kept_of_the_first_method_and_of_the_random_control(methods):
    made, rows = methods
    results = json.loads(json.dumps(results_of(rows, made.data, made.config), allow_nan=False))
    assert list(results["kept"]) == ["bottleneck", "random_descriptors"]
    assert list(results["kept"]["bottleneck"]) == ["1", "2", "3", "5"]
    for name, kept in results["kept"].items():
        whole = results["methods"][name]
        for figure in ("accuracy", "auroc", "accuracy_interval", "auroc_interval"):
            assert kept["5"][figure] == pytest.approx(whole[figure]), "all concepts are the model itself"
    row, gold = rows["bottleneck"], made.data.test.targets.argmax(axis=1)
    # The two largest weights for effusion are those of clear lungs and of a blunt angle.
    base = -2 + TYPICAL @ (KERNEL[:, 1] - KERNEL[:, 0])
    logit = base + (row.cosines - TYPICAL)[:, [0, 2]] @ np.array([-30.0, 30.0])
    risk = 1 / (1 + np.exp(-logit))
    evaluated = (np.stack([1 - risk, risk], axis=1), gold, "binary")
    patients = made.data.test.patients
    intervals = dict(
        zip(FIGURES, bootstrap_intervals(resampled(*evaluated), patients, resamples=60, seed=0), strict=True)
    )
    two = results["kept"]["bottleneck"]["2"]
    for name in ("accuracy", "auroc"):
        assert two[name] == pytest.approx(figures(*evaluated)[name])
        assert two[f"{name}_interval"] == pytest.approx(intervals[name])


def test_methods_are_compared_with_the_first_one(methods):
    made, rows = methods
    found = results_of(rows, made.data, made.config)["auroc_differences"]
    assert list(found) == [f"bottleneck - {name}" for name in list(rows)[1:]]
    gold = made.data.test.targets.argmax(axis=1)
    evaluated = [(rows[name].probabilities, gold, "binary") for name in ("bottleneck", "black_box")]
    value = figures(*evaluated[0])["auroc"] - figures(*evaluated[1])["auroc"]
    both = [resampled(*method) for method in evaluated]
    (interval,) = bootstrap_intervals(
        lambda weights: (both[0](weights) - both[1](weights))[[FIGURES.index("auroc")]],
        made.data.test.patients, resamples=60, seed=0,
    )  # fmt: skip
    assert interval is not None and interval.low < value < interval.high
    difference = found["bottleneck - black_box"]
    assert difference == {"value": pytest.approx(value), "interval": pytest.approx(list(interval))}


def test_a_black_box_that_comes_first_explains_nothing(methods):
    made, rows = methods
    results = results_of({"black_box": rows["black_box"]}, made.data, made.config)
    assert "explanations" not in results and "kept" not in results
    both = results_of({name: rows[name] for name in ("black_box", "random_descriptors")}, made.data, made.config)
    assert list(both["kept"]) == ["random_descriptors"]


def test_the_table_has_intervals(methods):
    _, rows = methods
    head, *lines, foot = table(rows).splitlines()
    assert head.split() == ["accuracy", "F1", "AUROC"]
    scores = rows["bottleneck"].main
    low, high = scores.auroc_interval
    assert lines[0].split("  ")[-1].strip() == f"{100 * scores.auroc:.1f} ({100 * low:.1f}-{100 * high:.1f})"
    assert [len(line.split()) for line in lines] == [7] * 4 and len({len(line) for line in (head, *lines)}) == 1
    assert foot.startswith("in brackets 95 % intervals; 40 studies of 20 patients")


def test_a_score_that_is_not_defined_is_a_dash_in_the_table(case):
    _, row = single(case, [film(), film()], targets=np.array([[1, 0], [1, 0]]))
    assert table({"bottleneck": row}).splitlines()[1].split()[-1] == "-"


def test_a_test_set_of_one_class_has_no_auroc(case):
    """Of a small test split of a rare finding; every other figure is there, and the page can be written."""
    made = case([[1, 0]] * 3, "abc", [["clear lungs"]] * 3)
    cosines = np.stack([film(clear=0.1), film(blunt=0.1), film()])
    rows = {"bottleneck": made.row(cosines, TYPICAL, KERNEL, np.array([1.0, -1.0]))}
    results = json.loads(json.dumps(results_of(rows, made.data, made.config), allow_nan=False))
    assert results["methods"]["bottleneck"]["auroc"] is None
    assert all(one["auroc"] is None and one["accuracy"] is not None for one in results["kept"]["bottleneck"].values())
    assert "bottleneck" in table(rows)
