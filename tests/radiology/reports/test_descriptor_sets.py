"""Agreement of sets of descriptors, against every possible matching."""

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.radiology.reports.descriptor_sets import alike, equal, set_agreement

WORDS = ["pleural", "effusion", "effusions", "left", "of", "the", "heart", "no", "large"]
DESCRIPTORS = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), max_size=4)
STUDIES = st.lists(st.tuples(DESCRIPTORS, DESCRIPTORS), min_size=1, max_size=4)


def agreement(studies, match):
    return set_agreement([said for said, _ in studies], [truth for _, truth in studies], match)


def slow_matched(said, truth, match):
    """The best of all ways to pair the smaller set with the larger."""
    said, truth = ({" ".join(text.lower().split()) for text in texts} for texts in (said, truth))
    small, large = sorted((list(said), list(truth)), key=len)
    return max(sum(map(match, small, chosen)) for chosen in permutations(large, len(small))), len(said), len(truth)


def slow_scores(matched, said, truth):
    if said == truth == 0:
        return 1, 1, 1
    precision, recall = matched / said if said else 0, matched / truth if truth else 0
    return precision, recall, 2 * precision * recall / (precision + recall) if matched else 0


@given(STUDIES, st.sampled_from([equal, alike]))
def test_equals_every_matching_tried(studies, match):
    counts = [slow_matched(*study, match) for study in studies]
    result = agreement(studies, match)
    assert result.micro == pytest.approx(slow_scores(*map(sum, zip(*counts, strict=True))))
    each = [slow_scores(*count) for count in counts]
    assert result.macro == pytest.approx([sum(column) / len(each) for column in zip(*each, strict=True)])


def test_results_have_intervals_over_patients():
    """Of two patients a resample has one or both: the interval runs from the worse to the better."""
    said, truth = [["fluid"], ["fluid", "air"], ["mass"]], [["fluid"], ["fluid"], ["air"]]
    result = set_agreement(said, truth, equal)
    results = json.loads(json.dumps(result.as_results(["a", "a", "b"], resamples=500)))
    assert results["micro"] == {
        "precision": 2 / 4, "precision_interval": [0, 2 / 3],
        "recall": 2 / 3, "recall_interval": [0, 1],
        "f1": 4 / 7, "f1_interval": [0, 4 / 5],
    }  # fmt: skip
    assert results["macro"]["precision"] == 1.5 / 3 and results["macro"]["precision_interval"] == [0, 1.5 / 2]
    assert results["macro"]["f1_interval"] == pytest.approx([0, (1 + 2 / 3) / 2])
    assert result.as_results(None)["micro"] == {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7}


def test_nothing_named_at_all_has_no_interval_of_its_precision():
    results = set_agreement([[]], [["fluid"]], equal).as_results(["a"], resamples=20)
    assert results["micro"]["precision_interval"] is None and results["micro"]["recall_interval"] == [0, 0]
    assert results["macro"]["precision"] == 0 and results["macro"]["precision_interval"] == [0, 0]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("pleural effusions", "pleural effusion", True), ("left pleural effusion", "pleural effusion", True),
        ("effusion", "left pleural effusion", False), ("heart size", "normal heart", False),
        ("no effusion", "effusion", False), ("no effusion", "without effusion", True),
        ("possible effusion", "effusion", False), ("possible effusion", "possible effusions", True),
        ("no effusion", "no pneumothorax", False), ("", "", True),
        ("of the", "of the", True), ("of the", "in the", False),
    ],
)  # fmt: skip
def test_alike(first, second, expected):
    assert alike(first, second) is expected and alike(second, first) is expected


def test_a_greedy_matching_would_match_fewer():
    """The first is like both, the second only like the descriptor that the first would take."""
    said = ["acute basal pleural effusion", "acute effusion"]
    truth = ["acute pleural effusion", "basal pleural effusion"]
    assert [[alike(text, true) for true in truth] for text in said] == [[True, True], [True, False]]
    assert set_agreement([said], [truth], alike).micro == (1, 1, 1)
