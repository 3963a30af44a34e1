"""Captions of pretraining: what they say, and what a wrong file is told."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from ecor_jax.data.captions import DESCRIPTOR_TEMPLATES, NAME_TEMPLATES, ListedCaptions
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError

ENTRIES = {
    "train/cat/1.png": ["my own cat", "a second caption"],
    "grey_seal": {"name": "seal", "descriptors": ["flippers", "a round head"]},
    "Dog": {"name": "dog", "descriptors": []},
    "cat": ["any cat"],
}


def record(name, category):
    return Record(image=b"", category=category, rationales=(), name=name)


def source(*categories):
    return InMemory([record("", category) for category in categories], "a folder")


@pytest.fixture
def listed(tmp_path):
    """Captions of a file with this content."""

    def read(content, *categories: str, descriptors=()) -> ListedCaptions:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "captions.json").write_text(text)
        return ListedCaptions(source(*categories), tmp_path / "captions.json", descriptors)

    return read


def drawn(captions, name, category, count=2000):
    """The share of each caption among those of a record, which are all in the corpus."""
    rng = np.random.default_rng(0)
    counts = Counter(captions(record(name, category), rng) for _ in range(count))
    assert counts.keys() <= set(captions.corpus())
    return {text: number / count for text, number in counts.items()}


def test_an_images_own_captions_go_before_those_of_its_class(listed):
    shares = drawn(listed(ENTRIES), "train/cat/1.png", "cat")
    assert shares == pytest.approx({"my own cat": 0.5, "a second caption": 0.5}, abs=0.06)
    assert drawn(listed(ENTRIES), "train/cat/2.png", "cat", 5) == {"any cat": 1.0}


def test_a_class_is_found_by_its_normalised_name_and_described_in_every_form(listed):
    shares = drawn(listed(ENTRIES), "x.png", "grey seal")
    named = {template.format(name="seal") for template in NAME_TEMPLATES}
    descriptors = ("flippers", "a round head")
    described = {form.format(name="seal", descriptor=text) for form in DESCRIPTOR_TEMPLATES for text in descriptors}
    assert set(shares) == named | described
    assert sum(shares[text] for text in named) == pytest.approx(0.25, abs=0.05)
    assert "this is a photo of a seal because there is flippers" in shares
    # Without descriptors only the name is told.
    assert set(drawn(listed(ENTRIES), "x.png", "dog")) == {"a photo of a dog", "this is a photo of a dog", "dog"}


def test_classes_without_captions_are_listed_before_the_start(listed):
    by_class = listed({"cat": ["any cat"], "grey_seal": ["a seal"]}, "cat", "grey seal")
    with pytest.raises(UserError, match="no captions for 2 image classes: bird, dog"):
        listed({"cat": ["any cat"], "grey_seal": ["a seal"]}, "dog", "cat", "bird")
    with pytest.raises(UserError, match=r"captions.json: no caption for b/1.png, nor for its class 'bird'"):
        by_class(record("b/1.png", "bird"), np.random.default_rng(0))
    # Where single pictures have captions, classes are not asked for them.
    listed(ENTRIES, "bird")


def test_descriptors_of_classes_make_their_captions(listed, tmp_path):
    """Captions in the file go first; a class that no file has is captioned by its name."""
    (tmp_path / "birds.json").write_text(json.dumps({"Blue_Jay": ["a crest"], "cat": ["claws"]}))
    (tmp_path / "more.json").write_text(json.dumps({"blue jay": ["wings"]}))
    files = [tmp_path / "birds.json", tmp_path / "more.json"]
    captions = listed({"cat": ["any cat"]}, "cat", "blue jay", "wren", descriptors=files)
    assert drawn(captions, "1.png", "cat", 5) == {"any cat": 1.0}
    named = {template.format(name="blue jay") for template in NAME_TEMPLATES}
    described = {form.format(name="blue jay", descriptor="a crest") for form in DESCRIPTOR_TEMPLATES}
    assert set(drawn(captions, "1.png", "blue jay")) == named | described
    assert set(drawn(captions, "1.png", "wren")) == {"a photo of a wren", "this is a photo of a wren", "wren"}
    (tmp_path / "more.json").write_text(json.dumps({"blue jay": {"name": "jay"}}))
    with pytest.raises(UserError, match=r"more.json: 1 entries are no lists of descriptors: blue jay"):
        listed({"cat": ["any cat"]}, "cat", descriptors=files)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", "3"])
def test_a_file_that_is_no_object_of_captions_is_refused(listed, tmp_path, content):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "captions.json"))):
        listed(content)


@pytest.mark.parametrize(
    "entry",
    [
        *("a caption", [], ["fine", " "], ["fine", 3], None, {"name": "cat"}, {"descriptors": ["x"]}),
        *({"name": "", "descriptors": []}, {"name": 3, "descriptors": []}),
        *({"name": "cat", "descriptors": "fur"}, {"name": "cat", "descriptors": ["fur", ""]}),
    ],
    ids=str,
)
def test_a_wrong_entry_is_named(listed, entry):
    with pytest.raises(UserError, match=r"1 entries are neither .*: the key"):
        listed({"good": ["a caption"], "the key": entry})
