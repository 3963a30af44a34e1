"""Exact reductions (softmax, sum, argmax) over candidates that are sharded over the mesh axis `model`."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

BATCH = PartitionSpec(("data", "model"))
"""Examples are split over all devices, so a frozen tower needs no communication."""


@dataclasses.dataclass(frozen=True)
class Shards:
    """The candidates that the columns of an array on one device represent.

    count: number of candidates on all devices together; columns beyond it are padding. split: whether a device has only
    its shard of the columns, in the order of the mesh axis `model`; the methods may then be called only within the
    function that `over_shards` runs.
    """

    count: int
    split: bool = False

    def numbers(self, columns: int) -> Int[Array, "columns"]:
        """Returns the candidate numbers of this device's columns."""
        start = jax.lax.axis_index("model") * columns if self.split else 0
        return start + jnp.arange(columns)

    def masked(self, logits: Float[Array, "*batch columns"]) -> Float[Array, "*batch columns"]:
        """Sets the logits of padding columns to -inf."""
        if not self.split and logits.shape[-1] == self.count:
            return logits
        return jnp.where(self.numbers(logits.shape[-1]) < self.count, logits, -jnp.inf)

    def sum(self, values: Array) -> Array:
        """Sums over the devices that share the candidates."""
        return jax.lax.psum(values, "model") if self.split else values

    def max(self, values: Array) -> Array:
        """Returns the maximum over the devices that share the candidates, without a gradient."""
        values = jax.lax.stop_gradient(values)
        return jax.lax.pmax(values, "model") if self.split else values

    def log_softmax(self, logits: Float[Array, "*batch columns"]) -> Float[Array, "*batch columns"]:
        """Computes log softmax of masked logits over the candidates of all devices."""
        shifted = logits - self.max(jnp.max(logits, axis=-1, keepdims=True))
        return shifted - jnp.log(self.sum(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)))

    def logsumexp(self, logits: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """Computes log-sum-exp over one value per device."""
        largest = self.max(logits)
        return largest + jnp.log(self.sum(jnp.exp(logits - largest)))

    def at(self, values: Float[Array, "*batch columns"], number: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Returns the value of the candidate `number`, from the device that has it."""
        numbers = jnp.expand_dims(self.numbers(values.shape[-1]), range(number.ndim))
        own = numbers == number[..., None]
        return self.sum(jnp.sum(jnp.where(own, values, 0.0), axis=-1))

    def argmax(self, values: Float[Array, "batch columns"]) -> tuple[Int[Array, "batch"], Float[Array, "batch"]]:
        """Returns the number of the candidate with the largest value, the first of equal ones, and that value."""
        column, largest = jnp.argmax(values, axis=-1), jnp.max(values, axis=-1)
        number = self.numbers(values.shape[-1])[column]
        if not self.split:
            return number, largest
        overall = self.max(largest)
        return jax.lax.pmin(jnp.where(largest == overall, number, jnp.iinfo(number.dtype).max), "model"), overall

    def gathered(self, values: Any) -> Any:
        """Gathers a tree of arrays [batch, k] from all devices to arrays [batch, devices * k]."""
        if not self.split:
            return values
        return jax.tree.map(lambda x: jax.lax.all_gather(x, "model", axis=1, tiled=True), values)

    def start(self, values: Any) -> Any:
        """Marks the constants that initialise a loop as varying, for loops whose values differ between devices."""
        if not self.split:
            return values
        return jax.tree.map(lambda x: jax.lax.pcast(x, ("data", "model"), to="varying"), values)


def over_shards(fn: Callable[..., Any], mesh: Mesh | None, count: int, examples: Any, pair: Array, whole: Any) -> Any:
    """Returns `fn(examples, pair, whole, shards)`, arrays [batch, ...], on `mesh`; None is a single device.

    On a mesh, a device calls `fn` with the examples of all devices along `model` and its shard of the columns of
    `pair`, and keeps the results of its own examples.

    Args:
        fn: a pure function that reduces over the candidates with `shards`.
        count: number of candidates; further columns of `pair` are padding, for even shards.
        examples: a tree of arrays [batch, ...]. whole: a tree of replicated arrays.
        pair: [outer or 1, columns, embed].
    """
    if mesh is None or mesh.size == 1:
        return fn(examples, pair, whole, Shards(count))

    def of_device(examples: Any, pair: Array, whole: Any) -> Any:
        shared = jax.tree.map(lambda x: jax.lax.all_gather(x, "model", tiled=True), examples)
        answers = fn(shared, pair, whole, Shards(count, split=True))

        def own(x: Array) -> Array:
            size = len(x) // mesh.shape["model"]
            return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index("model") * size, size)

        return jax.tree.map(own, answers)

    specs = (BATCH, PartitionSpec(None, "model"), PartitionSpec())
    return jax.shard_map(of_device, mesh=mesh, in_specs=specs, out_specs=BATCH)(examples, pair, whole)


def split_columns(pair: Any, mesh: Mesh | None) -> Float[Array, "rows columns embed"]:
    """Puts a text bank on the mesh, sharded by columns, of which the last ones may be padding.

    pair: [rows, columns, embed], an array or an object that returns one for `pair[:, start:stop]`. It is read for the
    shards of this process's devices only, and host memory holds no more than one shard at a time.
    """
    if mesh is None or mesh.size == 1:
        # Does not copy on CPUs.
        return jax.device_put(pair[:, :], None if mesh is None else mesh.devices.item())
    rows, count, embed = pair.shape
    shape = rows, padded_columns(count, mesh), embed
    sharding = NamedSharding(mesh, PartitionSpec(None, "model"))
    owners, arrays = collections.defaultdict(list), []
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        assert index is not None
        owners[index[1].indices(shape[1])[:2]].append(device)
    for (start, stop), devices in sorted(owners.items()):
        share = pair[:, start : min(stop, count)]
        if padding := stop - start - share.shape[1]:
            share = np.pad(share, ((0, 0), (0, padding), (0, 0)))
        arrays += jax.block_until_ready([jax.device_put(share, device) for device in devices])
    return jax.make_array_from_single_device_arrays(shape, sharding, arrays)


def padded_columns(columns: int, mesh: Mesh) -> int:
    """Returns the number of columns to which a bank is padded: shards are equal, and multiples of 8 from 64 columns on.

    A TPU stores a shard that is not a multiple of its tile (8 columns) in another layout than it reads, and copies it.
    """
    if mesh.size == 1:
        return columns
    share = -(-columns // mesh.shape["model"])
    return mesh.shape["model"] * (share if share < 64 else share + -share % 8)
