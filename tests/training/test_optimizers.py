"""Schedules and optimizers against values worked by hand."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from ecor_jax.training.optimizers import make_optimizer, make_schedule
from ecor_jax.training.options import Optimizer


def options(**changes) -> Optimizer:
    plain = Optimizer("sgd", 1.0, warmup_steps=0, schedule="constant", momentum=0.0)
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Warm-up rises evenly from more than nothing to the peak.
        ({"learning_rate": 2.0, "warmup_steps": 3}, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]),
        ({"schedule": "cosine"}, [0.5 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]),
        ({"learning_rate": 4.0, "warmup_steps": 2, "schedule": "linear"}, [4 / 3, 8 / 3, 4.0, 3.0, 2.0, 1.0]),
        # One longer than the run still reaches it.
        ({"warmup_steps": 100, "schedule": "cosine"}, [1 / 3, 2 / 3, 1.0]),
        ({"warmup_steps": 5, "schedule": "cosine"}, [1.0]),
        ({"warmup_steps": 5, "schedule": "linear"}, [1.0]),
        ({"warmup_steps": 5}, [1.0]),
    ],
)
def test_learning_rates(changes, expected):
    schedule = make_schedule(options(**changes), len(expected))
    np.testing.assert_allclose([float(schedule(step)) for step in range(len(expected))], expected, rtol=1e-6)


@pytest.fixture(autouse=True)
def _promoted():
    """Optax raises floats to the power of step counts; a training step allows its updates that."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def updates(gradients, steps=1, params=None, **changes):
    """The change of parameters, some of which are in a module (`module/name`), after `steps` equal gradients."""
    optimizer = make_optimizer(options(**changes), steps)
    gradients = nested(gradients)
    first = jax.tree.map(jnp.zeros_like, gradients) if params is None else nested(params)
    params, state = first, optimizer.init(first)
    for _ in range(steps):
        change, state = optimizer.update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, change)
    change = flatten_dict(jax.tree.map(lambda after, before: np.asarray(after - before), params, first))
    return {"/".join(path): value for path, value in change.items()}


def nested(flat):
    return unflatten_dict({tuple(name.split("/")): value for name, value in flat.items()})


def test_sgd_with_momentum():
    found = updates({"w": jnp.array([2.0])}, steps=3, learning_rate=0.1, momentum=0.5)
    np.testing.assert_allclose(found["w"], [-0.1 * (2 + 3 + 3.5)], rtol=1e-6)


def test_b2_is_adamws():
    """Gradients 1, then 3, with b1 = 0.9: by the update rule of Adam (Kingma and Ba 2015, algorithm 1)."""
    optimizer = make_optimizer(options(name="adamw", b2=0.5, learning_rate=1.0), 2)
    params = {"w": jnp.array([0.0])}
    state = optimizer.init(params)
    _, state = optimizer.update({"w": jnp.array([1.0])}, state, params)
    change, _ = optimizer.update({"w": jnp.array([3.0])}, state, params)
    first_moment = (0.9 * 0.1 * 1 + 0.1 * 3) / (1 - 0.9**2)
    second_moment = (0.5 * 0.5 * 1 + 0.5 * 9) / (1 - 0.5**2)
    np.testing.assert_allclose(change["w"], [-first_moment / math.sqrt(second_moment)], rtol=1e-5)


def test_muon_orthogonalises_matrices_and_leaves_the_rest_to_adam():
    """An update of a matrix has equal singular values and the root mean square .2 (arXiv 2502.16982, eq. 4)."""
    rng = np.random.default_rng(0)
    gradients = {
        "blocks/kernel": jnp.asarray(rng.standard_normal((2, 4, 6)), jnp.float32),
        "kernel": jnp.asarray(rng.standard_normal((5, 5)), jnp.float32),
        "token_embedding": jnp.full((3, 4), 7.0),
        "projection/kernel": jnp.full((4, 3), -7.0),
        "bias": jnp.full(4, 7.0),
        "blocks/scale": jnp.full((2, 4), -7.0),
    }
    found = updates(gradients, name="muon", learning_rate=0.1)
    for update, gradient in zip(
        (*found["blocks/kernel"], found["kernel"]), (*gradients["blocks/kernel"], gradients["kernel"]), strict=True
    ):
        left, right = np.linalg.svd(np.asarray(gradient), full_matrices=False)[::2]
        size = 0.1 * 0.2 * max(update.shape) ** 0.5
        # Five Newton-Schulz iterations bring the singular values to about 1, from 0.7 to 1.2 (Jordan et al. 2024).
        along = np.diag(left.T @ update @ right.T) / -size
        assert (along > 0.6).all() and (along < 1.3).all()
        np.testing.assert_allclose(update, left @ np.diag(-size * along) @ right, atol=1e-5)
    first = 1 + 0.9 * (1 - 0.9) / (1 - 0.9**2)  # of Adam with Nesterov's momentum (Dozat 2016), b1 = 0.9
    for name in ("token_embedding", "projection/kernel", "bias", "blocks/scale"):
        np.testing.assert_allclose(found[name], -0.1 * first * np.sign(gradients[name]), rtol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_weight_decay_spares_vectors_and_scalars(name):
    params = {"kernel": jnp.full((2, 2), 10.0), "bias": jnp.full(2, 10.0), "scale": jnp.array(10.0)}
    params["blocks/bias"] = jnp.full((3, 2), 10.0)
    nothing = {key: jnp.zeros_like(value) for key, value in params.items()}
    found = updates(nothing, params=params, name=name, learning_rate=0.5, weight_decay=0.1)
    np.testing.assert_allclose(found.pop("kernel"), np.full((2, 2), -0.5 * 0.1 * 10), rtol=1e-6)
    assert len(found) == 3 and not any(change.any() for change in found.values())


def test_gradients_are_clipped_by_their_common_norm():
    gradients = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    clipped = updates(gradients, clip_norm=1.0)
    np.testing.assert_allclose([*clipped["a"], *clipped["b"]], [-0.6, -0.8], rtol=1e-6)
    np.testing.assert_allclose(updates(gradients, clip_norm=6.0)["b"], [-4.0])
    np.testing.assert_allclose(updates(gradients, clip_norm=0.0)["b"], [-4.0])
