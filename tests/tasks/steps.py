"""A training step and its state, as the loop makes them; and what the toys of several learners are made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.config.options import read
from ecor_jax.training.options import Training
from ecor_jax.training.step import Statistic, TrainState, make_step


def begin(task: Any, optimizer: optax.GradientTransformation):
    """The graph, the jitted step, its state and the frozen rest."""
    graph, tuned, statistics, frozen = nnx.split(task.model, task.trainable, Statistic, ...)
    tuned, statistics = nnx.to_pure_dict(tuned), nnx.to_pure_dict(statistics)
    state = TrainState(tuned, statistics, optimizer.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    return graph, jax.jit(make_step(task, graph, optimizer)), state, frozen


def arrays_of(tree: Any) -> dict[str, np.ndarray]:
    """Every array of nested dicts, or of a model, by its path `a/b/c`; copies."""
    tree = nnx.to_pure_dict(nnx.state(tree)) if isinstance(tree, nnx.Module) else tree
    return {
        "/".join(str(part.key) for part in path if isinstance(part, jax.tree_util.DictKey)): np.array(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def gradients_of(task: Any, batch: dict[str, Any]) -> dict[str, np.ndarray]:
    """Of what is tuned, by path; nothing is promoted in silence."""
    graph, tuned, rest = nnx.split(task.model, task.trainable, ...)

    @jax.jit
    @jax.grad
    def gradient(tuned, batch):
        return task.loss(nnx.merge(graph, tuned, rest), batch, jax.random.key(0))[0]

    with jax.numpy_dtype_promotion("strict"):
        return arrays_of(nnx.to_pure_dict(gradient(tuned, batch)))


def training(steps: int, learning_rate: float = 0.05, model: int = 1, checkpoint_every: int = 100) -> Training:
    """Options of a loop; `model` devices share the candidates."""
    optimizer = {"learning_rate": learning_rate, "warmup_steps": 0, "schedule": "constant", "weight_decay": 0.0}
    options = {"steps": steps, "seed": 5, "log_every": 1, "checkpoint_every": checkpoint_every, "optimizer": optimizer}
    return read(Training, options | {"parallel": {"model": model}})


def unit_rows(rng: np.random.Generator, *shape: int) -> np.ndarray:
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def bottleneck(concepts: int, embed: int, groups: tuple[int, ...] | None = None, *, adapter: int = 0, **options):
    """A bottleneck of random descriptors with an orthogonal start; `adapter` is the width of one, 0 leaves it out."""
    given: dict[str, Any] = {"scale": 1.0, "size": 2, "init": "orthogonal", "use_bias": True}
    return Bottleneck(
        unit_rows(np.random.default_rng(1), concepts, embed),
        groups,
        **given | options,
        adapter=Adapter(embed, adapter, alpha=0.5, last_relu=False, rngs=nnx.Rngs(2)) if adapter else None,
        rngs=nnx.Rngs(0),
    )
