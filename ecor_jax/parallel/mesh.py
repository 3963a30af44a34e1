"""The device mesh (`data` x `model`) and the sharding of model state and batches on it."""

import math
import mmap
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from ecor_jax.errors import UserError
from ecor_jax.parallel.shards import BATCH

REPLICATED = PartitionSpec()

# Each rule is a pattern for the path of an array, the spec with which the array is stored between steps, and the spec
# to which it is resharded for computation. The first match decides; arrays without a match are replicated.
RULES: tuple[tuple[str, PartitionSpec, PartitionSpec], ...] = (
    # Prompt tokens [layers, count, width] are stored sharded by width. They are used replicated, because sharded tokens
    # would make the activations sharded by width, too.
    (r"prompts/tokens$", PartitionSpec(None, None, ("data", "model")), REPLICATED),
    # Text banks [outer, inner, embed], by inner candidate (for ECOR: by class).
    (r"pair_bank$", PartitionSpec(None, "model"), PartitionSpec(None, "model")),
    # Class prototypes of identities [identities, size], by identity: their logits stay on the device that made them.
    (r"centres$", PartitionSpec("model"), PartitionSpec("model")),
)
# Further rules if FSDP is on: the large arrays of a tower. Optimizer moments have the paths of their parameters, so the
# rules apply to them as well.
FSDP_RULES: tuple[tuple[str, PartitionSpec, PartitionSpec], ...] = (
    # Stacked blocks [layers, inputs, outputs]: `gathered` leaves them sharded, `one_block` gathers each one.
    (r"blocks/.*kernel$", PartitionSpec(None, "data"), REPLICATED),
    (r"(patch_embedding|projection|last/.*|pool/.*)/kernel$", PartitionSpec("data"), REPLICATED),
    (r"(token|position)_embedding$", PartitionSpec(None, "data"), REPLICATED),
)

FSDP = jax.make_user_context(False)
"""`with FSDP(True):` towers are stored sharded over `data`, and functions are compiled for that."""

UNROLLED = jax.make_user_context(False)
"""`with UNROLLED(True):` CPUs run a tower's blocks without a loop, which compiles longer and copies less."""

PLATFORM = jax.make_user_context(None)
"""`with PLATFORM("tpu"):` functions are traced for that platform, which need not be available."""


def platform() -> str:
    """Returns the platform for which functions are traced: cpu, gpu or tpu."""
    return PLATFORM.value or jax.default_backend()


def has_cudnn_attention() -> bool:
    """Returns whether traced functions run on NVIDIA GPUs since Ampere, which have cuDNN's fused attention."""
    if platform() != "gpu" or jax.default_backend() != "gpu":
        return False
    # On AMD GPUs it is a name such as gfx942.
    capability = re.fullmatch(r"(\d+)\.\d+", str(jax.local_devices()[0].compute_capability))
    return capability is not None and int(capability[1]) >= 8


def make_mesh(model: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """Makes a (data, model) mesh of the devices (default: all); `model` devices share one copy of sharded arrays."""
    devices = jax.devices() if devices is None else devices
    if model < 1 or len(devices) % model:
        raise UserError(f"parallel.model is {model}; expected a divisor of the {len(devices)} devices")
    axes, axis_types = ("data", "model"), (jax.sharding.AxisType.Auto,) * 2
    shape = len(devices) // model, model
    places = [(getattr(device, "slice_index", 0), device.process_index, device.id) for device in devices]
    if len({place[:2] for place in places}) == 1:
        return jax.make_mesh(shape, axes, devices=devices, axis_types=axis_types)
    # Devices of a process are adjacent: its examples are contiguous in the batch, and neighbours share candidates.
    ordered = [devices[number] for number in sorted(range(len(devices)), key=places.__getitem__)]
    return Mesh(np.array(ordered).reshape(shape), axes, axis_types=axis_types)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of batches: examples are split over all devices."""
    return NamedSharding(mesh, BATCH)


def place(state: Any, mesh: Mesh) -> Any:
    """Puts a model's state on the mesh as RULES store it; arrays that do not divide evenly are replicated."""

    return jax.tree.map(put, state, shardings(state, mesh))


def put(leaf: jax.Array | np.ndarray, sharding: NamedSharding) -> jax.Array:
    """Puts an array, of which every process has a complete copy, on the mesh; each device gets its shard."""
    placed = isinstance(leaf, jax.Array) and (jax.process_count() == 1 or not leaf.is_fully_addressable)
    if placed or sharding.mesh.size == 1:
        return jax.device_put(leaf, sharding)  # does not copy NumPy arrays on CPUs
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def page_aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns zeros in memory pages of their own: aligned, so that `put` does not copy, and allocated on first use."""
    dtype = np.dtype(dtype)
    memory = mmap.mmap(-1, dtype.itemsize * math.prod(shape), flags=mmap.MAP_PRIVATE)
    return np.frombuffer(memory, dtype).reshape(shape)


def reshard_used(state: Any, mesh: Mesh) -> Any:
    """Reshards a state to its used specs, so that every process can read arrays that are only stored sharded."""
    return jax.tree.map(put, state, shardings(state, mesh, used=True))


class UnstackedLayers(NamedTuple):
    """Stacked weights as one array for each layer."""

    arrays: tuple[jax.Array, ...]


def unstack(state: Any, mesh: Mesh) -> Any:
    """Splits stacked blocks into `UnstackedLayers`, for `UNROLLED` functions on one CPU device.

    `gathered` stacks them again.

    A compiled function copies each layer of a stacked argument before it multiplies with it. A stack that is made
    within the function is optimised away, and its layers are used in place.
    """
    if mesh.size > 1 or platform() != "cpu":
        return state

    def of(path: Any, leaf: jax.Array) -> jax.Array | UnstackedLayers:
        # JAX does not copy views of NumPy arrays.
        return UnstackedLayers(tuple(map(jax.device_put, np.asarray(leaf)))) if "blocks/" in _name(path) else leaf

    return jax.tree_util.tree_map_with_path(of, state)


def gathered(state: Any, mesh: Mesh) -> Any:
    """Constrains a state, within a compiled function, to its used specs; stacked blocks keep their stored specs."""

    def stacked(leaf: Any) -> Any:
        return jnp.stack(leaf.arrays) if isinstance(leaf, UnstackedLayers) else leaf

    state = jax.tree.map(stacked, state, is_leaf=lambda leaf: isinstance(leaf, UnstackedLayers))
    stored, used = shardings(state, mesh), shardings(state, mesh, used=True)
    places = jax.tree_util.tree_map_with_path(lambda path, *both: both["blocks/" not in _name(path)], stored, used)
    return jax.lax.with_sharding_constraint(state, places)


def one_block(block: Any, dtype: Any) -> Any:
    """Gathers one block of a stack, in the scan over them, if it is stored sharded; its gradient is sharded again.

    dtype: the dtype in which the block computes, and in which its weights are sent between devices. The mesh is that of
    `jax.sharding.use_abstract_mesh`.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not FSDP.value or mesh.empty:
        return block

    def of(path: Any, leaf: jax.Array) -> jax.Array:
        stored = _spec(f"blocks/{_name(path)}", (1, *leaf.shape), mesh, used=False)
        if stored == REPLICATED:
            return leaf
        share = jax.lax.with_sharding_constraint(leaf.astype(dtype), PartitionSpec(*stored[1:]))
        return jax.lax.with_sharding_constraint(share, REPLICATED)

    return jax.tree_util.tree_map_with_path(of, block)


def shardings(state: Any, mesh: Mesh, *, used: bool = False) -> Any:
    """Returns the stored (or, with `used`, the used) sharding of every array, or array shape, of a state."""

    def of(path: Any, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, _spec(_name(path), leaf.shape, mesh, used))

    return jax.tree_util.tree_map_with_path(of, state)


def _name(path: Any) -> str:
    # A path ends in the attribute of nnx.Variable that holds the array, which the name omits.
    return "/".join(str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey))


def _spec(name: str, shape: tuple[int, ...], mesh: Mesh | AbstractMesh, used: bool) -> PartitionSpec:
    for pattern, *specs in (*RULES, *FSDP_RULES) if FSDP.value else RULES:
        if re.search(pattern, name):
            spec = specs[used]
            divides = all(size % _devices(axis, mesh) == 0 for axis, size in zip(spec, shape, strict=False))
            return spec if divides else REPLICATED
    return REPLICATED


def _devices(axis: str | tuple[str, ...] | None, mesh: Mesh | AbstractMesh) -> int:
    return math.prod(mesh.shape[name] for name in ((axis,) if isinstance(axis, str) else axis or ()))


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes global arrays of this process's examples of a batch. Raises UserError if they do not divide evenly."""
    devices = mesh.size
    for rows in batch.values():
        if (count := len(rows) * jax.process_count()) % devices:
            raise UserError(f"a batch of {count} cannot be shared evenly among {devices} devices; choose a multiple")
    sharding = batch_sharding(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(rows)) for name, rows in batch.items()}
