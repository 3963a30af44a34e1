"""The best training state of a run, by a metric on the validation split."""

import contextlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.training.step import TrainState
from ecor_jax.training.store import Store

PREFIX = "validation_"
"""Prefix of the names of validation metrics in metrics.jsonl."""


class Best(contextlib.ExitStack):
    """A checkpoint, below `directory`, of the state with the highest metric `name` (of a loss or error: the lowest).

    Equal values keep the earlier state. With an empty name nothing is kept.
    """

    def __init__(self, name: str, directory: Path):
        super().__init__()
        self.name, self._sign = name, -1.0 if name.endswith(("loss", "error")) else 1.0
        self._store = self.enter_context(Store(directory, keep=1)) if name else None
        self._highest = -math.inf

    def resume(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Restores the best value from the lines of metrics.jsonl up to the checkpoint that the run resumes from."""
        values = (line.get(PREFIX + self.name) for line in lines)
        self._highest = max((self._sign * value for value in values if value is not None), default=-math.inf)

    def update(self, step: int, values: Mapping[str, float], state: TrainState) -> None:
        """Saves the state if its evaluation is the best so far. Raises UserError if `values` lacks the metric."""
        if self._store is None:
            return
        if self.name not in values:
            raise UserError(f"best is {self.name!r}; the evaluations have {', '.join(values)}")
        if (value := self._sign * values[self.name]) > self._highest:
            self._highest = value
            self._store.save(step, state)

    def restore(self, state: TrainState) -> TrainState:
        """Returns the best state, or `state` if none was saved."""
        if self._store is None:
            return state
        self._store.wait()
        return state if self._store.newest is None else self._store.restore(state)
