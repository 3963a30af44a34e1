"""Captions of chest X-rays made from labels: one finding at a time, and words that go with it."""

import pickle
from collections import Counter

import numpy as np
import pytest

from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.captions import DESCRIPTOR_TEMPLATES, NAME_SHARE, NAME_TEMPLATES, OneFinding, StudyCaptions
from ecor_jax.radiology.xray.nih import FINDINGS

DESCRIPTORS = Descriptors.from_groups(
    {"effusion": ["a meniscus", "a blunt angle", "fluid"], "edema": ["vessels", "lines"], "no finding": ["clear", "x"]},
    "here",
)
CATEGORIES = ("edema|effusion", "", "no finding", "hernia", "effusion", "hernia|no finding|edema")


def record(finding: str, name: str = "a.png") -> Record:
    return Record(image=name.encode(), category=finding, rationales=(), name=name)


def source(*categories: str) -> InMemory:
    return InMemory([record(category, f"{number}.png") for number, category in enumerate(categories)], "the films")


def test_every_finding_of_an_image_is_a_record_of_its_own():
    films = OneFinding(source(*CATEGORIES), ["effusion", "edema", "no finding"])
    expected = [(0, "edema"), (0, "effusion"), (2, "no finding"), (4, "effusion"), (5, "no finding"), (5, "edema")]
    assert len(films) == len(expected) and films.origin == "the films"
    assert films.categories == tuple(finding for _, finding in expected)
    again = pickle.loads(pickle.dumps(films))
    for index, (number, finding) in enumerate(expected):
        assert films[index] == again[index] == source(*CATEGORIES)[number] | {"category": finding}
    # 'Pleural' is no finding because 'pleural thickening' is, nor is 'mass' because of 'massive'.
    similar = source("pleural thickening|massive", "mass")
    assert OneFinding(similar, ["pleural", "mass"]).categories == ("mass",)
    with pytest.raises(UserError, match=r"^the films: no image has one of the findings mass, nodule$"):
        OneFinding(source(*CATEGORIES), ["mass", "nodule"])


@pytest.mark.parametrize("finding", DESCRIPTORS.groups)
def test_a_caption_names_the_finding_or_what_it_looks_like(finding):
    captions, rng = pickle.loads(pickle.dumps(StudyCaptions(DESCRIPTORS))), np.random.default_rng(0)
    phrases = DESCRIPTORS.as_groups()[finding]
    expected = {template.format(finding=finding): NAME_SHARE / len(NAME_TEMPLATES) for template in NAME_TEMPLATES}
    for template in DESCRIPTOR_TEMPLATES:
        for phrase in phrases:
            share = (1 - NAME_SHARE) / len(DESCRIPTOR_TEMPLATES) / len(phrases)
            expected[template.format(finding=finding, descriptor=phrase)] = share
    # Five standard deviations of 6000.
    drawn = Counter(captions(record(finding), rng) for _ in range(6000))
    assert drawn.keys() == expected.keys()
    for caption, share in expected.items():
        assert abs(drawn[caption] / 6000 - share) < 5 * (share * (1 - share) / 6000) ** 0.5, caption


def test_the_corpus_is_all_that_can_be_said():
    captions, rng = StudyCaptions(DESCRIPTORS), np.random.default_rng(1)
    corpus = list(captions.corpus())
    assert len(corpus) == len(set(corpus)) == 3 * len(NAME_TEMPLATES) + 7 * len(DESCRIPTOR_TEMPLATES)
    assert {captions(record(finding), rng) for finding in DESCRIPTORS.groups for _ in range(500)} <= set(corpus)


def test_the_built_in_descriptors_have_words_for_every_finding_of_nih():
    descriptors = Descriptors.from_file(XRAYS)
    names = [normalise_name(finding) for finding in FINDINGS]
    assert sorted(descriptors.groups) == sorted(names)
    captions, rng = StudyCaptions(descriptors), np.random.default_rng(0)
    for name in names:
        assert len({captions(record(name), rng) for _ in range(60)}) > len(NAME_TEMPLATES)
    # A file of one's own may say "Pleural_Thickening", as the table does; findings are told by normal names.
    own = StudyCaptions(Descriptors.from_groups({"Pleural_Thickening": ["a line", "a scar"]}, "mine"))
    assert "pleural thickening" in {own(record("pleural thickening"), rng) for _ in range(60)}
