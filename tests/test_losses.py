"""Each loss against SciPy in float64, slow loops or PyTorch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_expit, log_softmax

from ecor_jax.losses import (
    candidate_loss,
    concept_loss,
    multi_label_loss,
    sigmoid_contrastive_loss,
    softmax_contrastive_loss,
)

SIZE = 5

candidate = jax.jit(candidate_loss)
softmax = jax.jit(softmax_contrastive_loss)
sigmoid = jax.jit(sigmoid_contrastive_loss)
concept = jax.jit(concept_loss, static_argnums=2)
multi_label = jax.jit(multi_label_loss)
concept_slope = jax.jit(jax.grad(lambda *inputs: jnp.sum(concept_loss(*inputs))), static_argnums=2)
multi_label_slope = jax.jit(jax.grad(lambda *inputs: jnp.sum(multi_label_loss(*inputs))))

seeds = st.integers(0, 2**16)
scales = st.sampled_from([1.0, 14.0, 100.0])
groups = st.lists(st.integers(0, SIZE - 1), min_size=SIZE, max_size=SIZE)


def cosines(seed: int, columns: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (SIZE, columns)).astype(np.float32)


def same(group) -> np.ndarray:
    return np.equal.outer(np.array(group), np.array(group))


def softmax_reference(logits, positives):
    """Row and column cross-entropy with the target spread evenly over the positives."""
    share = positives / positives.sum(axis=1, keepdims=True)  # symmetric, as the positives are
    both = sum(np.sum(share * way, axis=1) for way in (log_softmax(logits, axis=1), log_softmax(logits, axis=0).T))
    return -both / 2


def sigmoid_reference(logits, positives):
    return -log_expit(np.where(positives, logits, -logits)).sum(axis=1)


@settings(max_examples=20)
@given(seeds, scales, st.lists(st.integers(0, 6), min_size=SIZE, max_size=SIZE))
def test_candidate_loss_is_a_cross_entropy(seed, scale, target):
    logits = cosines(seed, 7) * np.float32(scale)
    expected = -log_softmax(logits.astype(np.float64), axis=1)[range(SIZE), target]
    np.testing.assert_allclose(candidate(logits, np.array(target)), expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=20)
@given(seeds, scales, groups)
def test_contrastive_losses_equal_their_formulas_in_float64(seed, scale, group):
    logits, positives = cosines(seed) * np.float32(scale), same(group)
    exact = logits.astype(np.float64)
    np.testing.assert_allclose(softmax(logits, positives), softmax_reference(exact, positives), rtol=1e-5, atol=1e-5)
    found = sigmoid(logits - 10, positives)
    np.testing.assert_allclose(found, sigmoid_reference(exact - 10, positives), rtol=1e-5, atol=1e-5)


def test_hand_worked_values():
    logits = np.array([[0.0, math.log(3)], [0.0, 0.0]], np.float32)
    # Rows: 1/4 of e^0 + 3, and 1/2; columns: 1/2, and 1/4 of 3 + 1.
    first, second = (math.log(4) + math.log(2)) / 2, (math.log(2) + math.log(4)) / 2
    np.testing.assert_allclose(softmax(logits, np.eye(2, dtype=bool)), [first, second], rtol=1e-6)
    np.testing.assert_allclose(candidate(logits, np.array([1, 1])), [math.log(4 / 3), math.log(2)], rtol=1e-6)
    # sigmoid(0) = 1/2; of log 3, 3/4; of -log 3, 1/4.
    expected = [math.log(2) + math.log(4), 2 * math.log(2)]
    np.testing.assert_allclose(sigmoid(logits, np.eye(2, dtype=bool)), expected, rtol=1e-6)


@jax.jit
def gradients(cosine, positives, target):
    losses = {
        "softmax": lambda c: jnp.mean(softmax_contrastive_loss(100.0 * c, positives)),
        "sigmoid": lambda c: jnp.mean(sigmoid_contrastive_loss(100.0 * c - 10.0, positives)),
        "candidate": lambda c: jnp.mean(candidate_loss(100.0 * c, target)),
    }
    return {name: jax.value_and_grad(loss)(cosine) for name, loss in losses.items()}


@settings(max_examples=10)
@given(seeds, groups)
def test_values_and_gradients_are_finite_at_the_sharpest_temperature(seed, group):
    # Cosines of 1 and -1, one apart by 200 after scaling: a softmax of probabilities would give log(0).
    for name, (value, gradient) in gradients(np.sign(cosines(seed)), same(group), np.array(group)).items():
        assert np.isfinite(value) and np.isfinite(gradient).all(), name


# Concepts that are known to be there


def slow_concept_loss(row, present, push_absent) -> tuple[float, list[float]]:
    """One image's loss and its slope, the targets being numbers that do not depend on the scores."""
    row = [float(value) for value in row]
    if not any(present):
        return 0.0, [0.0] * len(row)
    total, slope = 0.0, []
    for value, there in zip(row, present, strict=True):
        target = max(row) if there else min(row) if push_absent else value
        total += abs(value - target)
        slope.append(math.copysign(1, value - target) / len(row) if value != target else 0.0)
    return total / len(row), slope


@settings(max_examples=20)
@given(seeds, st.lists(st.integers(0, 2**7 - 1), min_size=SIZE, max_size=SIZE), st.booleans())
def test_concept_loss_and_its_slope_equal_a_slow_loop(seed, masks, push_absent):
    scores = cosines(seed, 7)
    present = np.array([[bool(mask >> column & 1) for column in range(7)] for mask in masks])
    expected = [slow_concept_loss(*one, push_absent) for one in zip(scores, present, strict=True)]
    np.testing.assert_allclose(concept(scores, present, push_absent), [loss for loss, _ in expected], atol=1e-6)
    slopes = [slope for _, slope in expected]
    np.testing.assert_allclose(concept_slope(scores, present, push_absent), slopes, atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "present", "push_absent", "loss", "slope"),
    [
        # With the paper's target absent concepts get no gradient; pushed, they are moved down, all to the smallest.
        ([0.1, 0.5, 0.3, -0.2], [True, False, True, False], False, 0.6 / 4, [-0.25, 0, -0.25, 0]),
        ([0.1, 0.5, 0.3, -0.2], [True, False, True, False], True, 1.3 / 4, [-0.25, 0.25, -0.25, 0]),
        # Where no concept is known of an image, or all scores are equal, nothing pulls.
        ([0.1, 0.5, 0.3], [False, False, False], True, 0, [0, 0, 0]),
        ([0.25, 0.25, 0.25], [True, False, False], True, 0, [0, 0, 0]),
    ],
)
def test_hand_worked_concepts(scores, present, push_absent, loss, slope):
    scores, present = np.array([scores], np.float32), np.array([present])
    np.testing.assert_allclose(concept(scores, present, push_absent), [loss], rtol=1e-6)
    np.testing.assert_array_equal(concept_slope(scores, present, push_absent), [slope])


# Several findings


def torch_multi_label(logits, target, weight, known) -> tuple[np.ndarray, np.ndarray]:
    """Losses by row, and the slope of their sum, of PyTorch's; the mean is over the known findings of a row."""
    torch = pytest.importorskip("torch")
    target, weight = (torch.tensor(one, dtype=torch.float64) for one in (np.where(known, target, 0.5), weight))
    ours, mask = torch.tensor(logits, dtype=torch.float64, requires_grad=True), torch.tensor(known)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    each = loss(ours, target, pos_weight=weight, reduction="none")
    losses = (each * mask).sum(1) / mask.sum(1).clamp(min=1)
    losses.sum().backward()
    assert ours.grad is not None
    return losses.detach().numpy(), ours.grad.numpy()


@settings(max_examples=20)
@given(seeds, scales, st.integers(0, 2**20 - 1))
def test_multi_label_loss_and_its_slope_equal_pytorchs(seed, scale, unknown):
    logits, rng = cosines(seed, 4) * np.float32(scale), np.random.default_rng(seed)
    target, weight = rng.integers(0, 2, (SIZE, 4)).astype(np.float32), rng.uniform(0.1, 9, 4).astype(np.float32)
    known = np.array([[not unknown >> (4 * row + column) & 1 for column in range(4)] for row in range(SIZE)])
    given_target = np.where(known, target, np.float32(np.nan))
    losses, slope = torch_multi_label(logits, target, weight, known)
    np.testing.assert_allclose(multi_label(logits, given_target, weight), losses, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(multi_label_slope(logits, given_target, weight), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_sure_and_wrong_is_dear_but_finite(size):
    logits, target = np.array([[size, -size, size, -size]], np.float32), np.array([[1, 0, 0, 1]], np.float32)
    weight = np.array([1, 1, 1, 2], np.float32)
    np.testing.assert_allclose(multi_label(logits, target, weight), [3 * size / 4], rtol=1e-6)
    np.testing.assert_allclose(multi_label_slope(logits, target, weight), [[0, 0, 0.25, -0.5]], atol=1e-6)
