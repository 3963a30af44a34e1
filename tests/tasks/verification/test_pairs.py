"""Explanations of pairs against the arithmetic they stand for, done by hand in NumPy."""

import numpy as np
import pytest
from PIL import Image

from ecor_jax.data.descriptors import Descriptors
from ecor_jax.tasks.verification.explanation import Side
from ecor_jax.tasks.verification.faithfulness import Head
from ecor_jax.tasks.verification.pairs import TOP_INTERVENTIONS, Seen, explained_pairs

DESCRIPTORS = Descriptors.from_groups({"nose": ["wide", "narrow", "hooked"], "eyes": ["round", "almond"]}, "here")


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.fixture
def seen() -> Seen:
    activations = np.array([[0.5, 0.3, 0.2, 0.9, 0.1], [0.2, 0.6, 0.2, 0.4, 0.6]], np.float32)
    return Seen(activations, activations)


HEAD = Head(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), np.array([0.1, 0, 0, 0.2], np.float32))


def explained(seen: Seen, threshold: float, **asked):
    side = Side("a", Image.new("L", (4, 4)))
    return explained_pairs(seen, HEAD, DESCRIPTORS, [(side, side)], [(0, 1)], threshold, [None], **asked)[0]


def by_hand(seen: Seen, changed: list[float]) -> float:
    return cosine(seen.activations[0] @ HEAD.weight + HEAD.bias, np.array(changed) @ HEAD.weight + HEAD.bias)


def test_a_concept_asked_for_is_set_and_its_group_shares_the_rest(seen):
    pair = explained(seen, 0.5, asked={1: 0.0, 3: 0.7})
    # Of the nose 0.2 and 0.2 are left, which become a half each; of the eyes 0.3 goes to the other.
    first, second = pair.interventions
    assert (first.descriptor, first.before, first.after) == ("narrow", pytest.approx(0.6), 0)
    assert first.similarity == pytest.approx(by_hand(seen, [0.5, 0, 0.5, 0.4, 0.6]), abs=1e-6)
    assert second.similarity == pytest.approx(by_hand(seen, [0.2, 0.6, 0.2, 0.7, 0.3]), abs=1e-6)


@pytest.mark.parametrize("match", [True, False])
def test_those_that_move_it_most_are_taken_from_a_match_and_else_made_alike(seen, match):
    pair = explained(seen, -1.0 if match else 1.0)
    groups = [[0, 1, 2], [3, 4]]
    first, second = seen.activations.astype(float)
    moved = []
    for group in groups:
        for concept in group:
            value = 0.0 if match else first[concept]
            changed = second.copy()
            others = [one for one in group if one != concept]
            changed[others] *= (1 - value) / second[others].sum()
            changed[concept] = value
            moved.append(by_hand(seen, changed.tolist()))
    order = sorted(range(5), key=lambda concept: moved[concept] if match else -moved[concept])[:TOP_INTERVENTIONS]
    assert [one.descriptor for one in pair.interventions] == [DESCRIPTORS.phrases[concept] for concept in order]
    for one, concept in zip(pair.interventions, order, strict=True):
        assert (one.before, one.after) == pytest.approx((second[concept], 0 if match else first[concept]))
        assert one.similarity == pytest.approx(moved[concept], abs=1e-6)
