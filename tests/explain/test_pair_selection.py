"""The telling groups of a pair, against a slow search and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.pair_records import Concept
from ecor_jax.explain.pair_selection import groups, most_different, most_shared

# Few values, so that ties are the rule.
CONCEPTS = st.lists(
    st.builds(
        Concept,
        group=st.sampled_from(["nose", "eyes", "ears"]),
        descriptor=st.uuids().map(str),
        first=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        second=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        contribution=st.sampled_from([-0.5, 0.0, 0.25, 0.5]),
    ),
    max_size=8,
)

FACE = [
    Concept("nose", "broad", 0.6, 0.3, 0.10),
    Concept("nose", "narrow", 0.4, 0.7, 0.05),
    Concept("eyes", "round", 0.9, 0.8, 0.20),
    Concept("eyes", "almond", 0.1, 0.2, -0.30),
    Concept("ears", "large", 0.5, 0.5, 0.15),
    Concept("ears", "small", 0.5, 0.5, 0.0),
]


def test_shared_by_hand():
    found = most_shared(FACE, top=2)
    assert [(one.group, [concept.descriptor for concept in one.concepts]) for one in found] == [
        ("nose", ["narrow"]),  # both show at least .4 of it, of "broad" only .3
        ("ears", ["large"]),  # a tie: the first in order; and the groups tie at .15: nose comes first
    ]
    assert [one.contribution for one in found] == pytest.approx([0.15, 0.15])
    assert [one.group for one in most_shared(FACE, top=9)] == ["nose", "ears", "eyes"]


def test_different_by_hand():
    found = most_different(FACE, top=3)
    assert [(one.group, [concept.descriptor for concept in one.concepts]) for one in found] == [
        ("nose", ["broad", "narrow"]), ("eyes", ["round"]), ("ears", ["large"]),
    ]  # fmt: skip
    assert [one.difference for one in found] == pytest.approx([0.3, 0.1, 0.0])
    assert [one.size for one in found] == [2, 2, 2]


def test_groups_keep_the_order_even_where_they_are_scattered():
    scattered = [FACE[2], FACE[0], FACE[3], FACE[1]]
    assert groups(scattered) == {"eyes": [FACE[2], FACE[3]], "nose": [FACE[0], FACE[1]]}


@given(CONCEPTS, st.integers(0, 4))
def test_shared_equals_a_slow_search(concepts, top):
    order = []
    for concept in concepts:
        if concept.group not in order:
            order.append(concept.group)
    expected = []
    for name in order:
        best = None
        for concept in concepts:
            least = min(concept.first, concept.second)
            if concept.group == name and (best is None or least > min(best.first, best.second)):
                best = concept
        total = sum(concept.contribution for concept in concepts if concept.group == name)
        expected.append((name, best, total))
    ranked = []
    while expected and len(ranked) < top:
        winner = expected[0]
        for one in expected[1:]:
            if one[2] > winner[2]:
                winner = one
        expected.remove(winner)
        ranked.append(winner)
    assert [(one.group, *one.concepts, one.contribution) for one in most_shared(concepts, top)] == ranked


@given(CONCEPTS, st.integers(0, 4))
def test_different_equals_a_slow_search(concepts, top):
    found = most_different(concepts, top)
    names = list(dict.fromkeys(concept.group for concept in concepts))
    assert len(found) == min(top, len(names))
    distance = {name: sum(abs(one.first - one.second) for one in concepts if one.group == name) / 2 for name in names}
    assert [one.group for one in found] == sorted(names, key=lambda one: (-distance[one], names.index(one)))[:top]
    for one in found:
        members = [concept for concept in concepts if concept.group == one.group]
        assert one.difference == pytest.approx(distance[one.group]) and one.size == len(members)
        first, second = one.concepts[0], one.concepts[-1]
        assert members.index(first) == [m.first for m in members].index(max(m.first for m in members))
        assert members.index(second) == [m.second for m in members].index(max(m.second for m in members))
        assert len(one.concepts) == (1 if first is second else 2)
