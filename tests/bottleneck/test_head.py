"""The bottleneck against float64 and PyTorch, and the shares of a similarity, which add up to it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.bottleneck.head import Adapter, Bottleneck, group_softmax, intervene, similarity_shares
from ecor_jax.clip.model import Bank
from ecor_jax.errors import UserError

EMBED, CONCEPTS = 8, 7
# Ragged, out of order, and a group of one.
GROUPS = (2, 0, 0, 1, 2, 2, 3)
seeds = st.integers(0, 2**16)
partitions = st.lists(st.integers(0, 3), min_size=CONCEPTS, max_size=CONCEPTS)


def features(seed=0, rows=4) -> np.ndarray:
    return (3 * np.random.default_rng(seed).normal(size=(rows, EMBED))).astype(np.float32)


def bank(seed=1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(CONCEPTS, EMBED))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def adapter(**options) -> Adapter:
    return Adapter(**{"embed_dim": EMBED, "width": 3, "alpha": 0.3, "rngs": nnx.Rngs(0)} | options)


def bottleneck(**options) -> Bottleneck:
    given: dict[str, Any] = {"bank": bank(), "groups": GROUPS, "scale": 20.0, "size": CONCEPTS, "rngs": nnx.Rngs(0)}
    return Bottleneck(**given | options)


def slow_group_softmax(scores, groups) -> np.ndarray:
    shares = np.array(scores, np.float64)
    for group in set(groups):
        members = np.array(groups) == group
        shares[:, members] = scipy.special.softmax(shares[:, members], axis=1)
    return shares


def slow_adapter(x, adapter) -> np.ndarray:
    down, up = (np.asarray(layer.kernel[...], np.float64) for layer in (adapter.down, adapter.up))
    hidden = np.maximum(x @ down, 0) @ up
    hidden = np.maximum(hidden, 0) if adapter.last_relu else hidden
    return adapter.alpha * x + (1 - adapter.alpha) * hidden


@pytest.mark.parametrize("last_relu", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_adapter_is_clip_adapters(alpha, last_relu):
    """CLIP-Adapter's ratio weighs the adapter; alpha, as the paper writes it, the original feature."""
    torch = pytest.importorskip("torch")
    ours, x = adapter(alpha=alpha, last_relu=last_relu), features()
    down, up = torch.nn.Linear(EMBED, 3, bias=False), torch.nn.Linear(3, EMBED, bias=False)
    with torch.no_grad():
        for theirs, mine in ((down, ours.down), (up, ours.up)):
            theirs.weight.copy_(torch.tensor(np.asarray(mine.kernel[...]).T))
        layers = [down, torch.nn.ReLU(), up] + [torch.nn.ReLU()] * last_relu
        ratio = 1 - alpha
        expected = ratio * torch.nn.Sequential(*layers)(torch.tensor(x)) + (1 - ratio) * torch.tensor(x)
    np.testing.assert_allclose(ours(jnp.asarray(x)), expected.numpy(), rtol=1e-5, atol=1e-5)


@settings(max_examples=25)
@given(seeds, partitions, st.sampled_from([0.1, 1.0, 100.0, 1e4]))
def test_group_softmax_is_a_softmax_in_each_group(seed, groups, scale):
    scores = (scale * np.random.default_rng(seed).uniform(-1, 1, (3, CONCEPTS))).astype(np.float32)
    found = group_softmax(jnp.asarray(scores), jnp.array(groups), 4)
    np.testing.assert_allclose(found, slow_group_softmax(scores, groups), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("size", [1e4, 1e30, 3e38])
def test_huge_scores_give_whole_shares_and_finite_gradients(size):
    scores = jnp.array([[size, -size, 0.0, size, -size, -size, 0.0]], jnp.float32)
    groups = jnp.array([0, 0, 0, 1, 1, 2, 2])
    shares, slope = jax.value_and_grad(lambda s: jnp.sum(group_softmax(s, groups, 3) ** 2))(scores)
    assert np.isfinite(shares) and np.isfinite(slope).all()
    np.testing.assert_array_equal(group_softmax(scores, groups, 3), [[1, 0, 0, 1, 0, 0, 1]])


@settings(max_examples=10)
@given(seeds, partitions)
def test_gradients_of_group_softmax(seed, groups):
    """Of a softmax s, the slope of sum(w s) is s (w - sum(w s)), the sum being over the group."""
    rng = np.random.default_rng(seed)
    scores, weights = rng.uniform(-2, 2, (2, CONCEPTS)).astype(np.float32), rng.normal(size=(2, CONCEPTS))
    slopes = jax.grad(lambda s: jnp.sum(jnp.float32(weights) * group_softmax(s, jnp.array(groups), 4)))(scores)
    shares, same = slow_group_softmax(scores, groups), np.equal.outer(groups, groups)
    np.testing.assert_allclose(slopes, shares * (weights - (shares * weights) @ same), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("groups", [GROUPS, None])
@pytest.mark.parametrize("with_adapter", [True, False])
def test_the_bottleneck_is_its_equations(groups, with_adapter):
    options = {"size": 5, "init": "orthogonal", "use_bias": True, "adapter": adapter() if with_adapter else None}
    ours = bottleneck(groups=groups, **options)
    ours.aggregation.bias[...] = jnp.arange(5, dtype=jnp.float32)
    x = features()
    found = ours(jnp.asarray(x))
    adapted = slow_adapter(x.astype(np.float64), ours.adapter) if with_adapter else x
    cosines = adapted @ bank().T / np.linalg.norm(adapted, axis=1, keepdims=True)
    activations = cosines if groups is None else slow_group_softmax(20 * cosines, groups)
    output = activations @ np.asarray(ours.aggregation.kernel[...], np.float64) + np.arange(5)
    expected = {"features": adapted, "cosines": cosines, "activations": activations, "output": output}
    for name, wanted in expected.items():
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-4, atol=1e-5, err_msg=name)


def test_an_identity_hands_activations_on():
    """Table 5 of the paper: an untrained linear layer changes nothing."""
    found = bottleneck()(jnp.asarray(features()))
    np.testing.assert_array_equal(found.output, found.activations)
    assert bottleneck().aggregation.bias is None


@pytest.mark.parametrize("size", [3, CONCEPTS, 12])
def test_an_orthogonal_start(size):
    kernel = np.asarray(bottleneck(size=size, init="orthogonal").aggregation.kernel[...], np.float64)
    assert kernel.shape == (CONCEPTS, size)
    product = kernel.T @ kernel if size <= CONCEPTS else kernel @ kernel.T
    np.testing.assert_allclose(product, np.eye(min(size, CONCEPTS)), atol=1e-6)
    other = bottleneck(size=size, init="orthogonal", rngs=nnx.Rngs(5)).aggregation.kernel[...]
    assert np.abs(np.asarray(other) - kernel).max() > 0.01


def test_the_bank_is_no_parameter():
    ours = bottleneck(use_bias=True)
    assert isinstance(ours.bank, Bank)
    assert {leaf.shape for leaf in jax.tree.leaves(nnx.state(ours, nnx.Param))} == {(CONCEPTS, CONCEPTS), (CONCEPTS,)}
    # Nor has an adapter a bias.
    assert {leaf.shape for leaf in jax.tree.leaves(nnx.state(adapter(), nnx.Param))} == {(EMBED, 3), (3, EMBED)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "ones"}, r"bottleneck\.init is 'ones'; expected one of identity, orthogonal, zeros"),
        ({"size": 5}, r"bottleneck\.size is 5; an identity needs that of the descriptors, 7"),
        ({"size": 0, "init": "orthogonal"}, r"bottleneck\.size is 0 .* expected positive numbers"),
        ({"scale": 0.0}, r"bottleneck\.scale 0\.0; expected positive numbers"),
        ({"alpha": -0.01}, r"adapter\.alpha is -0\.01; expected a share from 0 to 1"),
        ({"alpha": 1.01}, r"adapter\.alpha is 1\.01; expected a share"),
        ({"alpha": math.nan}, r"adapter\.alpha is nan; expected a share"),
        ({"width": 0}, r"adapter\.width is 0; expected at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        adapter(**options) if options.keys() & {"alpha", "width"} else bottleneck(**options)


def pairs(seed, concepts=CONCEPTS, size=4, rows=3):
    """Activations of both sides, weight and bias."""
    rng = np.random.default_rng(seed)
    arrays = *rng.uniform(0, 1, (2, rows, concepts)), rng.normal(size=(concepts, size)), rng.normal(size=size)
    return tuple(array.astype(np.float32) for array in arrays)


def slow_shares(a, b, weight, bias):
    """The dot product as a sum over pairs of terms, a bias being a term that is always one.

    A pair of different terms is owed to both alike.
    """
    a, b, weight, bias = (np.asarray(x, np.float64) for x in (a, b, weight, bias))
    terms = np.concatenate([weight, bias[None]])
    first, second = np.append(a, 1), np.append(b, 1)
    shares = np.zeros(len(terms))
    for i, j in np.ndindex(len(terms), len(terms)):
        part = first[i] * second[j] * float(terms[i] @ terms[j])
        shares[i] += part / 2
        shares[j] += part / 2
    return shares / (np.linalg.norm(first @ terms) * np.linalg.norm(second @ terms))


@settings(max_examples=20)
@given(seeds, st.booleans())
def test_shares_are_those_of_a_slow_loop_and_add_up_to_the_cosine(seed, with_bias):
    a, b, weight, bias = pairs(seed)
    used = bias if with_bias else np.zeros_like(bias)
    found = similarity_shares(*map(jnp.asarray, (a, b, weight)), jnp.asarray(bias) if with_bias else None)
    first, second = (np.asarray(x, np.float64) @ weight + used for x in (a, b))
    cosine = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    total = np.asarray(found.concepts, np.float64).sum(axis=1) + np.asarray(found.bias)
    np.testing.assert_allclose(total, cosine, atol=1e-4)
    for row in range(len(a)):
        expected = slow_shares(a[row], b[row], weight, used)
        np.testing.assert_allclose(found.concepts[row], expected[:-1], rtol=1e-3, atol=1e-4)
        assert float(found.bias[row]) == pytest.approx(expected[-1], rel=1e-3, abs=1e-4)
    # Neither image counts more.
    turned = similarity_shares(*map(jnp.asarray, (b, a, weight)), jnp.asarray(bias) if with_bias else None)
    np.testing.assert_allclose(turned.concepts, found.concepts, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turned.bias, found.bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_bias", [True, False])
def test_shares_of_zero_activations(with_bias):
    _, b, weight, bias = map(jnp.asarray, pairs(0))
    nothing = jnp.zeros_like(b)
    found = similarity_shares(nothing, nothing, weight, bias if with_bias else None)
    np.testing.assert_array_equal(found.concepts, 0)
    np.testing.assert_allclose(found.bias, 1.0 if with_bias else 0.0, rtol=1e-5)
    # One of the two: the embeddings are orthogonal to none, the cosine is 0 without a bias.
    found = similarity_shares(nothing, b, weight, bias if with_bias else None)
    assert np.isfinite(found.concepts).all() and np.isfinite(found.bias).all()
    if not with_bias:
        np.testing.assert_array_equal(found.concepts, 0)


@settings(max_examples=20)
@given(seeds, partitions, st.integers(0, CONCEPTS - 1), st.sampled_from([0.0, 0.25, 1.0]))
def test_the_others_of_a_group_share_the_rest_as_they_did(seed, groups, concept, value):
    scores = np.random.default_rng(seed).uniform(-2, 2, (3, CONCEPTS))
    before = slow_group_softmax(scores, groups)
    found = np.asarray(intervene(jnp.asarray(before, jnp.float32), jnp.array(groups), concept, value))
    own = np.array(groups) == groups[concept]
    np.testing.assert_allclose(found[:, concept], value, rtol=1e-6)
    np.testing.assert_allclose(found[:, ~own], before[:, ~own], rtol=1e-6)
    others = [column for column in np.flatnonzero(own) if column != concept]
    if others:
        np.testing.assert_allclose(found[:, own].sum(axis=1), 1, rtol=1e-5)
        kept = before[:, others] / before[:, others].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[:, others], (1 - value) * kept, rtol=1e-4, atol=1e-6)


def test_others_that_are_all_nothing_share_alike():
    before = jnp.array([[1.0, 0.0, 0.0, 0.0, 0.7, 0.3]])
    found = intervene(before, jnp.array([0, 0, 0, 0, 1, 1]), 0, 0.25)
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.25, 0.25, 0.7, 0.3]], rtol=1e-6)
