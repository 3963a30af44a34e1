"""A function of a model over all batches of a set, on the mesh, its answers gathered from all processes."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from tqdm import tqdm

from ecor_jax.parallel import mesh as meshes
from ecor_jax.parallel.endings import watched

MANY = 500
"""Examples for which it is worth a second or two to compile a tower that takes a twentieth less time (on CPUs)."""


def map_batches(
    fn: Callable[[Any, dict[str, jax.Array]], Any],
    model: Any,
    batches: Iterable[dict[str, np.ndarray]],
    mesh: Mesh,
    *,
    total: int,
    name: str,
) -> Any:
    """What `fn(model, batch)` gives for all examples, in their order: its arrays [examples, ...], in NumPy.

    Args:
        fn: pure; a pytree of arrays [batch, ...] of a model and a batch. It is compiled once for equal `fn`, equal
            structures of the model and equal shapes, also over several calls: make it a function of a module, or a
            frozen dataclass of its options, rather than a closure.
        model: an nnx module, or a tuple of modules and arrays.
        batches: this process's shares of padded batches (`pipeline.eval_batches`); where "mask" is False there is no
            example, and no answer.
        total: examples there are, of the progress bar that `name` stands before.
    """
    graph, state = nnx.split(model)
    state, many = meshes.place(state, mesh), total >= MANY
    if many:
        state = meshes.apart(state, mesh)
    answers = []
    with meshes.UNROLLED(many), watched() as beat, tqdm(total=total, desc=name, unit="image", mininterval=1) as bar:
        for batch in batches:
            placed = meshes.global_batch(batch, mesh)
            answer = call(fn, graph, mesh, state, placed), placed["mask"]
            answer, mask = multihost_utils.process_allgather(answer, tiled=True)
            answers.append(jax.tree.map(lambda column, mask=mask: np.asarray(column)[mask], answer))
            beat()
            bar.update(int(mask.sum()))
    return jax.tree.map(lambda *columns: np.concatenate(columns), *answers)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def call(fn: Callable, graph: nnx.GraphDef, mesh: Mesh, state: nnx.State, batch: dict[str, jax.Array]) -> Any:
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return fn(nnx.merge(graph, meshes.gathered(state, mesh)), batch)
