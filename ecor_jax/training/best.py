"""The state of a run where an evaluation on the validation split was at its best."""

import contextlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.training.step import TrainState
from ecor_jax.training.store import Store

PREFIX = "validation_"
"""Before the names of an evaluation's numbers in metrics.jsonl."""


class Best(contextlib.ExitStack):
    """Keeps, below `directory`, the state whose number `name` was the highest (of a loss or an error: the lowest).

    Equal evaluations keep the earlier state. Without a name, nothing is kept.
    """

    def __init__(self, name: str, directory: Path):
        super().__init__()
        self.name, self._sign = name, -1.0 if name.endswith(("loss", "error")) else 1.0
        self._store = self.enter_context(Store(directory, keep=1)) if name else None
        self._highest = -math.inf

    def resume(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Takes up what was best in the lines of metrics.jsonl up to the checkpoint that the run goes on from."""
        values = (line.get(PREFIX + self.name) for line in lines)
        self._highest = max((self._sign * value for value in values if value is not None), default=-math.inf)

    def see(self, step: int, values: Mapping[str, float], state: TrainState) -> None:
        """Keeps the state if the evaluation at this step is the best so far. UserError for a number it has not."""
        if self._store is None:
            return
        if self.name not in values:
            raise UserError(f"best is {self.name!r}; the evaluations have {', '.join(values)}")
        if (value := self._sign * values[self.name]) > self._highest:
            self._highest = value
            self._store.save(step, state)

    def restore(self, state: TrainState) -> TrainState:
        """The best state; the one that is given where none was kept."""
        if self._store is None:
            return state
        self._store.wait()
        return state if self._store.newest is None else self._store.restore(state)
