"""Compiles the steps of a config ahead of time for TPUs that need not be present, for `ecor-jax compile`."""

from pathlib import Path
from typing import Any

from ecor_jax.aot.chips import target
from ecor_jax.aot.compiled import GIB, Compiled, compile_step
from ecor_jax.aot.steps import Sizes
from ecor_jax.atomic import write_json
from ecor_jax.config.options import Config
from ecor_jax.errors import UserError
from ecor_jax.parallel.mesh import FSDP, make_mesh
from ecor_jax.tasks.base import check_batch_sizes, options_of


def compile_aot(config: Config, topology: str, output: Path, slices: int = 1, **sizes: int | None) -> dict[str, Any]:
    """Compiles the steps of a config for a topology such as `v5e:4x4`; writes a report to `output` and returns it.

    The report has the fields of `aot.compiled.compile_step` for each step. sizes: fields of `aot.steps.Sizes`.
    Raises UserError if the config or topology is invalid, or, after writing the report, if a step does not fit a chip.
    """
    task, options = options_of(config)
    chips = target(topology, slices)
    mesh = make_mesh(options.parallel.model, chips.devices)
    check_batch_sizes(options, mesh.size, training=True, where=f"of {topology}")
    with FSDP(options.parallel.fsdp):
        steps = task.aot_steps(options, mesh, Sizes(**sizes))
    report: dict[str, Any] = {
        "topology": topology,
        "slices": slices,
        "chips": chips.chips,
        "mesh": dict(mesh.shape),
        "fits": True,
        "chip_bytes": round(chips.chip.memory * GIB),
        "steps": {},
    }
    too_large = []
    for number, (name, step) in enumerate(steps.items(), 1):
        where = f"{topology} {dict(mesh.shape)}"
        print(f"{number}/{len(steps)} {name}: compiling for {where}, {step.images} images at once", flush=True)
        compiled = compile_step(step, chips.device, mesh.size)
        report["steps"][name] = compiled.report
        print("    " + _told(compiled, chips.device.memory))
        if not compiled.fits:
            report["fits"] = False
            report["steps"][name]["largest_buffers"] = compiled.buffers
            too_large.append(_too_large(name, options, compiled, chips.device.memory))
    write_json(output, report)
    if too_large:
        raise UserError(f"{topology}: " + "; ".join(too_large))
    return report


def _told(compiled: Compiled, memory: float) -> str:
    report = compiled.report
    if not compiled.fits:
        return f"does not fit: {report['peak_bytes'] / GIB:.2f} GiB of {memory:.2f} a device"
    limit = max(report["bound_seconds"], key=report["bound_seconds"].get)
    return (
        f"{report['peak_bytes'] / GIB:.2f} GiB of {memory:.2f} a device; "
        f"at most {report['images_per_second_bound']:,.0f} images a second, by its {limit}: a bound, not a speed"
    )


def _too_large(name: str, options: Any, compiled: Compiled, memory: float) -> str:
    less = {"train": "a smaller data.batch_size", "evaluate": "a smaller evaluation.batch_size"}[name]
    if name == "train" and not options.parallel.remat:
        less += ", parallel.remat=true"
    return (
        f"the {name} step needs {compiled.report['peak_bytes'] / GIB:.2f} GiB of the {memory:.2f} of a device, most of "
        f"it for {', '.join(compiled.buffers)}; {less} or a larger parallel.model takes less"
    )
