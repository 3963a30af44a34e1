"""The faithfulness tools against loops, and on heads whose answers are known."""

import numpy as np
import pytest

from ecor_jax.tasks.verification.faithfulness import Head, deletion, similarity, strongest_only

RNG = np.random.default_rng(0)


@pytest.fixture
def head():
    return Head(RNG.normal(size=(6, 4)).astype(np.float32), RNG.normal(size=4).astype(np.float32))


def activations(pairs=5):
    return RNG.random((pairs, 6)).astype(np.float32)


def test_similarity_is_the_cosine_of_the_embeddings(head):
    first, second = activations(), activations()
    expected = []
    for a, b in zip(first, second, strict=True):
        left = [sum(a[i] * head.weight[i, j] for i in range(6)) + head.bias[j] for j in range(4)]
        right = [sum(b[i] * head.weight[i, j] for i in range(6)) + head.bias[j] for j in range(4)]
        lengths = sum(x * x for x in left) ** 0.5 * sum(x * x for x in right) ** 0.5
        expected.append(sum(x * y for x, y in zip(left, right, strict=True)) / lengths)
    np.testing.assert_allclose(similarity(first, second, head), expected, rtol=1e-5)


def test_the_similarity_of_nothing_is_zero():
    head = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    nothing, something = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert similarity(nothing, something, head) == similarity(nothing, nothing, head) == 0


def test_the_strongest_stay():
    values = np.array([[0.1, 0.4, 0.2, 0.3], [0.5, 0.5, 0.5, 0.1]], np.float32)
    kept = strongest_only(values, 2)
    np.testing.assert_array_equal(kept, np.array([[0, 0.4, 0, 0.3], [0.5, 0.5, 0, 0]], np.float32))
    np.testing.assert_array_equal(strongest_only(values, 4), values)


def test_deletion_takes_the_largest_shares_first():
    """With an identity, the share of concept i is a_i b_i / (|a| |b|), and what is left is known."""
    head = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    first = np.array([[3.0, 2.0, 1.0]], np.float32)
    second = np.array([[1.0, 2.0, 3.0]], np.float32)
    shares = first * second / 14
    after = deletion(first, second, shares, head, (0, 1, 2, 3), seed=0)["by share"]
    # First the second concept goes (share 4/14); of the others, equal, the earlier left.
    expected = [10 / 14, 6 / 10, 1.0, 0.0]
    np.testing.assert_allclose(after, expected, rtol=1e-6)


def test_deletion_at_random_is_seeded_and_differs_from_pair_to_pair(head):
    first, second = activations(40), activations(40)
    shares = np.ones_like(first)
    runs = [deletion(first, second, shares, head, (1, 3), seed)["at random"] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    one_order_for_all = [
        deletion(first[:1], second[:1], shares[:1], head, (1,), seed)["at random"] for seed in range(9)
    ]
    assert len({tuple(values) for values in one_order_for_all}) > 1
