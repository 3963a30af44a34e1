"""Captions of chest X-rays made from labels: one finding at a time, and words that go with it."""

import pickle
from collections import Counter

import numpy as np
import pytest

from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InOrder
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.data.xray.captions import DESCRIPTOR_TEMPLATES, NAME_SHARE, NAME_TEMPLATES, OneFinding, StudyCaptions
from ecor_jax.data.xray.nih import FINDINGS
from ecor_jax.errors import UserError

DESCRIPTORS = Descriptors.from_groups(
    {"effusion": ["a meniscus", "a blunt angle", "fluid"], "edema": ["vessels", "lines"], "no finding": ["clear", "x"]},
    "here",
)
CATEGORIES = ("edema|effusion", "", "no finding", "hernia", "effusion", "hernia|no finding|edema")


def source(*categories: str) -> InOrder:
    records = [
        Record(image=bytes([row]), category=category, rationales=(), name=f"{row}.png")
        for row, category in enumerate(categories)
    ]
    return InOrder(records, "the films")


def record(finding: str) -> Record:
    return Record(image=b"", category=finding, rationales=(), name="a.png")


# A record for each finding


def test_every_finding_of_an_image_is_a_record_of_its_own():
    found = OneFinding(source(*CATEGORIES), ["effusion", "edema", "no finding"])
    expected = [(0, "edema"), (0, "effusion"), (2, "no finding"), (4, "effusion"), (5, "no finding"), (5, "edema")]
    assert len(found) == len(expected) and found.origin == "the films"
    assert found.categories == tuple(finding for _, finding in expected)
    assert found.classes == ("edema", "effusion", "no finding")
    for index, (row, finding) in enumerate(expected):
        assert found[index] == {
            "image": bytes([row]), "category": finding, "rationales": (), "name": f"{row}.png",
        }  # fmt: skip
    again = pickle.loads(pickle.dumps(found))
    assert again.categories == found.categories and again[5] == found[5]


def test_findings_are_whole_names():
    """'Pleural' is no finding because 'pleural thickening' is, nor is 'mass' because of 'massive'."""
    films = source("pleural thickening|massive", "mass")
    assert OneFinding(films, ["pleural", "mass"]).categories == ("mass",)


def test_what_is_known_of_no_image_is_refused():
    with pytest.raises(UserError, match=r"^the films: no image has one of the findings mass, nodule$"):
        OneFinding(source(*CATEGORIES), ["mass", "nodule"])
    with pytest.raises(UserError, match="no image has one of the findings"):
        OneFinding(source(), ["effusion"])


# What is said of it


@pytest.mark.parametrize("finding", DESCRIPTORS.groups)
def test_a_caption_names_the_finding_or_what_it_looks_like(finding):
    captions, rng = StudyCaptions(DESCRIPTORS), np.random.default_rng(0)
    phrases = DESCRIPTORS.as_groups()[finding]
    expected = {template.format(finding=finding): NAME_SHARE / len(NAME_TEMPLATES) for template in NAME_TEMPLATES}
    for template in DESCRIPTOR_TEMPLATES:
        for phrase in phrases:
            share = (1 - NAME_SHARE) / len(DESCRIPTOR_TEMPLATES) / len(phrases)
            expected[template.format(finding=finding, descriptor=phrase)] = share
    count = 6000
    found = Counter(captions(record(finding), rng) for _ in range(count))
    assert found.keys() == expected.keys()
    for caption, share in expected.items():
        # Five standard deviations.
        assert abs(found[caption] / count - share) < 5 * (share * (1 - share) / count) ** 0.5, caption


def test_a_caption_depends_on_the_generator_alone():
    captions = pickle.loads(pickle.dumps(StudyCaptions(DESCRIPTORS)))
    one, other = ([StudyCaptions(DESCRIPTORS)(record("edema"), np.random.default_rng(n)) for n in range(20)],
                  [captions(record("edema"), np.random.default_rng(n)) for n in range(20)])  # fmt: skip
    assert one == other and len(set(one)) > 3


def test_the_corpus_is_all_that_can_be_said():
    captions, rng = StudyCaptions(DESCRIPTORS), np.random.default_rng(1)
    corpus = list(captions.corpus())
    assert len(corpus) == len(set(corpus)) == 3 * len(NAME_TEMPLATES) + 7 * len(DESCRIPTOR_TEMPLATES)
    assert {captions(record(finding), rng) for finding in DESCRIPTORS.groups for _ in range(500)} <= set(corpus)


def test_the_built_in_descriptors_have_words_for_every_finding_of_nih():
    descriptors = Descriptors.from_json(XRAYS)
    names = [normalise_name(finding) for finding in FINDINGS]
    assert sorted(descriptors.groups) == sorted(names)
    films, captions = OneFinding(source(*names), names), StudyCaptions(descriptors)
    rng = np.random.default_rng(0)
    for row in range(len(films)):
        assert len({captions(films[row], rng) for _ in range(60)}) > len(NAME_TEMPLATES)


def test_groups_spelled_as_the_labels_are_those_of_the_findings():
    """A file of one's own may say "Pleural_Thickening", as the table does; findings are told by normal names."""
    descriptors = Descriptors.from_groups({"Pleural_Thickening": ["a thick line", "a scar"]}, "mine")
    caption = StudyCaptions(descriptors)(record("pleural thickening"), np.random.default_rng(2))
    assert any(word in caption.lower().replace("_", " ") for word in ("pleural thickening", "a thick line", "a scar"))
