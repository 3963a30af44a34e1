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


def test_pairs_by_hand():
    joined_pairs = join_rationales(WORDS, 2)
    words = joined_pairs.vocabulary
    assert words.classes == ("cat", "seal", "stone", "dog")
    # The dog has the tail alone, which is gold for the cat too: it has it among others.
    of_cat = ("tail and whiskers", "tail and fur", "whiskers and fur", "tail")
    expected = [of_cat, ("whiskers and flippers",), (), ("tail",)]
    assert [words.rationales_of(number) for number in range(4)] == expected
    assert words.rationales[-2:] == ("whiskers and flippers", "tail")
    # Columns: tail, whiskers, fur, flippers.
    expected = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 0, 0]]
    assert joined_pairs.members.astype(int).tolist() == expected
    # An image that shows the tail and the fur.
    assert joined_pairs.gold_sets(np.array([True, False, True, False])).tolist() == [False, True, False, False, True]


def test_1_is_the_vocabulary_itself():
    single = join_rationales(WORDS, 1)
    assert single.vocabulary.rationales == WORDS.rationales
    np.testing.assert_array_equal(single.vocabulary.gold, WORDS.gold)


NAMES = ("r0", "r1", "r2", "r3", "r4", "r5")
SOME = st.sets(st.integers(0, 5))


@given(st.lists(SOME, min_size=1, max_size=4).filter(any), st.integers(0, 4), SOME)
def test_sets_are_those_of_a_slow_enumeration(classes, count, shown):
    gold = np.array([[number in own for number in range(6)] for own in classes])
    made = join_rationales(Vocabulary(tuple(f"c{number}" for number in range(len(classes))), NAMES, gold), count)
    expected = set()
    for own in classes:
        size = len(own) if count == 0 else min(count, len(own))
        expected |= {frozenset(chosen) for chosen in itertools.combinations(sorted(own), size) if chosen}
    sets = [frozenset(np.flatnonzero(members).tolist()) for members in made.members]
    assert len(sets) == len(expected) and set(sets) == expected
    for members, text, gold in zip(sets, made.vocabulary.rationales, made.vocabulary.gold.T, strict=True):
        assert set(text.split(" and ")) == {NAMES[number] for number in members}
        assert gold.tolist() == [members <= own for own in classes]
    shown_mask = np.array([number in shown for number in range(6)])
    assert made.gold_sets(shown_mask).tolist() == [members <= shown for members in sets]


def test_a_negative_number_and_too_many_sets_are_refused_before_they_are_made(monkeypatch):
    with pytest.raises(UserError, match="rationales_per_prompt is -1; expected 1 or more, or 0"):
        join_rationales(WORDS, -1)
    many = Vocabulary.from_lists({"cat": [f"r{number}" for number in range(60)]})
    with pytest.raises(UserError, match="makes 118264581564861424 sets"):  # 60 choose 30
        join_rationales(many, 30)
    monkeypatch.setattr(joined, "MAX_SETS", 5)
    assert len(join_rationales(WORDS, 2).vocabulary.rationales) == 5
    monkeypatch.setattr(joined, "MAX_SETS", 4)
    with pytest.raises(UserError, match="rationales_per_prompt=2 makes 5 sets of rationales; at most 4"):
        join_rationales(WORDS, 2)
