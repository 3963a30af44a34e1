"""The smallest removal that changes a vote, against all subsets, on few ids, so that ties are the rule."""

import dataclasses
import itertools
import json
import random
import time

import numpy as np
import pytest

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.rationale.counterfactual import MOST_REMOVED, Removal, smallest_removal
from ecor_jax.tasks.rationale.doubly_right import majority_vote
from ecor_jax.tasks.rationale.explanation import Counterfactual, counterfactual_of
from tests.pages.examples import SAID


def without(pairs, removed, k: int) -> list[int]:
    return [category for category, rationale in pairs if rationale not in removed][:k]


def brute_force(pairs, k: int) -> Removal | None:
    """The first set by size and then by ranks, of any size, that changes the vote of all pairs."""
    by_rank, said = list(dict.fromkeys(rationale for _, rationale in pairs)), vote(without(pairs, (), k))
    for size in range(1, len(by_rank)):
        for removed in itertools.combinations(by_rank, size):
            if (left := without(pairs, removed, k)) and vote(left) != said:
                return Removal(removed, vote(left), size - 1)
    return None


def vote(categories: list[int]) -> int:
    return int(majority_vote(np.array([categories]))[0])


def cases():
    """Ranked pairs of up to 4 categories and 6 rationales, and the number of pairs that vote."""
    generator = random.Random(0)
    for _ in range(400):
        sizes = generator.randint(2, 4), generator.randint(1, 6)
        pairs = list(itertools.product(*map(range, sizes)))
        generator.shuffle(pairs)
        yield pairs, generator.randint(1, 6), generator.randint(1, len(pairs))


def test_complete_lists_against_all_subsets():
    """A set of more than MOST_REMOVED is not searched; all pairs vote where fewer than k are left."""
    sizes = set()
    for pairs, k, _ in cases():
        found, expected = smallest_removal(*zip(*pairs, strict=True), k, complete=True), brute_force(pairs, k)
        rationales = len({rationale for _, rationale in pairs})
        if expected is None or len(expected.rationales) > MOST_REMOVED:
            expected = Removal((), None, min(MOST_REMOVED, rationales))
        assert found == expected
        sizes.add((len(found.rationales), found.searched))
    assert {(1, 0), (2, 1), (3, 2), (0, 4), (0, 1)} <= sizes


def test_incomplete_lists_say_no_more_than_they_know():
    """What is known is the truth, and all is known of the sizes that always leave k pairs."""
    known = {True: 0, False: 0}
    for pairs, k, length in cases():
        found = smallest_removal(*zip(*pairs[:length], strict=True), k, complete=False)
        truth = brute_force(pairs, k)
        if found.category is not None:
            assert found == truth
        else:
            assert truth is None or len(truth.rationales) > found.searched
            by_rank = {rationale for _, rationale in pairs}
            sure = [
                size
                for size in range(1, 1 + min(MOST_REMOVED, len(by_rank)))
                if all(len(without(pairs[:length], one, k)) == k for one in itertools.combinations(by_rank, size))
            ]
            assert found.searched >= max(sure, default=0)
        known[found.category is not None] += 1
    assert min(known.values()) > 50


def test_of_smallest_sets_the_first_by_rank():
    """Either of the rationales 7 and 3 changes the vote of three; the ids do not matter."""
    assert smallest_removal([0, 1, 0, 1], [7, 5, 3, 6], 3, complete=True) == Removal((7,), 1, 0)
    assert smallest_removal([0, 1, 0, 1], [3, 5, 7, 6], 3, complete=True) == Removal((3,), 1, 0)


def test_the_search_is_fast_where_nothing_changes():
    """Four rationales hold most of 200 pairs; with many voters, the number of sets is limited."""
    for rationales, k in ((list(range(200)), 5), ([n % 9 for n in range(195)] + list(range(10, 15)), 5)):
        start = time.process_time()
        assert smallest_removal([0] * 200, rationales, k, complete=False).searched == MOST_REMOVED
        assert time.process_time() - start < 0.5, "it takes some ms"
    assert smallest_removal([0] * 200, list(range(200)), 50, complete=False) == Removal((), None, 1)


def test_in_words_and_as_plain_values():
    vocabulary = Vocabulary.from_lists({"cat": ["fur", "whiskers"], "dog": ["fur"], "owl": ["wings"]})
    said = counterfactual_of(Removal((2, 0), 1, 1), vocabulary)
    removed = [vocabulary.rationales[2], vocabulary.rationales[0]]
    assert said == Counterfactual(removed, "dog", 1)
    values = json.loads(json.dumps(dataclasses.replace(SAID, counterfactual=said).to_dict()))
    assert values["counterfactual"] == {"removed": removed, "category": "dog", "searched": 1}
    assert counterfactual_of(Removal((), None, 4), vocabulary) == Counterfactual([], None, 4)
    with pytest.raises(ValueError, match="the vote is 'dog' too"):
        dataclasses.replace(SAID, voted="dog", counterfactual=said)
