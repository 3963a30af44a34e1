"""The text in which a user edits classes and rationales."""

import pytest

from ecor_jax.data import procedural
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.demo import words
from ecor_jax.demo.words import text_of, vocabulary_of
from ecor_jax.errors import UserError


def test_the_text_of_a_vocabulary_is_read_as_the_same():
    own = procedural.vocabulary()
    assert Vocabulary.read(vocabulary_of(text_of(own))).to_json() == own.to_json()
    assert vocabulary_of(words.EXAMPLE)["cat"] == ["whiskers", "a long tail"]


def test_spaces_and_empty_lines_say_nothing():
    assert vocabulary_of("\n cat :a tail ;; whiskers;\r\n\n  dog: a nose: wet") == {
        "cat": ["a tail", "whiskers"],
        "dog": ["a nose: wet"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no class; expected one a line, class: rationale; rationale"),
        (" \n\t", "there is no class"),
        ("cat: whiskers\ndog", "line 2, 'dog': expected class: rationale"),
        (": whiskers", "line 1, ': whiskers': expected class"),
        ("cat: ;", "line 1: the class 'cat' has no rationale"),
        ("cat: a\ncat: b", "line 2: the class 'cat' is given twice"),
        ("a cat: a\na_cat: b", "are the same, 'a cat', once normalised"),
        ("cat: \ud800", "surrogate|UTF-8|character"),
        ("cat: " + "x" * words.MAX_BYTES, "are 65,541 bytes of text; at most 65,536 are read"),
        ("\n".join(f"{n}: {n}" for n in range(257)), "make 66,049 pairs; at most 65,536 are read"),
    ],
)
def test_a_mistake_is_told_in_one_line(text, message):
    with pytest.raises(UserError, match=message) as told:
        vocabulary_of(text)
    assert "\n" not in str(told.value)


def test_what_cannot_be_edited_is_left_empty():
    assert text_of(None) == ""
    assert text_of(Vocabulary.read({"a: b": ["c"]})) == text_of(Vocabulary.read({"a": ["b; c"]})) == ""
    assert text_of(Vocabulary.read({str(n): [str(n)] for n in range(257)})) == ""
