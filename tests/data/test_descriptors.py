"""Descriptors in groups: the file that comes with the package, how one is read, and the scrambled control."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.data.descriptors import FACES, Descriptors
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError

COMPONENTS = (
    "skin, face outline, face composition, hair, forehead, eyebrows, eyes, cheeks, nose, ears, mouth, "
    "chin and jawline, neck, facial hair, facial lines, scars, facial marks, alterations, other"
)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def faces() -> Descriptors:
    return Descriptors.from_json(FACES)


def test_the_faces_are_120_phrases_in_fiswgs_19_components(faces):
    """FISWG's feature list, version 2.0, in its order; no group without a choice, no text with stray marks."""
    groups = json.loads(FACES.read_text(encoding="utf-8"))["groups"]
    assert faces.as_groups() == groups and list(faces.as_groups()) == list(faces.groups) == list(groups)
    assert ", ".join(faces.groups) == COMPONENTS
    assert list(faces.phrases) == [phrase for phrases in groups.values() for phrase in phrases]
    assert (len(groups), len({normalise_name(phrase) for phrase in faces.phrases})) == (19, 120)
    assert [len(phrases) for phrases in groups.values() if len(phrases) < 2] == []
    assert [p for p in faces.phrases if p != " ".join(p.split()) or not p[0].isalpha() or p.endswith(".")] == []
    # Scrambled, all words are others, by seed; all letters are alike: a 500th would be the chance of a much rarer one.
    one, other = faces.scrambled(0), faces.scrambled(1)
    kept = [{*old.split()} & {*new.split()} for old, new in zip(faces.phrases, one.phrases, strict=True)]
    assert [word for words in kept for word in words if len(word) > 3] == []
    assert all(a != b for a, b in zip(one.phrases, other.phrases, strict=True)) and len(set(one.phrases)) == 120
    text = "".join(one.phrases)
    assert min(text.count(letter) for letter in string.ascii_lowercase) > len(text) / 60


def test_a_small_file(tmp_path):
    content = {"about": "for readers", "groups": {"hair": ["short hair", " long hair "], "nose": ["A", "b", "c"]}}
    found = Descriptors.from_json(write(tmp_path / "d.json", content))
    assert found.phrases == ("short hair", "long hair", "A", "b", "c")
    assert found.groups == ("hair", "nose")
    assert found.group_of == (0, 0, 1, 1, 1)
    assert Descriptors.from_json(str(tmp_path / "d.json")) == found


FORM = r'expected \{"groups": \{group: \[descriptor, \.\.\.\]\}\}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "expected a JSON object, found a list"),
        ("7", "expected a JSON object, found 7"),
        ({}, FORM),
        ({"hair": ["a", "b"]}, FORM),
        ({"groups": {}}, FORM),
        ({"groups": [["a", "b"]]}, FORM),
        ({"groups": {"hair": "short, long"}}, "group 'hair' is not a list of texts"),
        ({"groups": {"hair": {"a": "b", "c": "d"}}}, "group 'hair' is not a list of texts"),
        ({"groups": {"hair": ["a", 7]}}, "group 'hair' is not a list of texts"),
        ({"groups": {"hair": ["a"]}}, "group 'hair' has 1 descriptors; expected at least 2"),
        ({"groups": {"nose": ["a", "b"], "hair": ["c"]}}, "group 'hair' has 1 descriptors"),
        ({"groups": {"hair": ["a", " \t"]}}, "group 'hair' has an empty descriptor"),
        ({"groups": {"hair": ["a", "b"], "nose": ["c", "b"]}}, "'b' stands in 'hair' and again in 'nose'"),
        # Alike but for case and spaces.
        ({"groups": {"hair": ["Long  Hair", "long hair"]}}, "'long hair' stands in 'hair' and again in 'hair'"),
        ('{"groups": {"hair": ["a", "b"], "hair": ["c", "d"]}}', "'hair' stands there twice"),
        ('{"groups": {"hair": ["a", "b"]}, "groups": {"nose": ["c", "d"]}}', "'groups' stands there twice"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, content, message):
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(UserError, match=message) as error:
        Descriptors.from_json(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_errors_of_groups_name_where_they_come_from():
    with pytest.raises(UserError, match=r"^the report: group 'hair' has 1 descriptors"):
        Descriptors.from_groups({"hair": ["a"]}, "the report")


# Texts that differ even in lower case, without marks that are taken for spaces.
texts = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="_-/"), min_size=1, max_size=8)
phrases = st.lists(texts, min_size=1, max_size=3).map(" ".join)


@st.composite
def grouped(draw) -> dict[str, list[str]]:
    known = draw(st.lists(phrases, min_size=2, max_size=12, unique_by=normalise_name))
    names = draw(st.lists(st.text(max_size=6), min_size=1, max_size=len(known) // 2, unique=True))
    cuts = [2 * row for row in range(len(names))] + [len(known)]
    return {name: known[cuts[row] : cuts[row + 1]] for row, name in enumerate(names)}


@given(grouped())
def test_groups_come_back_as_they_were(tmp_path_factory, groups):
    found = Descriptors.from_groups(groups, "here")
    assert found.as_groups() == groups and list(found.as_groups()) == list(groups)
    assert Descriptors.from_groups(found.as_groups(), "here") == found
    path = tmp_path_factory.getbasetemp() / "round.json"
    assert Descriptors.from_json(write(path, {"groups": groups})) == found


@given(grouped(), st.integers(0, 2**32 - 1))
def test_scrambled_words_are_letters_of_the_same_length(groups, seed):
    before = Descriptors.from_groups(groups, "here")
    found = before.scrambled(seed)
    assert (found.groups, found.group_of) == (before.groups, before.group_of)
    for old, new in zip(before.phrases, found.phrases, strict=True):
        assert [len(word) for word in new.split(" ")] == [len(word) for word in old.split()]
        assert set(new) <= {*string.ascii_lowercase, " "}
    assert before.scrambled(seed) == found
