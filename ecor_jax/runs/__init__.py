"""From a config to a workdir: data, model, task, loop, results. One file a kind of run."""

import importlib
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ecor_jax.config import Config
from ecor_jax.errors import UserError

KINDS = ("pretrain", "rationale")


def run(config: Config, workdir: Path) -> None:
    """Runs the task that `config.task` names."""
    if config.task not in KINDS:
        raise UserError(f"task is {config.task!r}; expected one of {', '.join(KINDS)}")
    for option, seed in (("seed", config.seed), ("data.seed", config.data.seed)):
        if not 0 <= seed < 2**32:
            raise UserError(f"{option} is {seed}; expected a whole number from 0 to {2**32 - 1}")
    importlib.import_module(f"ecor_jax.runs.{config.task}").run(config, workdir)


def compute_dtype(name: str) -> Any:
    """What the towers compute in, by its name in a config."""
    if name not in ("float32", "bfloat16"):
        raise UserError(f"dtype is {name!r}; expected 'float32' or 'bfloat16'")
    return jnp.dtype(name)
