"""From a config to a workdir: data, model, task, loop, results. One file a kind of run."""

import importlib
from pathlib import Path

from ecor_jax.config import Config
from ecor_jax.errors import UserError

KINDS = ("pretrain", "rationale")


def run(config: Config, workdir: Path) -> None:
    """Runs the task that `config.task` names."""
    if config.task not in KINDS:
        raise UserError(f"task is {config.task!r}; expected one of {', '.join(KINDS)}")
    importlib.import_module(f"ecor_jax.runs.{config.task}").run(config, workdir)
