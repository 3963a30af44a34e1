"""The training step: gradients of the trainable parameters and one optimizer update."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.nnx.filterlib import Filter
from jax.sharding import Mesh, use_abstract_mesh
from jaxtyping import Array, Float

from ecor_jax.parallel.mesh import UNROLLED, gathered
from ecor_jax.training.options import Training

Batch = dict[str, Array]
Metrics = dict[str, tuple[Float[Array, ""], Float[Array, ""]]]
"""Name to (sum, count), which can be averaged over any number of batches and devices."""


class Statistic(nnx.Variable):
    """A variable that a loss updates without a gradient, such as a running mean; part of the training state."""


class Batches(Protocol):
    """An endless sequence of training batches, each determined by its number (`data.pipeline.TrainBatches`)."""

    def starting(self, batch: int) -> Iterator[Any]:
        """Returns the batches from number `batch` on; 0 is the first."""
        ...


class Learner(Protocol):
    """What the loop trains: a model, its loss and its batches, independent of steps, devices and files."""

    @property
    def model(self) -> nnx.Module: ...

    @property
    def trainable(self) -> Filter:
        """Filter of the model's variables that get gradients, optimizer state and checkpoints."""
        ...

    @property
    def batches(self) -> Batches: ...

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Returns the loss and the metrics to log; pure, except that it may set the model's `Statistic`s."""
        ...


class TrainState(NamedTuple):
    """The training state that a step updates; `tuned` are the trainable parameters."""

    tuned: Any
    statistics: Any
    optimizer: Any  # an optax.OptState, whose recursive annotation no documentation tool can resolve
    step: Array
    key: Array


Step = Callable[[TrainState, Any, Batch], tuple[TrainState, Metrics]]


STOP = "stop"
"""Batch entry of multi-process runs: whether the process of each example has received a signal to stop."""


def use_remat(model: nnx.Module) -> None:
    """Enables rematerialization in every module with an attribute `remat`: blocks save only their inputs."""
    for _, module in nnx.iter_modules(model):
        if hasattr(module, "remat"):
            module.remat = True  # pyright: ignore[reportAttributeAccessIssue]


def split(learner: Learner, options: Training) -> tuple[nnx.GraphDef, Any, Any, nnx.State]:
    """Splits a learner's model into graph, trainable parameters and statistics (plain dicts), and frozen state."""
    if options.parallel.remat:
        use_remat(learner.model)
    graph, tuned, statistics, frozen = nnx.split(learner.model, learner.trainable, Statistic, ...)
    return graph, nnx.to_pure_dict(tuned), nnx.to_pure_dict(statistics), frozen


def jitted(step: Step, state: TrainState) -> Any:
    """Jits a step that donates its state and returns the new state with the same shardings."""
    stored = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(step, donate_argnums=0, out_shardings=(stored, None))


def make_step(
    learner: Learner,
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    mesh: Mesh | None = None,
    grad_accumulation: int = 1,
) -> Step:
    """Returns `step(state, frozen, batch) -> (state, metrics)`, to be jitted with the state donated.

    mesh: the mesh of the state and the model; None for a single device.
    grad_accumulation: number of micro-batches, run sequentially, whose gradients are averaged; it divides the batch.
    """

    def gradients_of(tuned: Any, statistics: Any, frozen: nnx.State, batch: Batch, key: Array):
        def loss_of(tuned):
            whole = (tuned, frozen) if mesh is None else gathered((tuned, frozen), mesh)
            model = nnx.merge(graph, whole[0], statistics, whole[1])
            where = contextlib.nullcontext() if mesh is None else use_abstract_mesh(mesh.abstract_mesh)
            with where, UNROLLED(mesh is None or mesh.size == 1):
                loss, metrics = learner.loss(model, batch, key)
            metrics |= {"loss": (loss, jnp.float32(1))}
            return loss, (metrics, nnx.to_pure_dict(nnx.state(model, Statistic)))

        (_, (metrics, statistics)), gradients = jax.value_and_grad(loss_of, has_aux=True)(tuned)
        return gradients, metrics, statistics

    def accumulated(tuned: Any, statistics: Any, frozen: nnx.State, batch: Batch, key: Array):
        # Strided micro-batches, so that each has examples of every device.
        pieces = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, grad_accumulation, *x.shape[1:]), 1, 0), batch)

        def piece_of(statistics: Any, piece: tuple[Array, Batch]):
            gradients, metrics, statistics = gradients_of(
                tuned, statistics, frozen, piece[1], jax.random.fold_in(key, piece[0])
            )
            return statistics, (gradients, metrics)

        statistics, (gradients, metrics) = jax.lax.scan(piece_of, statistics, (jnp.arange(grad_accumulation), pieces))
        return jax.tree.map(lambda x: x.mean(axis=0), gradients), jax.tree.map(lambda x: x.sum(0), metrics), statistics

    def step(state: TrainState, frozen: nnx.State, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        batch, told = dict(batch), {}
        if STOP in batch:
            told = {STOP: (jnp.sum(batch.pop(STOP), dtype=jnp.float32), jnp.float32(1))}
        compute = gradients_of if grad_accumulation == 1 else accumulated
        gradients, metrics, statistics = compute(state.tuned, state.statistics, frozen, batch, key)
        # Optax raises floats to the power of integer step counts, which strict dtype promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.tuned)
        metrics |= told | {"gradient_norm": (optax.tree.norm(gradients), jnp.float32(1))}
        tuned = optax.apply_updates(state.tuned, updates)
        return TrainState(tuned, statistics, optimizer_state, state.step + 1, state.key), metrics

    return step
