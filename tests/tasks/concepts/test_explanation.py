"""Records of explained studies, and the telling evidence: against a slow search and by hand."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.tasks.concepts.explanation import KINDS, Answer, Evidence, ExplainedImage, WhatIf, sigmoid

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


def diagnosis(evidence=tuple(CHEST), base: float = -0.7, **changes) -> Answer:
    """CHEST adds up to 2.3: a logit of 1.6."""
    logit = base + sum(map(value, evidence))
    return Answer(
        **({"label": "Effusion", "probability": sigmoid(logit), "base": base, "evidence": evidence} | changes)
    )


def study(*answers: Answer, **changes) -> ExplainedImage:
    return ExplainedImage("film.png", Image.new("L", (4, 4)), answers or (diagnosis(),), **changes)


@given(st.floats(-700, 700))
def test_sigmoid(logit):
    assert sigmoid(logit) == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)
    assert sigmoid(-1e9) == 0.0 and sigmoid(1e9) == 1.0


def test_the_probability_has_to_be_that_of_the_evidence():
    assert diagnosis().logit == pytest.approx(1.6)
    assert diagnosis(probability=0.8325).logit == pytest.approx(1.6), "float32 may miss it by a little"
    for wrong in (0.84, 1.6, float("nan")):
        with pytest.raises(ValueError, match=r"Effusion.*add up to a logit of 1\.6.*not"):
            diagnosis(probability=wrong)
    with pytest.raises(ValueError, match="add up"):
        diagnosis(evidence=[dataclasses.replace(CHEST[0], cosine=float("nan"))])


@pytest.mark.parametrize(
    ("logit", "gold", "found", "right"),
    [(1.6, True, True, True), (1.6, False, True, False), (-0.1, True, False, False), (-0.1, False, False, True),
     (1.6, None, True, None), (0.0, None, False, None)],
)  # fmt: skip
def test_found_and_right(logit, gold, found, right):
    evaluated = diagnosis((), base=logit, gold=gold)
    assert (evaluated.found, evaluated.right) == (found, right)


def test_the_odds_of_two_classes_have_to_be_those_of_the_evidence():
    share = sigmoid(1.6)
    answer = diagnosis(label="cat", probability=0.6 * share, rival="dog", rival_probability=0.6 * (1 - share))
    assert answer.found and answer.threshold == 0.6 * (1 - share)
    with pytest.raises(ValueError, match="add up"):
        diagnosis(label="cat", probability=0.6, rival="dog", rival_probability=0.3)


def test_what_ifs_have_to_be_of_this_study():
    asked = WhatIf("blunt angle", 0.30, 0.25, sigmoid(0.6))
    study(what_ifs={"Effusion": [asked]})
    with pytest.raises(ValueError, match=r"what-ifs of 'Edema', which is none of \['Effusion'\]"):
        study(what_ifs={"Edema": [asked]})
    with pytest.raises(ValueError, match="'hernia', which is no evidence"):
        study(what_ifs={"Effusion": [dataclasses.replace(asked, descriptor="hernia")]})
    with pytest.raises(ValueError, match=r"probability of 0\.9, its weight gives 0\.645"):
        study(what_ifs={"Effusion": [dataclasses.replace(asked, probability=0.9)]})


def test_contribution_and_seen():
    assert [piece.contribution for piece in CHEST] == pytest.approx([1.0, 1.5, -0.2, -0.5, 0.5, 0.0, 0.0])
    assert [piece.seen for piece in CHEST] == [True, False, True, False, True, False, True]


def value(piece: Evidence) -> float:
    return piece.weight * (piece.cosine - piece.typical)


@given(EVIDENCE, st.integers(0, 4))
def test_the_strongest_of_every_kind_are_shown_and_the_rest_adds_up(evidence, top):
    """Equally strong ones keep their order."""
    answer, order = diagnosis(evidence), sorted(evidence, key=lambda piece: -abs(value(piece)))
    assert answer.ranked() == order
    chosen, shown = answer.selected(top), []
    for (seen, positive), name in KINDS.items():
        kind = [piece for piece in order if (value(piece) > 0 if positive else value(piece) < 0)]
        expected = [piece for piece in kind if (piece.cosine > 0.25) == seen][:top]
        assert chosen.kinds.get(name, []) == expected
        shown += expected
    total = sum(map(value, evidence))
    assert math.fsum(map(value, shown)) + chosen.rest == pytest.approx(total, abs=1e-9)
    assert len(shown) + chosen.left_out == len(evidence)


def test_reported_descriptors_are_found_whatever_their_capitals_and_spaces():
    reported = ["Blunt  Angle", "clear lungs", "hiatal hernia", " effusion "]
    assert study(reported=reported).compared() == dict(zip(reported, [True, False, None, True], strict=True))
    twice = [Evidence("scar", "lungs", 0.3, 0.25, 1.0), Evidence("scar", "other", 0.2, 0.25, 1.0)]
    assert study(diagnosis(twice), reported=["scar"]).compared() == {"scar": True}, "seen in one of two groups is seen"


def test_plain_values():
    asked = {"Effusion": [WhatIf("blunt angle", 0.30, 0.25, sigmoid(0.6))]}
    values = json.loads(json.dumps(study(what_ifs=asked, reported=["x"], report_source="the labels").to_dict()))
    (finding,) = values["answers"]
    assert finding["logit"] == pytest.approx(1.6) and finding["found"] is True and finding["gold"] is None
    assert finding["evidence"][0]["contribution"] == pytest.approx(1.0) and finding["evidence"][0]["seen"] is True
    assert (
        values["what_ifs"]["Effusion"][0]["cosine_to"] == 0.25 and values["reported"] == ["x"] and "image" not in values
    )
