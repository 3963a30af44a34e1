"""The telling groups of a pair, against a slow search; and what has to add up."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.tasks.verification import explanation
from ecor_jax.tasks.verification.explanation import Concept, ExplainedPair, Intervention, Side

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


def members_of(concepts: list[Concept]) -> dict[str, list[Concept]]:
    names = dict.fromkeys(concept.group for concept in concepts)
    return {name: [concept for concept in concepts if concept.group == name] for name in names}


@given(CONCEPTS, st.integers(0, 4))
def test_shared_by_a_slow_search(concepts, top):
    """Of what both show most, the first counts where several tie; so it is with groups."""
    members, shared = members_of(concepts), explanation.most_shared(concepts, top)
    total = {name: sum(concept.contribution for concept in group) for name, group in members.items()}
    assert [group.group for group in shared] == sorted(members, key=lambda name: -total[name])[:top]
    for group in shared:
        best = max(members[group.group], key=lambda concept: min(concept.first, concept.second))
        assert ([*group.concepts], group.contribution) == ([best], total[group.group])


@given(CONCEPTS, st.integers(0, 4))
def test_different_by_a_slow_search(concepts, top):
    members, different = members_of(concepts), explanation.most_different(concepts, top)
    distance = {name: sum(abs(one.first - one.second) for one in group) / 2 for name, group in members.items()}
    assert [group.group for group in different] == sorted(members, key=lambda name: -distance[name])[:top]
    for group in different:
        both = members[group.group]
        strongest = [max(both, key=lambda concept: concept.first), max(both, key=lambda concept: concept.second)]
        assert [*group.concepts] == (strongest if strongest[0] is not strongest[1] else strongest[:1])
        assert (group.difference, group.size) == (pytest.approx(distance[group.group]), len(both))


def test_missing_by_hand():
    """Contributions are .15 (nose), -.1 (eyes), .15 (ears)."""
    found = explanation.most_missing(FACE, {"nose": 0.2, "eyes": 0.3, "ears": 0.15}, top=9)
    assert [(one.group, one.typical) for one in found] == [("eyes", 0.3), ("nose", 0.2)]
    assert [concept.descriptor for concept in found[1].concepts] == ["broad", "narrow"]
    assert [one.group for one in explanation.most_missing(FACE, {"eyes": 0.3, "nose": 0.2}, top=1)] == ["eyes"]
    assert explanation.most_missing(FACE, {}, top=9) == []


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
    evaluated = pair(threshold=threshold, same=same)
    assert (evaluated.match, evaluated.right) == (matches, right)


def test_what_tells_a_match_from_a_no():
    assert [one.group for one in pair().telling(9)] == ["nose", "ears", "eyes"]
    assert [one.group for one in pair(threshold=0.9).telling(9)] == ["nose", "eyes", "ears"]
    assert [one.group for one in pair(threshold=0.9, typical={"eyes": 0.3}).telling(9)] == ["eyes"]
    nothing_missing = pair(threshold=0.9, typical={"eyes": -0.3}).telling(9)
    assert [one.group for one in nothing_missing] == ["nose", "eyes", "ears"]


@given(CONCEPTS, st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), st.booleans())
def test_counterfactuals_against_all_subsets(concepts, threshold, known):
    """Contributions are quarters, so that sums are exact."""
    total = sum(concept.contribution for concept in concepts)
    members, typical = members_of(concepts), {"nose": 0.75, "eyes": 0.25, "ears": -0.25} if known else {}
    own = pair(concepts=concepts, similarity=total, threshold=threshold, typical=typical)
    if own.match:
        changes = [-concept.contribution for concept in concepts]
    else:
        gained = {name: typical[name] - sum(one.contribution for one in members[name]) for name in members if known}
        changes = list(gained.values())
    flips = [
        size
        for size in range(1, len(changes) + 1)
        if any((total + sum(few) > threshold) != own.match for few in itertools.combinations(changes, size))
    ]
    found = own.counterfactual
    assert (found is None) == (not flips)
    if found is not None:
        chosen = found.removed if own.match else found.groups
        assert len(chosen) == flips[0] and not (found.groups if own.match else found.removed)
        moved = sum(-one.contribution for one in found.removed) + sum(gained[name] for name in found.groups or ())
        assert found.similarity == total + moved and (found.similarity > threshold) != own.match


def test_plain_values():
    moved = [Intervention("nose", "broad", 0.3, 0.0, 0.1)]
    values = json.loads(json.dumps(pair(interventions=moved, threshold_source="given").to_dict()))
    assert values["first"] == {"name": "a.png", "saliency": {}} and values["match"] is True and values["same"] is None
    assert values["concepts"][0] == {
        "group": "nose", "descriptor": "broad", "first": 0.6, "second": 0.3, "contribution": 0.1,
    }  # fmt: skip
    (removed,) = values["counterfactual"]["removed"]
    assert (removed["descriptor"], values["counterfactual"]["similarity"]) == ("round", pytest.approx(0.0))
    assert values["interventions"][0]["similarity"] == 0.1 and values["threshold_source"] == "given"
