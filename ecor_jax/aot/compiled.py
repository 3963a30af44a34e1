"""Ahead-of-time (AOT) compilation of steps, with their memory use and upper bounds on their speed."""

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import Mesh

from ecor_jax.aot.chips import Chip
from ecor_jax.aot.hlo import collectives, largest, summary
from ecor_jax.parallel import mesh as meshes
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.parallel.map_batches import call

GIB = 2**30


class Step(NamedTuple):
    """A function traced on a mesh (`jax.jit(...).trace(...)`), the shapes of its arguments, and images per call."""

    traced: Any
    arguments: Any
    images: int

    def lower(self) -> Any:
        """Lowers the traced function; JAX lowers its own attention by dtype promotion, which is allowed here."""
        with jax.numpy_dtype_promotion("standard"):
            return self.traced.lower()

    @property
    def argument_bytes(self) -> int:
        """Bytes of the arguments on one device."""
        sizes = [
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(self.arguments)
        ]
        return sum(sizes)


class Compiled(NamedTuple):
    """A compiled step. report: see `compile_step`. buffers: the largest ones on a device. text: the optimised HLO."""

    report: dict[str, Any]
    fits: bool
    buffers: list[str]
    text: str


def placed(tree: Any, shardings: Any) -> Any:
    """Returns the shapes of a tree of arrays, with shardings."""
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings)


def call_step(fn: Any, model: nnx.Module, mesh: Mesh, batch: dict[str, Any]) -> Step:
    """Traces the function that `map_batches` runs for every batch, for a model with shapes in place of arrays."""
    graph, state = nnx.split(model)
    state = placed(state, meshes.shardings(state, mesh))
    batch = placed(batch, jax.tree.map(lambda _: meshes.batch_sharding(mesh), batch))
    with meshes.PLATFORM(mesh.devices.flat[0].platform):
        return Step(call.trace(fn, graph, mesh, state, batch), (state, batch), batch["mask"].shape[0])


def compile_step(step: Step, device: Chip, devices: int) -> Compiled:
    """Compiles a step for the devices of its mesh and reports its costs.

    peak_bytes, argument_bytes, temporary_bytes: per device. flops: matrix products of the step on all devices
    (`flops.matrix_flops`). collectives: by kind, with the bytes of their results on a device; those in loops count once
    per iteration. bound_seconds: lower bounds on the step time, one for each limit: "compute", if the matrix products
    run at the device's peak; "memory", if arguments are read, results written, and temporary memory written and read
    once; "network", if a device sends the bytes of ring collectives over all its links at once. The slower network
    between slices is not included.
    """
    flops = matrix_flops(step.traced.jaxpr.jaxpr)
    with tempfile.TemporaryDirectory() as folder:
        # The HLO and the buffers are read from the compiler's dumps, because its out-of-memory error does not name the
        # largest buffers, and because the compiled object cannot return the HLO of all programs for the newest chips.
        options: dict[str, Any] = {"xla_dump_to": folder, "xla_dump_hlo_as_text": True}
        try:
            memory: Any = step.lower().compile(compiler_options=options).memory_analysis()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            memory = None
        text = _dumped(folder, "after_optimizations.txt")
        total, buffers = largest(_dumped(folder, "memory-usage-report.txt"))
    if memory is None:
        peak, arguments, results = total, step.argument_bytes, 0
        temporary = max(peak - arguments, 0)
    else:
        peak, arguments = memory.peak_memory_in_bytes, memory.argument_size_in_bytes
        temporary, results = memory.temp_size_in_bytes, memory.output_size_in_bytes
    found = collectives(text)
    seconds = {
        "compute": flops / devices / device.flops,
        "memory": (arguments + results + 2 * temporary) / device.hbm,
        "network": sum(collective.sent(devices) for collective in found) / device.ici,
    }
    report = {
        "peak_bytes": peak,
        "argument_bytes": arguments,
        "temporary_bytes": temporary,
        "flops": flops,
        "collectives": summary(found),
        "bound_seconds": seconds,
        "images_per_second_bound": step.images / max(seconds.values()),
    }
    return Compiled(report, memory is not None and peak <= device.memory * GIB, buffers, text)


def _dumped(folder: str, ending: str) -> str:
    files = sorted(Path(folder).glob(f"*{ending}"), key=lambda path: path.stat().st_size)
    return files[-1].read_text() if files else ""
