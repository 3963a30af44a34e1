"""Captions of pretraining: what they say, and what a wrong file is told."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from ecor_jax.data.captions import DESCRIPTOR_TEMPLATES, NAME_TEMPLATES, ListedCaptions
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InOrder
from ecor_jax.errors import UserError

ENTRIES = {
    "train/cat/1.png": ["my own cat", "a second caption"],
    "grey_seal": {"name": "seal", "descriptors": ["flippers", "a round head"]},
    "Dog": {"name": "dog", "descriptors": []},
    "cat": ["any cat"],
}


def record(name, category):
    return Record(image=b"", category=category, rationales=(), name=name)


@pytest.fixture
def captions(tmp_path):
    return write(tmp_path, ENTRIES)


def write(folder, entries) -> ListedCaptions:
    (folder / "captions.json").write_text(json.dumps(entries))
    return ListedCaptions(folder / "captions.json")


def drawn(captions, name, category, count=2000):
    """The share of each caption among those of a record."""
    rng = np.random.default_rng(0)
    counts = Counter(captions(record(name, category), rng) for _ in range(count))
    return {text: number / count for text, number in counts.items()}


def test_an_images_own_captions_go_before_those_of_its_class(captions):
    shares = drawn(captions, "train/cat/1.png", "cat")
    assert shares == pytest.approx({"my own cat": 0.5, "a second caption": 0.5}, abs=0.06)
    assert drawn(captions, "train/cat/2.png", "cat", 5) == {"any cat": 1.0}


def test_a_class_is_found_by_its_normalised_name_and_described_in_every_form(captions):
    shares = drawn(captions, "x.png", "grey seal")
    named = {template.format(name="seal") for template in NAME_TEMPLATES}
    described = {
        template.format(name="seal", descriptor=descriptor)
        for template in DESCRIPTOR_TEMPLATES
        for descriptor in ("flippers", "a round head")
    }
    assert set(shares) == named | described
    assert sum(shares[text] for text in named) == pytest.approx(0.25, abs=0.05)
    assert "this is a photo of a seal because there is flippers" in shares
    # Without descriptors only the name is told.
    assert set(drawn(captions, "x.png", "dog")) == {"a photo of a dog", "this is a photo of a dog", "dog"}


def test_the_corpus_has_every_text_that_can_be_drawn(captions):
    corpus = set(captions.corpus())
    for name, category in (("train/cat/1.png", "cat"), ("x", "cat"), ("x", "grey seal"), ("x", "dog")):
        assert set(drawn(captions, name, category)) <= corpus


def source(*categories):
    return InOrder([record("", category) for category in categories], "a folder")


def test_classes_without_captions_are_listed_before_the_start(tmp_path):
    by_class = write(tmp_path, {"cat": ["any cat"], "grey_seal": ["a seal"]})
    by_class.check(source("cat", "grey seal"))
    with pytest.raises(UserError, match="no captions for 2 image classes: bird, dog"):
        by_class.check(source("dog", "cat", "bird"))
    with pytest.raises(UserError, match=r"captions.json: no caption for b/1.png, nor for its class 'bird'"):
        by_class(record("b/1.png", "bird"), np.random.default_rng(0))
    # Where single pictures have captions, classes are not asked for them.
    write(tmp_path, ENTRIES).check(source("bird"))


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", "3"])
def test_a_file_that_is_no_object_of_captions_is_refused(tmp_path, content):
    (tmp_path / "captions.json").write_text(content)
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "captions.json"))):
        ListedCaptions(tmp_path / "captions.json")


@pytest.mark.parametrize(
    "entry",
    [
        *("a caption", [], ["fine", " "], ["fine", 3], None, {"name": "cat"}, {"descriptors": ["x"]}),
        *({"name": "", "descriptors": []}, {"name": 3, "descriptors": []}),
        *({"name": "cat", "descriptors": "fur"}, {"name": "cat", "descriptors": ["fur", ""]}),
    ],
    ids=str,
)
def test_a_wrong_entry_is_named(tmp_path, entry):
    with pytest.raises(UserError, match=r"1 entries are neither .*: the key"):
        write(tmp_path, {"good": ["a caption"], "the key": entry})
