"""The training loop: batches in, steps, log lines, checkpoints. It knows no task."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from tqdm import tqdm

from ecor_jax import stopping
from ecor_jax.checkpoints.store import Store
from ecor_jax.errors import UserError
from ecor_jax.parallel import mesh as meshes
from ecor_jax.training.best import PREFIX, Best
from ecor_jax.training.metrics_log import MetricsLog
from ecor_jax.training.optimizers import make_optimizer
from ecor_jax.training.options import Training
from ecor_jax.training.step import Learner, Statistic, TrainState, make_step

Validate = Callable[[nnx.Module], Mapping[str, float]]
"""Numbers of a model on the validation part."""


def train(learner: Learner, options: Training, workdir: Path, run: str, validate: Validate | None = None) -> nnx.Module:
    """Trains `learner.model` for `options.steps` steps and returns it; continues from the newest checkpoint.

    run: names this run among others of the workdir, in metrics.jsonl and below checkpoints/.
    validate: called every `options.eval_every` steps; what it returns is logged, its names after "validation_". Where
    `options.best` names one of these numbers, the model is returned as it was when that was best.
    UserError if the loss is no longer finite: the step is named, and nothing of it is saved. `stopping.Stopped` after
    a signal, once the step at work is saved.
    """
    mesh = meshes.make_mesh(options.parallel.model)
    optimizer = make_optimizer(options.optimizer, options.steps)
    graph, tuned, statistics, frozen = nnx.split(learner.model, learner.trainable, Statistic, ...)
    tuned, statistics = (nnx.to_pure_dict(meshes.place(part, mesh)) for part in (tuned, statistics))
    frozen = meshes.place(frozen, mesh)
    state = _initial_state(tuned, statistics, optimizer, options.seed, mesh)
    # What a step changes stays where it is stored, whatever XLA would like better.
    stored = jax.tree.map(lambda leaf: leaf.sharding, state), None
    step_fn = jax.jit(make_step(learner, graph, optimizer, mesh), donate_argnums=0, out_shardings=stored)
    iterator = iter(learner.batches)

    with (
        # Several processes would have to agree on a step; until they can, each ends at once.
        stopping.deferred() if jax.process_count() == 1 else contextlib.nullcontext(),
        Store(workdir / "checkpoints" / run) as store,
        Best(options.best, workdir / "checkpoints" / f"{run}_best") as best,
    ):
        log = MetricsLog(workdir / "metrics.jsonl", run)
        if store.newest is not None:
            state = store.restore(state, iterator)
        start = int(state.step)
        # Several processes share the folder; what they would log is the same.
        writes = jax.process_index() == 0
        if writes:
            best.resume(log.drop_after(start))
        timed_step, timed_at = start, time.perf_counter()
        previous = None
        bar = tqdm(total=options.steps, initial=start, desc=run, unit="step", mininterval=1, dynamic_ncols=True)
        with bar:
            for number in range(start + 1, options.steps + 1):
                batch = meshes.global_batch(next(iterator), mesh)
                state, metrics = step_fn(state, frozen, batch)
                # Looked at one step late, so that the device is never waited for.
                if previous:
                    _check(previous, number - 1)
                previous = metrics
                last = number == options.steps
                evaluates = options.eval_every > 0 and (number % options.eval_every == 0 or last)
                if number % options.log_every == 0 or last or evaluates:
                    values = _check(metrics, number)
                    examples, now = (number - timed_step) * len(next(iter(batch.values()))), time.perf_counter()
                    values["examples_per_second"] = speed = examples / (now - timed_at)
                    timed_step, timed_at = number, now
                    bar.set_postfix(loss=f"{values['loss']:.3f}", images_per_s=f"{speed:.0f}", refresh=False)
                    if validate is not None and evaluates:
                        validation = dict(validate(nnx.merge(graph, state.tuned, state.statistics, frozen)))
                        best.see(number, validation, state, iterator)
                        values |= {PREFIX + name: value for name, value in validation.items()}
                        timed_at = time.perf_counter()
                    if writes:
                        log.write(number, values)
                stop = stopping.requested()
                if number % options.checkpoint_every == 0 or last or stop:
                    _check(metrics, number)
                    store.save(number, state, iterator)
                bar.update()
                if stop:
                    store.wait()
                    raise stopping.Stopped(
                        f"{run}: stopped at step {number} of {options.steps}, which is saved; "
                        "the same command goes on from there"
                    )
        state = best.restore(state, iterator)
    return nnx.merge(graph, state.tuned, state.statistics, frozen)


def _initial_state(tuned: Any, statistics: Any, optimizer: Any, seed: int, mesh: Any) -> TrainState:
    # A copy: the state is donated to the first step, and the caller's model keeps its arrays.
    tuned, statistics = jax.tree.map(jnp.copy, (tuned, statistics))
    rest = (optimizer.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(seed)))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def placed(leaf: jax.Array) -> jax.Array:
        # Optimizer moments made from sharded parameters are sharded like them already; counters are not.
        is_placed = isinstance(leaf.sharding, jax.sharding.NamedSharding)
        return leaf if is_placed else jax.device_put(leaf, everywhere)

    return TrainState(tuned, statistics, *jax.tree.map(placed, rest))


def _check(metrics: Any, step: int) -> dict[str, float]:
    """Averages of (sum, count) metrics; UserError if the loss or its gradient, which is in the state, is not finite."""
    values = {name: float(total) / max(float(count), 1.0) for name, (total, count) in metrics.items()}
    if bad := [name for name in ("loss", "gradient_norm") if not math.isfinite(values[name])]:
        raise UserError(
            f"the {bad[0]} is {values[bad[0]]} at step {step}; the checkpoints before it are whole. "
            "A smaller optimizer.learning_rate or optimizer.clip_norm=1.0 usually helps"
        )
    return values
