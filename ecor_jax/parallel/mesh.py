"""The device mesh (`data` x `model`) and where arrays live on it. Nothing else knows about devices."""

import re

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ecor_jax.errors import UserError

# First match decides; what matches nothing is replicated.
RULES: tuple[tuple[str, PartitionSpec], ...] = (
    # Prompt tokens [layers, count, width], by width, as the activations they are concatenated to.
    (r"prompts/tokens$", PartitionSpec(None, None, "model")),
    # Text banks [outer, inner, embed], by inner candidate (for ECOR: by class).
    (r"pair_bank$", PartitionSpec(None, "model", None)),
    # Centres of identities [identities, size], by identity: their logits stay on the device that made them.
    (r"centres$", PartitionSpec("model", None)),
)


def make_mesh(model: int = 1) -> Mesh:
    """All devices as (data, model), `model` of them to each copy of the sharded arrays."""
    devices = jax.device_count()
    if model < 1 or devices % model:
        raise UserError(f"parallel.model is {model}; expected a divisor of the {devices} devices")
    axis_types = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((devices // model, model), ("data", "model"), axis_types=axis_types)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Examples split over `data`."""
    return NamedSharding(mesh, PartitionSpec("data"))


def place(state: nnx.State, mesh: Mesh) -> nnx.State:
    """A model's state on the mesh, by RULES over its paths; an axis that does not divide is replicated."""

    def put(path, leaf):
        # A path ends in the attribute of nnx.Variable that holds the array, which is no part of the name.
        name = "/".join(str(part.key) for part in path if isinstance(part, jax.tree_util.DictKey))
        return jax.device_put(leaf, NamedSharding(mesh, _spec(name, leaf.shape, mesh)))

    return jax.tree_util.tree_map_with_path(put, state)


def _spec(name: str, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    for pattern, spec in RULES:
        if re.search(pattern, name):
            if all(axis is None or size % mesh.shape[axis] == 0 for axis, size in zip(spec, shape, strict=True)):
                return spec
            break
    return PartitionSpec()


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's rows of a batch as one global array over `data`. UserError if they cannot be shared evenly."""
    devices = mesh.shape["data"]
    for rows in batch.values():
        if (count := len(rows) * jax.process_count()) % devices:
            raise UserError(f"a batch of {count} cannot be shared evenly among {devices} devices; choose a multiple")
    sharding = batch_sharding(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(rows)) for name, rows in batch.items()}
