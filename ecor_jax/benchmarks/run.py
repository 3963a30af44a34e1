"""Runs the benchmark suites sequentially and writes their results, for `ecor-jax benchmark`."""

import csv
import dataclasses
import functools
import importlib.metadata
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import logging

from ecor_jax.atomic import new_file, write_json
from ecor_jax.benchmarks.encoders import encode_image, encode_text, text_bank
from ecor_jax.benchmarks.measure import Suite, measured
from ecor_jax.benchmarks.models import Setting
from ecor_jax.benchmarks.pictures import read_pictures
from ecor_jax.benchmarks.startup import startup
from ecor_jax.benchmarks.steps import choose_pairs, evaluate, train_step
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

SUITES: dict[str, Callable[[Setting], Suite]] = {
    "encode_image": encode_image,
    "encode_text": encode_text,
    "text_bank": text_bank,
    "train_step": train_step,
    "train_step_deep": functools.partial(train_step, count=30, layers="deep"),  # as for ImageNet
    "evaluate": evaluate,
    "choose_pairs": choose_pairs,
    "input": read_pictures,
    "startup": startup,
}
NO_MEMORY = "RESOURCE_EXHAUSTED"
"""Status in JAX's out-of-memory errors."""
LIBRARIES = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers", "open_clip_torch", "pillow")


def benchmark(
    suites: Sequence[str],
    settings: Sequence[Setting],
    rounds: int,
    output: Path,
    *,
    add: bool = False,
    minutes: float = math.inf,
) -> dict[str, Any]:
    """Measures every suite in every setting; returns the report, and writes it to `output` (JSON) and a CSV beside it.

    Results of the first setting are named by their suite, those of others by suite and setting. Suites that do not fit
    into memory, or had not started after `minutes`, are listed under "left_out" with the reason.

    Args:
        add: keeps other suites that `output` contains.

    Raises:
        UserError: if a suite is unknown, or if, with `add`, the report in `output` is invalid or was measured
            on another device or with other versions.
    """
    if unknown := [name for name in suites if name not in SUITES]:
        raise UserError(f"no suite {', '.join(map(repr, unknown))}; there are: {', '.join(SUITES)}")
    began = time.monotonic()
    report: dict[str, Any] = {"device": device(), "threads": threads(settings), "versions": versions(), "suites": {}}
    report["left_out"] = {}
    if add and output.exists():
        report["suites"] = _measured_before(output, report)
    for name in suites:
        for number, setting in enumerate(settings):
            called = ", ".join([name, *setting.named()]) if number else name
            if time.monotonic() - began > 60 * minutes:
                report["left_out"][called] = f"the {minutes:g} minutes were over"
            else:
                try:
                    report["suites"][called] = _measured(name, setting, rounds, called)
                except Exception as error:
                    if not does_not_fit(error):
                        raise
                    report["left_out"][called] = "does not fit into memory"
            if called in report["left_out"]:
                print(f"{called}: left out: {report['left_out'][called]}", flush=True)
            # Written after each suite, so that an interrupted run keeps its results.
            write_json(output, report)
            _write_csv(output.with_suffix(".csv"), report)
            jax.clear_caches()
    return report


def _measured(name: str, setting: Setting, rounds: int, called: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        suite = SUITES[name](dataclasses.replace(setting, folder=Path(folder)))
        print(f"{called}: {suite.work}", flush=True)
        result = measured(suite, rounds, called)
    for line in told(result):
        print(f"    {line}", flush=True)
    return result | {"model": setting.model, "batch_size": setting.batch_size, "dtype": setting.dtype}


def check_device(kind: str) -> None:
    """Raises UserError unless JAX's default devices are of that kind: gpu, tpu or cpu."""
    if (found := jax.default_backend()) != kind:
        raise UserError(f"--device={kind}: JAX finds no {kind} here, only {found} ({jax.devices()[0].device_kind})")


def does_not_fit(error: Exception) -> bool:
    """Returns whether the error is an out-of-memory error of NumPy, JAX or PyTorch."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or NO_MEMORY in str(error)


def threads(settings: Sequence[Setting]) -> dict[str, int]:
    """Returns, and sets for PyTorch, the number of threads of each side on CPUs (all cores); {} on accelerators."""
    if jax.default_backend() != "cpu":
        return {}
    count = {"jax": len(os.sched_getaffinity(0))}
    if any(setting.peers for setting in settings):
        import torch

        torch.set_num_threads(count["jax"])
        count["torch"] = torch.get_num_threads()
    return count


def _measured_before(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    earlier = read_object(path)
    for key in ("device", "versions"):
        if earlier.get(key) != report[key]:
            raise UserError(f"{path}: its figures are of other {key}: {earlier.get(key)}; here: {report[key]}")
    suites = earlier.get("suites")
    if not isinstance(suites, dict) or not all(
        isinstance(suite, dict) and "ratio" in suite for suite in suites.values()
    ):
        raise UserError(f"{path}: no figures of a benchmark")
    return suites


def told(result: dict[str, Any]) -> list[str]:
    """Returns lines that describe a suite's result, one per side."""
    unit, own = result["unit"], result["ours"]
    share = f", {100 * result['peak_share']:.0f} % of the matrix peak" if result["peak_share"] else ""
    lines = [f"ours: {time_of(own['median'])} a {unit} ({time_of(own['min'])} to {time_of(own['max'])}){share}"]
    for peer, ratio in result["ratio"].items():
        times = result["peers"][peer]
        lines.append(
            f"{peer}: {time_of(times['median'])}; ours is {ratio['median']:.2f} times as fast ({ratio['min']:.2f} to "
            f"{ratio['max']:.2f}); difference: {difference_of(result['agreement'][peer])}"
        )
    return lines


def device() -> str:
    """Describes the device that is measured; it is always a single one."""
    first = jax.devices()[0]
    if first.platform != "cpu":
        return f"one {first.device_kind}"
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError as error:
        logging.info("the processor's name cannot be read: %s", error)
    return f"{len(os.sched_getaffinity(0))} cores of {name}"


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the installed libraries."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def difference_of(agreement: float | None) -> str:
    """Formats the difference between the results of two sides."""
    return "not compared" if agreement is None else f"{agreement:.1e}"


def time_of(seconds: float) -> str:
    """Formats a time with three digits in a suitable unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _write_csv(path: Path, report: dict[str, Any]) -> None:
    """Writes a CSV in timm's format: units per second and milliseconds per batch, one line per side."""
    with new_file(path) as partial, partial.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["model", "suite", "side", "unit", "samples_per_sec", "step_time", "batch_size", "dtype"])
        for name, result in report["suites"].items():
            for side, times in {"ours": result["ours"], **result["peers"]}.items():
                seconds, size = times["median"], result["batch_size"]
                named = result["model"], name.split(",")[0], side, result["unit"]
                speed = f"{1 / seconds:.2f}", f"{1e3 * seconds * size:.3f}"
                lines.writerow([*named, *speed, size, result["dtype"]])
