"""The training loop of all tasks: batches, steps, logging, validation, checkpoints and resuming."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from ecor_jax import stopping
from ecor_jax.errors import UserError
from ecor_jax.parallel import mesh as meshes
from ecor_jax.parallel.endings import watchdog
from ecor_jax.parallel.flops import matrix_flops, measured_peak
from ecor_jax.parallel.processes import barrier, is_first
from ecor_jax.training.best import PREFIX, Best
from ecor_jax.training.metrics_log import MetricsLog
from ecor_jax.training.optimizers import make_optimizer
from ecor_jax.training.options import Training
from ecor_jax.training.speed import Speed, Trace
from ecor_jax.training.step import STOP, Learner, TrainState, jitted, make_step, split
from ecor_jax.training.store import Store

Validate = Callable[[nnx.Module], Mapping[str, float]]
"""Returns the metrics of a model on the validation split, by name."""


def train(learner: Learner, options: Training, workdir: Path, run: str, validate: Validate | None = None) -> nnx.Module:
    """Trains `learner.model` for `options.steps` steps and returns it; resumes from the newest checkpoint.

    run: name of this training (the method's) in metrics.jsonl and below checkpoints/; a workdir may have several.
    validate: called every `options.eval_every` steps (0: never) and after the last; its metrics are logged with the
    prefix "validation_". If `options.best` names one of them, the model of its best value is returned.
    Raises UserError, naming the step, if the loss or the gradient norm is not finite; that step is not saved. Raises
    `stopping.Stopped` after a signal, once the current step is saved.
    """
    mesh = meshes.make_mesh(options.parallel.model)
    optimizer = make_optimizer(options.optimizer, options.steps)
    graph, tuned, statistics, frozen = split(learner, options)
    tuned, statistics, frozen = (meshes.place(part, mesh) for part in (tuned, statistics, frozen))
    state = _initial_state(tuned, statistics, optimizer, options.seed, mesh)
    step_fn = jitted(make_step(learner, graph, optimizer, mesh, options.parallel.grad_accumulation), state)
    used = meshes.unstack(frozen, mesh)

    def model_of(state: TrainState) -> nnx.Module:
        tuned, rest = (meshes.reshard_used(part, mesh) for part in (state.tuned, frozen))
        return nnx.merge(graph, tuned, state.statistics, rest)

    with (
        stopping.deferred(),
        watchdog() as beat,
        Store(workdir / "checkpoints" / run) as store,
        Best(options.best, workdir / "checkpoints" / f"{run}_best") as best,
        Trace(workdir / "profile", options.profile) as trace,
    ):
        log = MetricsLog(workdir / "metrics.jsonl", run)
        if store.newest is not None:
            state = store.restore(state)
        start = int(state.step)
        batches = learner.batches.starting(start)
        # The processes share the folder and have the same metrics, so one of them logs.
        writes, several = is_first(), jax.process_count() > 1
        if writes:
            best.resume(log.drop_after(start))
        timed_step, previous, program = start, None, None
        speed = Speed(measured_peak(options.dtype), 0)
        bar = tqdm(total=options.steps, initial=start, desc=run, unit="step", mininterval=1, dynamic_ncols=True)
        with bar:
            for number in range(start + 1, options.steps + 1):
                with speed.waiting():
                    examples = next(batches)
                if several:
                    examples |= {STOP: np.full(len(next(iter(examples.values()))), stopping.requested())}
                batch = meshes.global_batch(examples, mesh)
                if program is None:
                    traced = step_fn.trace(state, used, batch)
                    speed.flops, program = matrix_flops(traced.jaxpr.jaxpr), traced.lower().compile()
                    bar.unpause()  # the estimate of the time left is without the compilation
                trace.begins(number - start)
                # All inputs of a step are on the devices; the guard rejects implicit transfers.
                with jax.transfer_guard("disallow"), jax.profiler.StepTraceAnnotation(run, step_num=number):
                    state, metrics = program(state, used, batch)
                trace.ended(number - start, metrics)
                stop = stopping.requested() and not several
                # Metrics are read one step late, so that the host never waits for the device.
                if previous:
                    # All processes see a signal to one of them at the same step.
                    if _check(previous, number - 1).get(STOP, 0) > 0:
                        stopping.request_stop()
                        stop = True
                    beat()
                previous = metrics
                last = number == options.steps
                evaluates = options.eval_every > 0 and (number % options.eval_every == 0 or last)
                if number % options.log_every == 0 or last or evaluates:
                    values = _check(metrics, number)
                    values.pop(STOP, None)
                    values |= speed.told(number - timed_step, len(next(iter(batch.values()))))
                    timed_step, images = number, values["examples_per_second"]
                    bar.set_postfix(loss=f"{values['loss']:.3f}", images_per_s=f"{images:.0f}", refresh=False)
                    if validate is not None and evaluates:
                        validation = dict(validate(model_of(state)))
                        best.update(number, validation, state)
                        values |= {PREFIX + name: value for name, value in validation.items()}
                        speed.restart()
                    if writes:
                        log.write(number, values)
                if number % options.checkpoint_every == 0 or last or stop:
                    _check(metrics, number)
                    store.save(number, state)
                bar.update()
                if stop:
                    store.wait()
                    # The first process runs the coordinator, so it must not end before the others have saved.
                    barrier()
                    raise stopping.Stopped(
                        f"{run}: stopped at step {number} of {options.steps}, which is saved; "
                        "the same command goes on from there"
                    )
        state = best.restore(state)
    return model_of(state)


def _initial_state(tuned: Any, statistics: Any, optimizer: Any, seed: int, mesh: Any) -> TrainState:
    # Copies, because the state is donated to the first step and the caller's model keeps its arrays.
    tuned, statistics = jax.tree.map(jnp.copy, (tuned, statistics))
    rest = (optimizer.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(seed)))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def placed(leaf: jax.Array) -> jax.Array:
        # Optimizer moments of sharded parameters are already sharded like them; counters are not.
        is_placed = isinstance(leaf.sharding, jax.sharding.NamedSharding)
        return leaf if is_placed else meshes.put(leaf, everywhere)

    return TrainState(tuned, statistics, *jax.tree.map(placed, rest))


def _check(metrics: Any, step: int) -> dict[str, float]:
    """Averages (sum, count) metrics. Raises UserError if the loss, or the gradient just applied, is not finite."""
    told = jax.device_get(metrics).items()
    values = {name: float(total) / max(float(count), 1.0) for name, (total, count) in told}
    if bad := [name for name in ("loss", "gradient_norm") if not math.isfinite(values[name])]:
        raise UserError(
            f"the {bad[0]} is {values[bad[0]]} at step {step}; the checkpoints before it are whole. "
            "A smaller optimizer.learning_rate or optimizer.clip_norm=1.0 usually helps"
        )
    return values
