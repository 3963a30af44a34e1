"""The telling groups of a pair, against a slow search and by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.tasks.verification.explanation import (
    Concept,
    ExplainedPair,
    Intervention,
    Side,
    groups,
    most_different,
    most_missing,
    most_shared,
)

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


def test_missing_by_hand():
    """Contributions are .15 (nose), -.1 (eyes), .15 (ears)."""
    found = most_missing(FACE, {"nose": 0.2, "eyes": 0.3, "ears": 0.15}, top=9)
    assert [(one.group, one.typical) for one in found] == [("eyes", 0.3), ("nose", 0.2)]
    assert [concept.descriptor for concept in found[1].concepts] == ["broad", "narrow"]
    assert [one.group for one in most_missing(FACE, {"eyes": 0.3, "nose": 0.2}, top=1)] == ["eyes"]
    assert most_missing(FACE, {}, top=9) == []


# Explained pairs


def pair(**changes) -> ExplainedPair:
    """FACE adds up to .2."""
    sides = Side("a.png", Image.new("L", (4, 4))), Side("b.png", Image.new("L", (4, 4)))
    return ExplainedPair(*sides, **({"similarity": 0.2, "threshold": 0.1, "concepts": FACE} | changes))


def test_contributions_have_to_add_up():
    assert pair().total == pytest.approx(0.2)
    assert pair(similarity=0.0, bias=-0.2).total == pytest.approx(0.0)
    assert pair(similarity=0.20005).total == pytest.approx(0.2)
    for wrong in (0.2002, float("nan")):
        with pytest.raises(ValueError, match=r"add up to 0\.2.*not to the similarity"):
            pair(similarity=wrong)
    with pytest.raises(ValueError, match="add up"):
        pair(bias=-0.2)


@pytest.mark.parametrize(
    ("threshold", "same", "matches", "right"),
    [(0.1, True, True, True), (0.1, False, True, False), (0.9, True, False, False), (0.9, False, False, True),
     (0.1, None, True, None), (0.2, True, False, False)],
)  # fmt: skip
def test_verdict_and_gold(threshold, same, matches, right):
    judged = pair(threshold=threshold, same=same)
    assert (judged.match, judged.right) == (matches, right)


def test_what_tells_a_match_from_a_no():
    assert [one.group for one in pair().telling(9)] == ["nose", "ears", "eyes"]
    assert [one.group for one in pair(threshold=0.9).telling(9)] == ["nose", "eyes", "ears"]
    assert [one.group for one in pair(threshold=0.9, typical={"eyes": 0.3}).telling(9)] == ["eyes"]
    nothing_missing = pair(threshold=0.9, typical={"eyes": -0.3}).telling(9)
    assert [one.group for one in nothing_missing] == ["nose", "eyes", "ears"]


def test_plain_values():
    moved = [Intervention("nose", "broad", 0.3, 0.0, 0.1)]
    values = json.loads(json.dumps(pair(interventions=moved, threshold_source="given").to_dict()))
    assert values["first"] == {"name": "a.png"} and values["match"] is True and values["same"] is None
    assert values["concepts"][0] == {
        "group": "nose", "descriptor": "broad", "first": 0.6, "second": 0.3, "contribution": 0.1,
    }  # fmt: skip
    assert values["interventions"][0]["similarity"] == 0.1 and values["threshold_source"] == "given"
