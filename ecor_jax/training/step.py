"""One training step: gradients for the tuned part only, one optimizer update."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import grain
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.nnx.filterlib import Filter
from jax.sharding import Mesh
from jaxtyping import Array, Float

from ecor_jax.parallel.mesh import gathered

Batch = dict[str, Array]
Metrics = dict[str, tuple[Float[Array, ""], Float[Array, ""]]]
"""Name to (sum, count): what is averaged over any number of batches and devices."""


class Statistic(nnx.Variable):
    """What a loss keeps from step to step without a gradient, such as running means: part of the state."""


class Learner(Protocol):
    """What the loop trains: it knows the model and the loss, and nothing of steps, devices or files."""

    @property
    def model(self) -> nnx.Module: ...

    @property
    def trainable(self) -> Filter:
        """Which of the model's variables get gradients, optimizer state and checkpoint space."""
        ...

    @property
    def batches(self) -> grain.IterDataset:
        """Training batches, without end."""
        ...

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """The scalar to minimise and what to log; pure, but for the model's `Statistic`s, which it may set."""
        ...


class TrainState(NamedTuple):
    """All that a step changes."""

    tuned: Any
    statistics: Any
    optimizer: Any  # an optax.OptState, whose recursive annotation no documentation tool can resolve
    step: Array
    key: Array


Step = Callable[[TrainState, Any, Batch], tuple[TrainState, Metrics]]


def make_step(
    learner: Learner, graph: nnx.GraphDef, optimizer: optax.GradientTransformation, mesh: Mesh | None = None
) -> Step:
    """`step(state, frozen, batch) -> (state, metrics)`, to be jitted with the state donated.

    mesh: on which the state and the model lie; None: they lie on one device.
    """

    def step(state: TrainState, frozen: nnx.State, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)

        def loss_of(tuned):
            whole = (tuned, frozen) if mesh is None else gathered((tuned, frozen), mesh)
            model = nnx.merge(graph, whole[0], state.statistics, whole[1])
            loss, metrics = learner.loss(model, batch, key)
            return loss, (metrics, nnx.to_pure_dict(nnx.state(model, Statistic)))

        (loss, (metrics, statistics)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.tuned)
        # Optax raises floats to the power of whole step counts, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.tuned)
        count = jnp.float32(1)
        metrics |= {"loss": (loss, count), "gradient_norm": (optax.tree.norm(gradients), count)}
        tuned = optax.apply_updates(state.tuned, updates)
        return TrainState(tuned, statistics, optimizer_state, state.step + 1, state.key), metrics

    return step
