"""The training loop: batches in, steps, log lines, checkpoints. It knows no task."""

import contextlib
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from tqdm import tqdm

from ecor_jax import stopping
from ecor_jax.checkpoints.store import Store
from ecor_jax.config import Config
from ecor_jax.errors import UserError
from ecor_jax.options import check_numbers
from ecor_jax.parallel import mesh as meshes
from ecor_jax.training.metrics_log import MetricsLog
from ecor_jax.training.optimizers import make_optimizer
from ecor_jax.training.step import Statistic, Task, TrainState, make_step


def train(task: Task, config: Config, workdir: Path, run: str) -> nnx.Module:
    """Trains `task.model` for `config.steps` steps and returns it; continues from the newest checkpoint.

    config: steps, seed, log_every, checkpoint_every, optimizer (optimizers.make_optimizer), parallel.model.
    run: names this run among others of the workdir, in metrics.jsonl and below checkpoints/.
    UserError if the loss is no longer finite: the step is named, and nothing of it is saved. `stopping.Stopped` after
    a signal, once the step at work is saved.
    """
    mesh = meshes.make_mesh(config.parallel.model)
    optimizer = checked_optimizer(config)
    graph, tuned, statistics, frozen = nnx.split(task.model, task.trainable, Statistic, ...)
    tuned, statistics = (nnx.to_pure_dict(meshes.place(part, mesh)) for part in (tuned, statistics))
    frozen = meshes.place(frozen, mesh)
    state = _initial_state(tuned, statistics, optimizer, config.seed, mesh)
    step_fn = jax.jit(make_step(task, graph, optimizer), donate_argnums=0)
    iterator = iter(task.batches)

    with (
        # Several processes would have to agree on a step; until they can, each ends at once.
        stopping.deferred() if jax.process_count() == 1 else contextlib.nullcontext(),
        Store(workdir / "checkpoints" / run) as store,
        MetricsLog(workdir / "metrics.jsonl", run) as log,
    ):
        if store.newest is not None:
            state = store.restore(state, iterator)
        start = int(state.step)
        # Several processes share the folder; what they would log is the same.
        writes = jax.process_index() == 0
        if writes:
            log.drop_after(start)
        clock = _Clock(start)
        previous = None
        bar = tqdm(total=config.steps, initial=start, desc=run, unit="step", mininterval=1, dynamic_ncols=True)
        with bar:
            for number in range(start + 1, config.steps + 1):
                batch = meshes.global_batch(next(iterator), mesh)
                state, metrics = step_fn(state, frozen, batch)
                # Looked at one step late, so that the device is never waited for.
                if previous:
                    _check(previous, number - 1)
                previous = metrics
                last = number == config.steps
                if number % config.log_every == 0 or last:
                    values = _check(metrics, number)
                    speed = clock.examples_per_second(number, len(next(iter(batch.values()))))
                    if writes:
                        log.write(number, values | {"examples_per_second": speed})
                    bar.set_postfix(loss=f"{values['loss']:.3f}", images_per_s=f"{speed:.0f}", refresh=False)
                stop = stopping.requested()
                if number % config.checkpoint_every == 0 or last or stop:
                    _check(metrics, number)
                    store.save(number, state, iterator)
                bar.update()
                if stop:
                    store.wait()
                    raise stopping.Stopped(
                        f"{run}: stopped at step {number} of {config.steps}, which is saved; "
                        "the same command goes on from there"
                    )
    return nnx.merge(graph, state.tuned, state.statistics, frozen)


def checked_optimizer(config: Config) -> optax.GradientTransformation:
    """The optimizer of a config. UserError for an option that is out of range."""
    check_numbers(config)
    return make_optimizer(config.optimizer, config.steps)


def _initial_state(tuned: Any, statistics: Any, optimizer: Any, seed: int, mesh: Any) -> TrainState:
    # A copy: the state is donated to the first step, and the caller's model keeps its arrays.
    tuned, statistics = jax.tree.map(jnp.copy, (tuned, statistics))
    rest = (optimizer.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(seed)))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return TrainState(tuned, statistics, *jax.tree.map(lambda leaf: _on(leaf, everywhere), rest))


def _on(leaf: jax.Array, everywhere: jax.sharding.NamedSharding) -> jax.Array:
    # Optimizer moments made from sharded parameters are sharded like them already; counters are not.
    placed = isinstance(leaf.sharding, jax.sharding.NamedSharding)
    return leaf if placed else jax.device_put(leaf, everywhere)


def _check(metrics: Any, step: int) -> dict[str, float]:
    """Averages of (sum, count) metrics; UserError if the loss or its gradient, which is in the state, is not finite."""
    values = {name: float(total) / max(float(count), 1.0) for name, (total, count) in metrics.items()}
    if bad := [name for name in ("loss", "gradient_norm") if not math.isfinite(values[name])]:
        raise UserError(
            f"the {bad[0]} is {values[bad[0]]} at step {step}; the checkpoints before it are whole. "
            "A smaller optimizer.learning_rate or optimizer.clip_norm=1.0 usually helps"
        )
    return values


class _Clock:
    """Examples a second since the last log line."""

    def __init__(self, step: int):
        self.step, self.time = step, time.perf_counter()

    def examples_per_second(self, step: int, batch: int) -> float:
        now = time.perf_counter()
        speed = (step - self.step) * batch / (now - self.time)
        self.step, self.time = step, now
        return speed
