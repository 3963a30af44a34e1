"""The faithfulness tools against loops, and on heads whose answers are known."""

import numpy as np
import pytest

from ecor_jax.tasks.verification.faithfulness import Head, deletion, similarity, strongest_only

RNG = np.random.default_rng(0)
IDENTITY = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))


@pytest.fixture
def head():
    return Head(RNG.normal(size=(6, 4)).astype(np.float32), RNG.normal(size=4).astype(np.float32))


def activations(pairs=5):
    return RNG.random((pairs, 6)).astype(np.float32)


def test_similarity_is_the_cosine_of_the_embeddings(head):
    first, second = activations(), activations()
    left, right = (rows.astype(np.float64) @ head.weight + head.bias for rows in (first, second))
    expected = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(similarity(first, second, head), expected, rtol=1e-5)


def test_the_similarity_of_nothing_is_zero():
    nothing, something = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert similarity(nothing, something, IDENTITY) == similarity(nothing, nothing, IDENTITY) == 0


def test_the_strongest_stay():
    values = np.array([[0.1, 0.4, 0.2, 0.3], [0.5, 0.5, 0.5, 0.1]], np.float32)
    kept = strongest_only(values, 2)
    np.testing.assert_array_equal(kept, np.array([[0, 0.4, 0, 0.3], [0.5, 0.5, 0, 0]], np.float32))
    np.testing.assert_array_equal(strongest_only(values, 4), values)


def test_deletion_takes_the_largest_shares_first():
    """With an identity, the share of concept i is a_i b_i / (|a| |b|), and what is left is known."""
    first, second = np.array([[[3, 2, 1]], [[1, 2, 3]]], np.float32)
    after = deletion(first, second, first * second / 14, IDENTITY, (0, 1, 2, 3), seed=0)["by share"]
    # First the second concept goes (share 4/14); of the others, equal, the earlier left.
    expected = [10 / 14, 6 / 10, 1.0, 0.0]
    np.testing.assert_allclose(after, expected, rtol=1e-6)


def test_deletion_at_random_is_seeded_and_differs_from_pair_to_pair(head):
    first, second = activations(40), activations(40)
    shares = np.ones_like(first)
    runs = [deletion(first, second, shares, head, (1, 3), seed)["at random"] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    orders = [deletion(first[:1], second[:1], shares[:1], head, (1,), seed)["at random"] for seed in range(9)]
    assert len({tuple(values) for values in orders}) > 1
