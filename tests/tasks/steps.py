"""A training step and its state, as the loop makes them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ecor_jax.training.step import Statistic, TrainState, make_step


def begin(task: Any, optimizer: optax.GradientTransformation):
    """The graph, the jitted step, its state and the frozen rest."""
    graph, tuned, statistics, frozen = nnx.split(task.model, task.trainable, Statistic, ...)
    tuned, statistics = nnx.to_pure_dict(tuned), nnx.to_pure_dict(statistics)
    state = TrainState(tuned, statistics, optimizer.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    return graph, jax.jit(make_step(task, graph, optimizer)), state, frozen


def arrays_of(tree: Any) -> dict[str, np.ndarray]:
    """Every array of nested dicts, by its path `a/b/c`."""
    return {
        "/".join(str(part.key) for part in path if isinstance(part, jax.tree_util.DictKey)): np.array(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
