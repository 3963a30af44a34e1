"""Each loss against a slow loop in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.losses import candidate_loss, sigmoid_contrastive_loss, softmax_contrastive_loss

pytestmark = pytest.mark.usefixtures("strict_dtypes")

SIZE = 5

candidate = jax.jit(candidate_loss)
softmax = jax.jit(softmax_contrastive_loss)
sigmoid = jax.jit(sigmoid_contrastive_loss)

seeds = st.integers(0, 2**16)
scales = st.sampled_from([1.0, 14.0, 100.0])
groups = st.lists(st.integers(0, SIZE - 1), min_size=SIZE, max_size=SIZE)


def cosines(seed: int, columns: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (SIZE, columns)).astype(np.float32)


def same(group) -> np.ndarray:
    return np.equal.outer(np.array(group), np.array(group))


def log_probability(row, chosen: int) -> float:
    highest = max(row)
    return row[chosen] - highest - math.log(sum(math.exp(value - highest) for value in row))


def slow_softmax(logits, positives) -> list[float]:
    """Row and column cross-entropy with the target spread evenly over the positives."""
    logits = np.asarray(logits, np.float64)
    values = []
    for i in range(len(logits)):
        total = 0.0
        for line, wanted in ((logits[i], positives[i]), (logits[:, i], positives[:, i])):
            chosen = [j for j in range(len(line)) if wanted[j]]
            total += -sum(log_probability(list(line), j) for j in chosen) / len(chosen)
        values.append(total / 2)
    return values


def slow_sigmoid(logits, positives) -> list[float]:
    def penalty(z: float) -> float:  # -log sigmoid(z)
        return math.log1p(math.exp(-z)) if z > -30 else -z

    return [
        sum(penalty(float(z) if match else -float(z)) for z, match in zip(row, wanted, strict=True))
        for row, wanted in zip(logits, positives, strict=True)
    ]


@settings(max_examples=20, deadline=None)
@given(seeds, scales, st.lists(st.integers(0, 6), min_size=SIZE, max_size=SIZE))
def test_candidate_loss_equals_a_slow_cross_entropy(seed, scale, target):
    logits = cosines(seed, 7) * np.float32(scale)
    expected = [-log_probability([float(v) for v in row], t) for row, t in zip(logits, target, strict=True)]
    np.testing.assert_allclose(candidate(logits, np.array(target)), expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds, scales, groups)
def test_softmax_contrastive_loss_equals_a_slow_loop(seed, scale, group):
    logits, positives = cosines(seed) * np.float32(scale), same(group)
    np.testing.assert_allclose(softmax(logits, positives), slow_softmax(logits, positives), rtol=1e-5, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds, scales, groups)
def test_sigmoid_contrastive_loss_equals_a_slow_loop(seed, scale, group):
    logits, positives = cosines(seed) * np.float32(scale) - 10, same(group)
    np.testing.assert_allclose(sigmoid(logits, positives), slow_sigmoid(logits, positives), rtol=1e-5, atol=1e-5)


def test_with_one_positive_each_it_is_the_loss_of_clip():
    # Radford et al. 2021, figure 3: cross-entropy of the diagonal, over rows and over columns, and their mean.
    logits = cosines(0) * np.float32(14)
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = np.exp(logits) / np.exp(logits).sum(axis=0, keepdims=True)
    clip = (-np.log(np.diag(rows)).mean() - np.log(np.diag(columns)).mean()) / 2
    assert float(jnp.mean(softmax(logits, np.eye(SIZE, dtype=bool)))) == pytest.approx(clip, rel=1e-5)


def test_hand_worked_values():
    logits = np.array([[0.0, math.log(3)], [0.0, 0.0]], np.float32)
    # Rows: 1/4 of e^0 + 3, and 1/2; columns: 1/2, and 1/4 of 3 + 1.
    first, second = (math.log(4) + math.log(2)) / 2, (math.log(2) + math.log(4)) / 2
    np.testing.assert_allclose(softmax(logits, np.eye(2, dtype=bool)), [first, second], rtol=1e-6)
    np.testing.assert_allclose(candidate(logits, np.array([1, 1])), [math.log(4 / 3), math.log(2)], rtol=1e-6)
    # sigmoid(0) = 1/2; of log 3, 3/4; of -log 3, 1/4.
    expected = [math.log(2) + math.log(4), 2 * math.log(2)]
    np.testing.assert_allclose(sigmoid(logits, np.eye(2, dtype=bool)), expected, rtol=1e-6)


def test_equal_texts_are_never_negatives():
    # Texts 0 and 3 are equal, and so are 1, 2 and 4; every image fits its own and no other.
    positives = jnp.asarray(same([0, 1, 1, 0, 1]))
    logits = 100 * positives.astype(jnp.float32)
    # Nothing is left to learn: the loss is the entropy of the even target, and does not pull.
    np.testing.assert_allclose(softmax(logits, positives), np.log([2, 3, 3, 2, 3]), rtol=1e-5)
    pull = jax.grad(lambda logits: jnp.mean(softmax_contrastive_loss(logits, positives)))(logits)
    np.testing.assert_allclose(pull, 0, atol=1e-6)
    # Taken for negatives, they would.
    pull = jax.grad(lambda logits: jnp.mean(softmax_contrastive_loss(logits, jnp.eye(SIZE, dtype=bool))))(logits)
    assert pull[0, 3] > 0.05


@settings(max_examples=20, deadline=None)
@given(seeds, groups, st.permutations(range(SIZE)))
def test_the_order_of_a_batch_changes_nothing_but_the_order_of_the_losses(seed, group, order):
    logits, positives, order = cosines(seed) * np.float32(14), same(group), np.array(order)
    for loss in (softmax, sigmoid):
        moved = loss(logits[np.ix_(order, order)], positives[np.ix_(order, order)])
        np.testing.assert_allclose(moved, np.asarray(loss(logits, positives))[order], rtol=1e-5, atol=1e-5)
    target = np.array(group)
    place = np.argsort(order)  # where each candidate has gone
    moved = candidate(logits[:, order], place[target])
    np.testing.assert_allclose(moved, candidate(logits, target), rtol=1e-5, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seeds, groups)
def test_values_and_gradients_are_finite_at_the_sharpest_temperature(seed, group):
    # Cosines of 1 and -1, one apart by 200 after scaling: a softmax of probabilities would give log(0).
    extreme = np.sign(cosines(seed))
    positives, target = same(group), np.array(group)
    for name, (value, gradient) in _gradients(extreme, positives, target).items():
        assert np.isfinite(value), name
        assert np.isfinite(gradient).all(), name


@jax.jit
def _gradients(cosine, positives, target):
    losses = {
        "softmax": lambda c: jnp.mean(softmax_contrastive_loss(100.0 * c, positives)),
        "sigmoid": lambda c: jnp.mean(sigmoid_contrastive_loss(100.0 * c - 10.0, positives)),
        "candidate": lambda c: jnp.mean(candidate_loss(100.0 * c, target)),
    }
    return {name: jax.value_and_grad(loss)(cosine) for name, loss in losses.items()}
