"""Candidates split over the mesh: softmax, sums and choices over the shares of all devices, exactly."""

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
"""Examples are split over all devices: so a frozen tower needs nothing from another one."""


@dataclasses.dataclass(frozen=True)
class Shards:
    """Which candidates an axis of `columns` stands for.

    count: candidates of all devices together; columns beyond are padding. split: whether a device has only its share
    of the columns, in the order of the mesh axis `model`; its methods are then for code within `over_shards`.
    """

    count: int
    split: bool = False

    def numbers(self, columns: int) -> Int[Array, "columns"]:
        """The candidates that this device's columns are."""
        start = jax.lax.axis_index("model") * columns if self.split else 0
        return start + jnp.arange(columns)

    def masked(self, logits: Float[Array, "*batch columns"]) -> Float[Array, "*batch columns"]:
        """-inf where a column is padding."""
        if not self.split and logits.shape[-1] == self.count:
            return logits
        return jnp.where(self.numbers(logits.shape[-1]) < self.count, logits, -jnp.inf)

    def sum(self, values: Array) -> Array:
        """Over all devices that share the candidates."""
        return jax.lax.psum(values, "model") if self.split else values

    def max(self, values: Array) -> Array:
        """Over all devices that share the candidates; without a gradient."""
        values = jax.lax.stop_gradient(values)
        return jax.lax.pmax(values, "model") if self.split else values

    def log_softmax(self, logits: Float[Array, "*batch columns"]) -> Float[Array, "*batch columns"]:
        """Of masked logits, over the candidates of all devices."""
        shifted = logits - self.max(jnp.max(logits, axis=-1, keepdims=True))
        return shifted - jnp.log(self.sum(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)))

    def logsumexp(self, logits: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """log sum exp of a value of each device."""
        largest = self.max(logits)
        return largest + jnp.log(self.sum(jnp.exp(logits - largest)))

    def at(self, values: Float[Array, "*batch columns"], number: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        """The value of a candidate, from the device that has it."""
        own = self.numbers(values.shape[-1]) == number[..., None]
        return self.sum(jnp.sum(jnp.where(own, values, 0.0), axis=-1))

    def argmax(self, values: Float[Array, "batch columns"]) -> tuple[Int[Array, "batch"], Float[Array, "batch"]]:
        """The candidate of the largest value, the first of equal ones, and that value."""
        column, largest = jnp.argmax(values, axis=-1), jnp.max(values, axis=-1)
        number = self.numbers(values.shape[-1])[column]
        if not self.split:
            return number, largest
        overall = self.max(largest)
        return jax.lax.pmin(jnp.where(largest == overall, number, jnp.iinfo(number.dtype).max), "model"), overall

    def gathered(self, values: Any) -> Any:
        """A tree of arrays [batch, k] of each device as one of arrays [batch, devices k]."""
        if not self.split:
            return values
        return jax.tree.map(lambda x: jax.lax.all_gather(x, "model", axis=1, tiled=True), values)

    def start(self, values: Any) -> Any:
        """Constants that a loop begins with, for a loop whose values will differ from device to device."""
        if not self.split:
            return values
        return jax.tree.map(lambda x: jax.lax.pcast(x, ("data", "model"), to="varying"), values)


def over_shards(fn: Callable[..., Any], mesh: Mesh | None, count: int, examples: Any, pair: Array, whole: Any) -> Any:
    """`fn(examples, pair, whole, shards)`: arrays [batch, ...] for all examples, on a mesh or (None) a single device.

    On a mesh, a device gets the examples of all devices along `model` with its share of the columns of `pair`, and
    keeps of the answers those of its own examples.

    Args:
        fn: pure; it reduces over the candidates by `shards`.
        count: candidates; `pair` may have more columns, which are padding, for its share to be even.
        examples: a tree of arrays [batch, ...]. whole: a tree of what every device has.
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
    """A bank on the mesh: a device has its share of the columns, of which the last ones may be padding.

    pair: [rows, columns, embed], an array or what gives one for `pair[:, start:stop]`: that is called for the shares of
    this process's devices, and there is no more than one of them in its memory at a time.
    """
    if mesh is None or mesh.size == 1:
        # On a CPU without a copy.
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
    """Columns that a bank needs for the share of every device to be even, and of whole tiles where it is large.

    A TPU stores a share that is not of whole tiles (8 columns) in another order than it is read in: it would be copied.
    """
    if mesh.size == 1:
        return columns
    share = -(-columns // mesh.shape["model"])
    return mesh.shape["model"] * (share if share < 64 else share + -share % 8)
