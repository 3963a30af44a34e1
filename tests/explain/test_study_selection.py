"""The telling evidence of a diagnosis, against a slow search and by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.study_records import Evidence
from ecor_jax.explain.study_selection import compare, select, strongest_first

# Few values, so that ties and zeros are the rule.
EVIDENCE = st.lists(
    st.builds(
        Evidence,
        descriptor=st.uuids().map(str),
        group=st.just("pleura"),
        cosine=st.sampled_from([0.125, 0.25, 0.375]),
        typical=st.just(0.25),
        weight=st.sampled_from([-8.0, -4.0, 0.0, 4.0, 8.0]),
    ),
    max_size=20,
)

CHEST = [
    Evidence("blunt angle", "pleura", 0.30, 0.25, 20.0),  # +1.0, seen
    Evidence("clear lungs", "lungs", 0.20, 0.25, -30.0),  # +1.5, not seen
    Evidence("sharp angle", "pleura", 0.30, 0.25, -4.0),  # -0.2, seen
    Evidence("meniscus sign", "pleura", 0.20, 0.25, 10.0),  # -0.5, not seen
    Evidence("effusion", "pleura", 0.35, 0.25, 5.0),  # +0.5, seen
    Evidence("typical spine", "bones", 0.25, 0.25, 90.0),  # nothing, not seen
    Evidence("pacemaker", "devices", 0.30, 0.25, 0.0),  # nothing, seen
]


def names(evidence) -> list[str]:
    return [one.descriptor for one in evidence]


def test_contribution_and_seen():
    assert [one.contribution for one in CHEST] == pytest.approx([1.0, 1.5, -0.2, -0.5, 0.5, 0.0, 0.0])
    assert [one.seen for one in CHEST] == [True, False, True, False, True, False, True]


def test_by_hand():
    chosen = select(CHEST, top=1)
    assert names(chosen.seen_for) == ["blunt angle"]
    assert names(chosen.seen_against) == ["sharp angle"]
    assert names(chosen.unseen_for) == ["clear lungs"]
    assert names(chosen.unseen_against) == ["meniscus sign"]
    assert (chosen.rest, chosen.left_out) == (pytest.approx(0.5), 3)
    assert names(select(CHEST, top=5).seen_for) == ["blunt angle", "effusion"]


def test_ties_keep_the_order():
    tied = [Evidence(name, "", 0.5, 0.25, weight) for name, weight in (("b", 4.0), ("a", 4.0), ("c", -4.0), ("d", 8.0))]
    assert names(strongest_first(tied)) == ["d", "b", "a", "c"]
    assert names(select(tied, top=2).seen_for) == ["d", "b"]


@given(EVIDENCE, st.integers(0, 4))
def test_equals_a_slow_search(evidence, top):
    chosen = select(evidence, top)
    for seen, positive, found in (
        (True, True, chosen.seen_for), (True, False, chosen.seen_against),
        (False, True, chosen.unseen_for), (False, False, chosen.unseen_against),
    ):  # fmt: skip
        left = []
        for one in evidence:
            value = one.weight * (one.cosine - 0.25)
            if (one.cosine > 0.25) == seen and (value > 0 if positive else value < 0):
                left.append(one)
        expected = []
        while left and len(expected) < top:
            winner = left[0]
            for one in left[1:]:
                if abs(one.weight * (one.cosine - 0.25)) > abs(winner.weight * (winner.cosine - 0.25)):
                    winner = one
            left.remove(winner)
            expected.append(winner)
        assert list(found) == expected


@given(EVIDENCE, st.integers(0, 4))
def test_what_is_shown_and_the_rest_add_up(evidence, top):
    chosen = select(evidence, top)
    assert math.fsum(one.contribution for one in chosen.shown) + chosen.rest == pytest.approx(
        sum(one.weight * (one.cosine - one.typical) for one in evidence), abs=1e-9
    )
    assert len(chosen.shown) + chosen.left_out == len(evidence)


def test_reported_descriptors_are_found_whatever_their_capitals_and_spaces():
    found = compare(["Blunt  Angle", "clear lungs", "hiatal hernia", " effusion "], CHEST)
    assert [one.seen for one in found] == [True, False, None, True]
    assert [one.descriptor for one in found] == ["Blunt  Angle", "clear lungs", "hiatal hernia", " effusion "]
    twice = [Evidence("scar", "lungs", 0.3, 0.25, 1.0), Evidence("scar", "other", 0.2, 0.25, 1.0)]
    assert [one.seen for one in compare(["scar"], twice)] == [True], "seen in one of two groups is seen"
