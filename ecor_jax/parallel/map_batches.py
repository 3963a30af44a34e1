"""Evaluation of a function over all batches of a data set, on the mesh, with results of all processes gathered."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from tqdm import tqdm

from ecor_jax.parallel import mesh as meshes
from ecor_jax.parallel.endings import watchdog
from ecor_jax.parallel.progress import count_first

MANY = 500
"""Number of examples from which it pays on CPUs to unroll the blocks of a tower: compiling takes a second or two more,
and a batch a twentieth less."""


def map_batches(
    fn: Callable[[Any, dict[str, jax.Array]], Any],
    model: Any,
    batches: Iterable[dict[str, np.ndarray]],
    mesh: Mesh,
    *,
    total: int,
    name: str,
) -> Any:
    """Returns `fn(model, batch)` for all examples, in their order, as NumPy arrays [examples, ...].

    Args:
        fn: a pure function that returns a pytree of arrays [batch, ...]. It is compiled once for equal `fn`, equal
            model structures and equal shapes, also across calls: use a module-level function, or a frozen dataclass
            of its options, rather than a closure.
        model: an nnx module, or a tuple of modules and arrays.
        batches: this process's shares of padded batches (`pipeline.eval_batches`); where "mask" is False the example
            is padding, and its result is dropped.
        total: number of examples, for the progress bar.
        name: description of the progress bar.
    """
    graph, state = nnx.split(model)
    state, many = meshes.place(state, mesh), total >= MANY
    if many:
        state = meshes.unstack(state, mesh)
    answers = []
    with meshes.UNROLLED(many), watchdog() as beat, tqdm(total=total, desc=name, unit="image", mininterval=1) as bar:
        for batch in batches:
            placed = meshes.global_batch(batch, mesh)
            answer = call(fn, graph, mesh, state, placed), placed["mask"]
            answer, mask = multihost_utils.process_allgather(answer, tiled=True)
            answers.append(jax.tree.map(lambda column, mask=mask: np.asarray(column)[mask], answer))
            beat()
            done = int(mask.sum())
            bar.update(done) if len(answers) > 1 else count_first(bar, done)
    return jax.tree.map(lambda *columns: np.concatenate(columns), *answers)


def map_local(
    fn: Callable[[Any, dict[str, jax.Array]], jax.Array],
    model: Any,
    columns: Mapping[str, np.ndarray],
    *,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """Returns `fn(model, batch)` for all examples as `map_batches`, on one device of this process alone.

    It is for what a single process computes, such as a page's explanations. columns: arrays [examples, ...].
    batch_size: number of examples at once, at most.
    """
    mesh, (graph, state) = meshes.make_mesh(devices=jax.local_devices()[:1]), nnx.split(model)
    if jax.process_count() > 1:
        state = jax.tree.map(np.asarray, state)
    state, count, answers = meshes.place(state, mesh), len(next(iter(columns.values()))), []
    batch_size = min(batch_size, count)
    with tqdm(total=count, desc=name, unit="image", mininterval=1) as bar:
        for start in range(0, count, batch_size):
            batch = {key: column[start : start + batch_size] for key, column in columns.items()}
            own = len(next(iter(batch.values())))
            padding = {key: [(0, batch_size - own), *[(0, 0)] * (rows.ndim - 1)] for key, rows in batch.items()}
            padded = {
                key: jax.device_put(np.pad(rows, padding[key]), mesh.devices.item()) for key, rows in batch.items()
            }
            answers.append(np.asarray(call(fn, graph, mesh, state, padded))[:own])
            bar.update(own)
    return np.concatenate(answers)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def call(fn: Callable, graph: nnx.GraphDef, mesh: Mesh, state: nnx.State, batch: dict[str, jax.Array]) -> Any:
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return fn(nnx.merge(graph, meshes.gathered(state, mesh)), batch)
