"""The device mesh (`data` x `model`) and where arrays live on it. Nothing else knows about devices."""

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

WHOLE = PartitionSpec()

# Pattern of a path, how it is stored, and how it is used. The first match decides; what matches nothing is whole.
RULES: tuple[tuple[str, PartitionSpec, PartitionSpec], ...] = (
    # Prompt tokens [layers, count, width], by width: used so, they would have the activations split by width, too.
    (r"prompts/tokens$", PartitionSpec(None, None, ("data", "model")), WHOLE),
    # Text banks [outer, inner, embed], by inner candidate (for ECOR: by class).
    (r"pair_bank$", PartitionSpec(None, "model"), PartitionSpec(None, "model")),
    # Centres of identities [identities, size], by identity: their logits stay on the device that made them.
    (r"centres$", PartitionSpec("model"), PartitionSpec("model")),
)
# The same of what is large in a tower, where FSDP: optimizer moments have the paths of their parameters.
FSDP_RULES: tuple[tuple[str, PartitionSpec, PartitionSpec], ...] = (
    # Stacked blocks [layers, inputs, outputs]: `gathered` leaves them in shares, `one_block` makes each whole.
    (r"blocks/.*kernel$", PartitionSpec(None, "data"), WHOLE),
    (r"(patch_embedding|projection|last/.*|pool/.*)/kernel$", PartitionSpec("data"), WHOLE),
    (r"(token|position)_embedding$", PartitionSpec(None, "data"), WHOLE),
)

FSDP = jax.make_user_context(False)
"""`with FSDP(True):` towers are stored in shares over `data`, and functions are compiled for that."""

UNROLLED = jax.make_user_context(False)
"""`with UNROLLED(True):` a CPU runs a tower's blocks without a loop, which takes longer to compile and copies less."""

PLATFORM = jax.make_user_context(None)
"""`with PLATFORM("tpu"):` functions are traced for devices of that kind, which need not be here."""


def platform() -> str:
    """What the function that is traced will run on: cpu, gpu or tpu."""
    return PLATFORM.value or jax.default_backend()


def has_cudnn_attention() -> bool:
    """Whether it will run on NVIDIA's GPUs since Ampere, on which cuDNN computes attention by one kernel."""
    if platform() != "gpu" or jax.default_backend() != "gpu":
        return False
    # Of AMD's GPUs it is a name, such as gfx942.
    capability = re.fullmatch(r"(\d+)\.\d+", str(jax.local_devices()[0].compute_capability))
    return capability is not None and int(capability[1]) >= 8


def make_mesh(model: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """All devices (or these) as (data, model), `model` of them to each copy of the sharded arrays."""
    devices = jax.devices() if devices is None else devices
    if model < 1 or len(devices) % model:
        raise UserError(f"parallel.model is {model}; expected a divisor of the {len(devices)} devices")
    axes, axis_types = ("data", "model"), (jax.sharding.AxisType.Auto,) * 2
    shape = len(devices) // model, model
    places = [(getattr(device, "slice_index", 0), device.process_index, device.id) for device in devices]
    if len({place[:2] for place in places}) == 1:
        return jax.make_mesh(shape, axes, devices=devices, axis_types=axis_types)
    # A process's devices side by side: then its examples are a piece of the batch, and neighbours share candidates.
    ordered = [devices[number] for number in sorted(range(len(devices)), key=places.__getitem__)]
    return Mesh(np.array(ordered).reshape(shape), axes, axis_types=axis_types)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Examples split over all devices."""
    return NamedSharding(mesh, BATCH)


def place(state: Any, mesh: Mesh) -> Any:
    """A model's state on the mesh, stored by RULES over its paths; an axis that does not divide is whole."""

    return jax.tree.map(put, state, shardings(state, mesh))


def put(leaf: jax.Array | np.ndarray, sharding: NamedSharding) -> jax.Array:
    """An array, that all processes have whole, on the mesh: each device gets its share."""
    placed = isinstance(leaf, jax.Array) and (jax.process_count() == 1 or not leaf.is_fully_addressable)
    if placed or sharding.mesh.size == 1:
        return jax.device_put(leaf, sharding)  # which on a CPU takes an array of NumPy without a copy
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def fresh_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros in pages of their own: aligned as JAX wants them, so that `put` copies none, and none there until used."""
    dtype = np.dtype(dtype)
    memory = mmap.mmap(-1, dtype.itemsize * math.prod(shape), flags=mmap.MAP_PRIVATE)
    return np.frombuffer(memory, dtype).reshape(shape)


def whole(state: Any, mesh: Mesh) -> Any:
    """The same state as it is used: what is only stored in shares can then be read by every process."""
    return jax.tree.map(put, state, shardings(state, mesh, used=True))


class Layers(NamedTuple):
    """A stack of weights as an array for each layer."""

    arrays: tuple[jax.Array, ...]


def apart(state: Any, mesh: Mesh) -> Any:
    """For functions of one CPU that are `UNROLLED`: stacks of blocks as `Layers`, which `gathered` takes.

    Of a stack a compiled function copies every layer before it multiplies with it. A stack that was made within the
    function is never made: its layers are used as they came.
    """
    if mesh.size > 1 or platform() != "cpu":
        return state

    def of(path: Any, leaf: jax.Array) -> jax.Array | Layers:
        # By NumPy, whose views JAX takes without a copy.
        return Layers(tuple(map(jax.device_put, np.asarray(leaf)))) if "blocks/" in _name(path) else leaf

    return jax.tree_util.tree_map_with_path(of, state)


def gathered(state: Any, mesh: Mesh) -> Any:
    """The same state, within a compiled function, as the rules say that it is used, but for blocks in a stack."""

    def stacked(leaf: Any) -> Any:
        return jnp.stack(leaf.arrays) if isinstance(leaf, Layers) else leaf

    state = jax.tree.map(stacked, state, is_leaf=lambda leaf: isinstance(leaf, Layers))
    stored, used = shardings(state, mesh), shardings(state, mesh, used=True)
    places = jax.tree_util.tree_map_with_path(lambda path, *both: both["blocks/" not in _name(path)], stored, used)
    return jax.lax.with_sharding_constraint(state, places)


def one_block(block: Any, dtype: Any) -> Any:
    """A block of a stack, in the loop over them: whole, if it is stored in shares. Its gradient goes back in shares.

    dtype: what it computes in, and what is sent. The mesh is the one of `jax.sharding.use_abstract_mesh`.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not FSDP.value or mesh.empty:
        return block

    def of(path: Any, leaf: jax.Array) -> jax.Array:
        stored = _spec(f"blocks/{_name(path)}", (1, *leaf.shape), mesh, used=False)
        if stored == WHOLE:
            return leaf
        share = jax.lax.with_sharding_constraint(leaf.astype(dtype), PartitionSpec(*stored[1:]))
        return jax.lax.with_sharding_constraint(share, WHOLE)

    return jax.tree_util.tree_map_with_path(of, block)


def shardings(state: Any, mesh: Mesh, *, used: bool = False) -> Any:
    """A sharding for every array of a state, or shape of one: as it is stored or, if asked so, used."""

    def of(path: Any, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, _spec(_name(path), leaf.shape, mesh, used))

    return jax.tree_util.tree_map_with_path(of, state)


def _name(path: Any) -> str:
    # A path ends in the attribute of nnx.Variable that holds the array, which is no part of the name.
    return "/".join(str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey))


def _spec(name: str, shape: tuple[int, ...], mesh: Mesh | AbstractMesh, used: bool) -> PartitionSpec:
    for pattern, *specs in (*RULES, *FSDP_RULES) if FSDP.value else RULES:
        if re.search(pattern, name):
            spec = specs[used]
            divides = all(size % _devices(axis, mesh) == 0 for axis, size in zip(spec, shape, strict=False))
            return spec if divides else WHOLE
    return WHOLE


def _devices(axis: str | tuple[str, ...] | None, mesh: Mesh | AbstractMesh) -> int:
    return math.prod(mesh.shape[name] for name in ((axis,) if isinstance(axis, str) else axis or ()))


def global_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's examples of a batch as one global array. UserError if they cannot be shared evenly."""
    devices = mesh.size
    for rows in batch.values():
        if (count := len(rows) * jax.process_count()) % devices:
            raise UserError(f"a batch of {count} cannot be shared evenly among {devices} devices; choose a multiple")
    sharding = batch_sharding(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(rows)) for name, rows in batch.items()}
