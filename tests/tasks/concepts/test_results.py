"""What a diagnosis run measures, against sums done by hand: reasons, agreement with reports, concepts kept, table."""

import dataclasses
import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.config.options import defaults, read
from ecor_jax.data.tally import Tally
from ecor_jax.metrics.bootstrap import bootstrap_intervals
from ecor_jax.metrics.classification import FIGURES, figures, resampled
from ecor_jax.metrics.scores import score_classes, score_labels
from ecor_jax.radiology.reports.descriptor_sets import equal, set_agreement
from ecor_jax.radiology.reports.text_overlap import text_overlap
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.heads import BlackBox, probabilities
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.results import Evaluation, reasons, results_of, table
from tests.tasks.concepts.heads import DESCRIPTORS
from tests.tasks.steps import bottleneck

CLEAR, SHARP, BLUNT, MENISCUS, FLUID = DESCRIPTORS.phrases
TYPICAL = np.full(5, 0.25)
KERNEL = np.array([[10, -20], [2, -2], [-10, 20], [-1, 1], [0, 10]], float)
"""For effusion: -30, -4, +30, +2, +10."""


class Case:
    """Test studies with these targets, patients and phrases; those trained on are the same and do not matter."""

    def __init__(self, targets, patients=None, phrases=None, *, single_label: bool = True):
        count = len(targets)
        config = defaults(ConceptsOptions)
        config.concepts.source, config.data.single_label, config.evaluation.resamples = "reports", single_label, 60
        self.config = read(ConceptsOptions, config)
        pictures: Any = range(count)
        self.targets, self.patients = np.asarray(targets, np.float32), tuple(patients or map(str, range(count)))
        nothing = np.zeros((count, len(DESCRIPTORS.phrases)), bool)
        split = Split(pictures, self.targets, nothing, phrases or [["x"]] * count, self.patients)
        self.classes = ("No Finding", "Effusion") if single_label else ("Effusion", "Edema", "Mass")
        self.data = ConceptsDataset(self.classes, single_label, DESCRIPTORS, None, split, None, split, Tally())

    def row(self, cosines, kernel=KERNEL, bias=(0.0, -5.0)) -> Evaluation:
        """A bottleneck that has these cosines and weights; at the typical ones the logit of an effusion is -3."""
        cosines = np.asarray(cosines, np.float32)
        head = bottleneck(len(kernel), 5, size=kernel.shape[1])
        head.aggregation.kernel[...], head.aggregation.bias[...] = (jnp.asarray(a, jnp.float32) for a in (kernel, bias))
        found = probabilities((cosines @ kernel + np.asarray(bias)).astype(np.float32), self.data.exclusive)
        return Evaluation(head, found, cosines, TYPICAL.astype(np.float32), self._scores(found))

    def black_box(self, found: np.ndarray) -> Evaluation:
        """A black box that has these probabilities."""
        return Evaluation(BlackBox(5, 0, found.shape[1], rngs=nnx.Rngs(0)), found, None, None, self._scores(found))

    def _scores(self, found: np.ndarray):
        options: dict[str, Any] = {"resamples": 60, "seed": self.config.seed}
        if self.data.exclusive:
            return score_classes(found, np.argmax(self.targets, axis=1), self.patients, "binary", **options)
        return score_labels(found, self.targets, self.patients, self.classes, "binary", **options)

    def results(self, **rows: Evaluation) -> dict[str, Any]:
        return json.loads(json.dumps(results_of(rows, self.data, self.config), allow_nan=False))


def film(**beyond: float) -> np.ndarray:
    """Cosines that are this much beyond the typical ones."""
    names = ("clear", "sharp", "blunt", "meniscus", "fluid")
    return TYPICAL + [beyond.get(name, 0.0) for name in names]


@pytest.mark.parametrize("single_label", [True, False])
def test_reasons_are_what_is_seen_and_speaks_for_the_answer_by_contribution(single_label):
    """By loops; of what is found for it, and where nothing is found against all that could be."""
    rng, findings = np.random.default_rng(0), [1] if single_label else [0, 1, 2]
    kernel, bias = 20 * rng.normal(size=(5, 2 if single_label else 3)), np.zeros(2 if single_label else 3)
    cosines = 0.25 + 0.1 * rng.normal(size=(60, 5))
    case = Case(rng.integers(0, 2, (60, len(bias))), single_label=single_label)
    own = kernel - kernel[:, :1] if single_label else kernel
    expected, kinds = [], set()
    for study in cosines:
        found = [f for f in findings if study @ own[:, f] > 0]
        kinds.add(len(found))
        totals = {}
        for concept, phrase in enumerate(DESCRIPTORS.phrases):
            excess = study[concept] - 0.25
            total = sum(own[concept, f] * excess for f in found or findings) * (1 if found else -1)
            if excess > 0 and total > 0:
                totals[phrase] = total
        expected.append(sorted(totals, key=lambda name: -totals[name])[:3])
    assert kinds >= ({0, 1} if single_label else {0, 1, 2})
    assert reasons(case.row(cosines, kernel, bias), case.data, 3) == expected


def test_explanations_are_compared_with_the_whole_report():
    """A reported descriptor that the model does not have is one it misses; studies without report are left out."""
    films = [film(blunt=0.2, fluid=0.1), film(clear=0.1), film(blunt=0.2)]
    phrases = [["fluid", "rib fracture"], [], ["a blunt angle", "clear lungs", "a pacemaker"]]
    case = Case(np.eye(2)[[0, 1, 0]], ["p0", "p1", "p2"], phrases)
    row = case.row(films)
    found = results_of({"bottleneck": row}, case.data, case.config)["explanations"]
    assert (found["reference"], found["descriptors"], found["studies"], found["without_report"]) == ("reports", 5, 2, 1)
    micro, macro = found["sets"]["equal"]["micro"], found["sets"]["equal"]["macro"]
    assert (micro["precision"], micro["recall"], micro["f1"]) == (2 / 3, 2 / 5, 4 / 8)
    assert (macro["precision"], macro["recall"]) == pytest.approx(((1 / 2 + 1) / 2, (1 / 2 + 1 / 3) / 2))
    predicted, held = [[BLUNT, FLUID], [BLUNT]], [phrases[0], phrases[2]]
    assert found["text"] == {
        one.name: {"value": one.value, "interval": [min(one.each), max(one.each)], "implementation": one.implementation}
        for one in text_overlap(predicted, held)
    }, "of two patients some resamples have one alone"
    again = set_agreement(predicted, held, equal).as_results(["p0", "p2"], resamples=60, seed=0)
    assert found["sets"]["equal"] == again and set(found["sets"]) == {"equal", "alike"}
    # No more are explained than asked: of the first study the blunt angle alone, which is not in its report.
    fewer = dataclasses.replace(case.config, evaluation=dataclasses.replace(case.config.evaluation, explained=1))
    found = results_of({"bottleneck": row}, case.data, fewer)["explanations"]
    assert found["sets"]["equal"]["micro"]["recall"] == 1 / 5


def test_without_any_report_there_is_nothing_to_compare():
    case = Case(np.eye(2), phrases=[[], []])
    assert case.results(bottleneck=case.row([film(blunt=0.2), film(clear=0.1)]))["explanations"] == {
        "reference": "reports", "descriptors": 5, "studies": 0, "without_report": 2, "text": {}, "sets": {},
    }  # fmt: skip


@pytest.fixture
def methods():
    """Forty films of twenty patients, and four methods that are better than guessing."""
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 2, 40)
    cosines = 0.25 + 0.05 * rng.normal(size=(40, 5)) + 0.03 * gold[:, None] * np.array([-1, 0, 1, 0, 1])
    case = Case(np.eye(2)[gold], [f"p{n // 2}" for n in range(40)], [["fluid"]] * 40)
    return case, {
        "bottleneck": case.row(cosines, bias=(0, -2)),
        "bottleneck_push_absent": case.row(cosines, KERNEL / 2, (0, -2)),
        "random_descriptors": case.row(rng.permuted(cosines, axis=1), bias=(0, -2)),
        "black_box": case.black_box(np.eye(2)[gold] * 0.6 + 0.2),
    }


def test_concepts_kept_of_the_first_method_and_of_the_random_control(methods):
    case, rows = methods
    results = case.results(**rows)
    assert list(results["kept"]) == ["bottleneck", "random_descriptors"]
    assert list(results["kept"]["bottleneck"]) == ["1", "2", "3", "5"]
    for name, kept in results["kept"].items():
        whole = results["methods"][name]
        for figure in ("accuracy", "auroc", "accuracy_interval", "auroc_interval"):
            assert kept["5"][figure] == pytest.approx(whole[figure]), "all concepts are the model itself"
    # The two largest weights for effusion are those of clear lungs and of a blunt angle.
    base = -2 + TYPICAL @ (KERNEL[:, 1] - KERNEL[:, 0])
    logit = base + (rows["bottleneck"].cosines - TYPICAL)[:, [0, 2]] @ np.array([-30.0, 30.0])
    risk = 1 / (1 + np.exp(-logit))
    judged = (np.stack([1 - risk, risk], axis=1), case.targets.argmax(axis=1), "binary")
    intervals = bootstrap_intervals(resampled(*judged), case.patients, resamples=60, seed=0)
    two = results["kept"]["bottleneck"]["2"]
    for name in ("accuracy", "auroc"):
        assert two[name] == pytest.approx(figures(*judged)[name])
        assert two[f"{name}_interval"] == pytest.approx(intervals[FIGURES.index(name)])


def test_methods_are_compared_with_the_first_one(methods):
    case, rows = methods
    found = case.results(**rows)["auroc_differences"]
    assert list(found) == [f"bottleneck - {name}" for name in list(rows)[1:]]
    gold = case.targets.argmax(axis=1)
    judged = [(rows[name].probabilities, gold, "binary") for name in ("bottleneck", "black_box")]
    value = figures(*judged[0])["auroc"] - figures(*judged[1])["auroc"]
    both = [resampled(*method) for method in judged]
    (interval,) = bootstrap_intervals(
        lambda weights: (both[0](weights) - both[1](weights))[[FIGURES.index("auroc")]],
        case.patients, resamples=60, seed=0,
    )  # fmt: skip
    assert interval is not None and interval.low < value < interval.high
    difference = found["bottleneck - black_box"]
    assert difference == {"value": pytest.approx(value), "interval": pytest.approx(list(interval))}


def test_a_black_box_that_comes_first_explains_nothing(methods):
    case, rows = methods
    results = case.results(black_box=rows["black_box"])
    assert "explanations" not in results and "kept" not in results
    both = case.results(**{name: rows[name] for name in ("black_box", "random_descriptors")})
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


def test_a_test_set_of_one_class_has_no_auroc():
    """Of a small test split of a rare finding; every other figure is there, and the table has a dash."""
    case = Case([[1, 0]] * 3, phrases=[["clear lungs"]] * 3)
    rows = {"bottleneck": case.row([film(clear=0.1), film(blunt=0.1), film()], bias=(1, -1))}
    results = case.results(**rows)
    assert results["methods"]["bottleneck"]["auroc"] is None
    assert all(one["auroc"] is None and one["accuracy"] is not None for one in results["kept"]["bottleneck"].values())
    assert table(rows).splitlines()[1].split()[-1] == "-"
