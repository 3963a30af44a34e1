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


def test_the_faces_are_120_phrases_in_fiswgs_19_components():
    """FISWG's feature list, version 2.0, in its order; no group without a choice, no text with stray marks."""
    faces, groups = Descriptors.from_file(FACES), json.loads(FACES.read_text(encoding="utf-8"))["groups"]
    assert faces.as_groups() == groups and list(faces.as_groups()) == list(faces.groups) == list(groups)
    assert ", ".join(faces.groups) == COMPONENTS
    assert list(faces.phrases) == [phrase for phrases in groups.values() for phrase in phrases]
    assert (len(groups), len({normalise_name(phrase) for phrase in faces.phrases})) == (19, 120)
    assert min(map(len, groups.values())) >= 2
    assert [p for p in faces.phrases if p != " ".join(p.split()) or not p[0].isalpha() or p.endswith(".")] == []


def test_scrambled_words_are_other_letters_of_the_same_length_by_seed():
    faces = Descriptors.from_file(FACES)
    scrambled, again, other = (faces.scrambled(seed) for seed in (0, 0, 1))
    assert scrambled == again and (scrambled.groups, scrambled.group_of) == (faces.groups, faces.group_of)
    assert all(a != b for a, b in zip(scrambled.phrases, other.phrases, strict=True))
    assert len(set(scrambled.phrases)) == 120
    for old, new in zip(faces.phrases, scrambled.phrases, strict=True):
        assert list(map(len, new.split(" "))) == list(map(len, old.split()))
        assert not any(len(word) > 3 for word in {*old.split()} & {*new.split()})
    # All letters are alike: a 500th would be the chance of a much rarer one.
    text = "".join(scrambled.phrases)
    assert set(text) == {*string.ascii_lowercase, " "}
    assert min(text.count(letter) for letter in string.ascii_lowercase) > len(text) / 60


FORM = r'expected \{"groups": \{group: \[descriptor, \.\.\.\]\}\}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "is empty; expected JSON"),
        ({"groups": {}}, FORM),
        ({"groups": [["a", "b"]]}, FORM),
        ({"groups": {"hair": "short, long"}}, "group 'hair' is not a list of texts"),
        ({"groups": {"hair": ["a", 7]}}, "group 'hair' is not a list of texts"),
        ({"groups": {"nose": ["a", "b"], "hair": ["c"]}}, "group 'hair' has 1 descriptors; expected at least 2"),
        ({"groups": {"hair": ["a", " \t"]}}, "group 'hair' has an empty descriptor"),
        ({"groups": {"hair": ["a", "b\nc"]}}, r"group 'hair' has 'b\\nc'; expected text of one line"),
        ({"groups": {"hair": ["a", "b"], "nose": ["c", "b"]}}, "'b' stands in 'hair' and again in 'nose'"),
        # Alike but for case and spaces.
        ({"groups": {"hair": ["Long  Hair", "long hair"]}}, "'long hair' stands in 'hair' and again in 'hair'"),
        ('{"groups": {"hair": ["a", "b"], "hair": ["c", "d"]}}', "'hair' stands there twice"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, content, message):
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(UserError, match=message) as error:
        Descriptors.from_file(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


# Texts that differ even in lower case, without marks that are taken for spaces.
texts = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="_-/"), min_size=1, max_size=8)


@given(st.lists(texts, min_size=4, max_size=12, unique_by=normalise_name), st.integers(2, 10))
def test_groups_come_back_as_they_were(phrases, first):
    first = min(first, len(phrases) - 2)
    groups = {"hair": phrases[:first], "": phrases[first:]}
    descriptors = Descriptors.from_groups(groups, "here")
    assert descriptors.as_groups() == groups and list(descriptors.as_groups()) == list(groups)
    assert Descriptors.from_groups(descriptors.as_groups(), "here") == descriptors
