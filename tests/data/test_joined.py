"""Several rationales in one prompt: which sets there are, and when a set is gold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.data import joined
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

LISTS = {"cat": ["tail", "whiskers", "fur"], "seal": ["whiskers", "flippers"], "stone": [], "dog": ["tail"]}
WORDS = Vocabulary.from_lists(LISTS)


def texts_of(found, name):
    return found.vocabulary.rationales_of(found.vocabulary.classes.index(name))


def test_pairs_by_hand():
    found = join_rationales(WORDS, 2)
    assert found.vocabulary.classes == ("cat", "seal", "stone", "dog")
    assert found.vocabulary.rationales == (
        "tail and whiskers",
        "tail and fur",
        "whiskers and fur",
        "whiskers and flippers",
        "tail",  # all that the dog has
    )
    # The whole list of the dog is gold for the cat too, which has it among others.
    assert texts_of(found, "cat") == ("tail and whiskers", "tail and fur", "whiskers and fur", "tail")
    assert texts_of(found, "seal") == ("whiskers and flippers",)
    assert texts_of(found, "stone") == ()
    assert texts_of(found, "dog") == ("tail",)
    # Columns: tail, whiskers, fur, flippers.
    assert found.members.astype(int).tolist() == [
        [1, 1, 0, 0],
        [1, 0, 1, 0],
        [0, 1, 1, 0],
        [0, 1, 0, 1],
        [1, 0, 0, 0],
    ]


def test_0_joins_the_whole_list_of_each_class():
    assert join_rationales(WORDS, 0).vocabulary.rationales == (
        "tail and whiskers and fur",
        "whiskers and flippers",
        "tail",
    )


def test_1_is_the_vocabulary_itself():
    found = join_rationales(WORDS, 1)
    assert found.vocabulary.rationales == WORDS.rationales
    np.testing.assert_array_equal(found.vocabulary.gold, WORDS.gold)
    np.testing.assert_array_equal(found.members, np.eye(4, dtype=bool))


def test_a_set_is_gold_for_an_image_that_shows_all_of_it():
    found = join_rationales(WORDS, 2)

    def gold(*shown):
        row = np.array([name in shown for name in WORDS.rationales])
        return [
            text for text, is_gold in zip(found.vocabulary.rationales, found.gold_sets(row), strict=True) if is_gold
        ]

    assert gold("tail", "fur") == ["tail and fur", "tail"]
    assert gold("whiskers") == []
    assert gold("tail", "whiskers", "fur", "flippers") == list(found.vocabulary.rationales)


@given(
    st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=4).filter(any),
    st.integers(0, 4),
    st.sets(st.integers(0, 5)),
)
def test_sets_are_those_of_a_slow_enumeration(classes, count, shown):
    names = [f"r{number}" for number in range(6)]
    words = Vocabulary(
        tuple(f"c{row}" for row in range(len(classes))),
        tuple(names),
        np.array([[number in chosen for number in range(6)] for chosen in classes]),
    )
    found = join_rationales(words, count)
    expected = set()
    for chosen in classes:
        size = len(chosen) if count == 0 else min(count, len(chosen))
        expected |= {frozenset(part) for part in itertools.combinations(sorted(chosen), size) if part}
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in found.members]
    assert len(sets) == len(expected) and set(sets) == expected
    for part, text, column in zip(sets, found.vocabulary.rationales, found.vocabulary.gold.T, strict=True):
        assert set(text.split(" and ")) == {names[number] for number in part}
        assert column.tolist() == [part <= chosen for chosen in classes]
    row = np.array([number in shown for number in range(6)])
    assert found.gold_sets(row).tolist() == [part <= shown for part in sets]


def test_a_negative_number_is_refused():
    with pytest.raises(UserError, match="rationales_per_prompt is -1; expected 1 or more, or 0"):
        join_rationales(WORDS, -1)


def test_too_many_sets_are_refused_before_they_are_made(monkeypatch):
    many = Vocabulary.from_lists({"cat": [f"r{number}" for number in range(60)]})
    with pytest.raises(UserError, match="makes 118264581564861424 sets"):  # 60 choose 30
        join_rationales(many, 30)
    monkeypatch.setattr(joined, "MOST", 5)
    assert len(join_rationales(WORDS, 2).vocabulary.rationales) == 5
    monkeypatch.setattr(joined, "MOST", 4)
    with pytest.raises(UserError, match="rationales_per_prompt=2 makes 5 sets of rationales; at most 4"):
        join_rationales(WORDS, 2)
