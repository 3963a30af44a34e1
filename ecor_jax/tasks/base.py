"""From a config to a workdir: data, model, task, loop, results. One file a kind of run."""

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ecor_jax.checkpoints.bottleneck_dir import is_bottleneck
from ecor_jax.checkpoints.model_dir import check_new
from ecor_jax.config import Config
from ecor_jax.errors import UserError
from ecor_jax.options import check_numbers
from ecor_jax.training.workdir import claimed, write_results

KINDS = ("pretrain", "rationale", "verification", "diagnosis")


def run(config: Config, workdir: Path) -> None:
    """Runs the task that `config.task` names; UserError, before anything is done, if `workdir` is not for it."""
    module = _module(config)
    # Processes of one run share the folder.
    with claimed(workdir, config) if jax.process_index() == 0 else contextlib.nullcontext():
        check_new(workdir / "model", overwrite=True)
        module.run(config, workdir)


def evaluate(config: Config, model: str, output: Path) -> str:
    """Judges a model on the data of a config: writes the results to `output` and returns them as a table."""
    module = _module(config)
    if not hasattr(module, "evaluate"):
        raise UserError(f"a config of the task {config.task!r} has nothing to evaluate by")
    results, table = module.evaluate(config, model)
    if jax.process_index() == 0:
        write_results(output, config, results)
    return table


def explained(
    model: str, images: Sequence[Path], pairs: Sequence[tuple[Path, Path]], output: Path, options: Mapping[str, Any]
) -> Path:
    """Explains pictures, or pairs of faces, and returns the page.

    options: those that were given, of rationales, method, top_k, on_long (pictures), threshold (pairs) and what_if
    (pairs, chest X-rays). UserError for one that has no meaning for what is explained.
    """
    if pairs:
        name, what, known = "verification", pairs, {"threshold", "what_if"}
    elif is_bottleneck(Path(model)):
        name, what, known = "concepts", images, {"what_if"}
    else:
        name, what, known = "rationale", images, {"rationales", "method", "top_k", "on_long"}
    if unused := sorted(set(options) - known):
        raise UserError(
            f"--{unused[0]} has no meaning for {'a pair of faces' if pairs else 'what this model explains'}"
        )
    return importlib.import_module(f"ecor_jax.tasks.{name}.explain").run(model, what, output, **options)


def _module(config: Config) -> Any:
    """The file here of the config's task. UserError for an unknown one, and for a number out of its range."""
    for option in ("task", "seed", "data", "parallel"):
        if option not in config:
            raise UserError(f"the config has no {option}; start from one of those in configs/common.py")
    if config.task not in KINDS:
        raise UserError(f"task is {config.task!r}; expected one of {', '.join(KINDS)}")
    check_numbers(config)
    folder = {"diagnosis": "concepts"}.get(config.task, config.task)
    return importlib.import_module(f"ecor_jax.tasks.{folder}.task")


def compute_dtype(name: str) -> Any:
    """What the towers compute in, by its name in a config."""
    if name not in ("float32", "bfloat16"):
        raise UserError(f"dtype is {name!r}; expected 'float32' or 'bfloat16'")
    return jnp.dtype(name)
