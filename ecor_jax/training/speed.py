"""How fast a run is, and a trace of it: what metrics.jsonl says of the machine rather than of the model."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

TIMED = ("examples_per_second", "waiting_share", "peak_share")
"""What a line of metrics.jsonl says of the machine: it differs from run to run."""
SETTLED = 5
"""Steps before those that are traced: by then all is compiled, and what was read ahead is used up."""


class Speed:
    """Of the steps since it was made, told or restarted last.

    peak: operations a second that the devices do at most; flops: those of a step's matrix products.
    """

    def __init__(self, peak: float, flops: int):
        self.peak, self.flops = peak, flops
        self.restart()

    def restart(self) -> None:
        """Forgets what it saw."""
        self._began, self._waited = time.perf_counter(), 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for the input pipeline."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    def told(self, steps: int, examples: int) -> dict[str, float]:
        """Examples a second, the share of the time that was spent waiting, and the share of the peak; then restarts.

        examples: of each of the `steps`.
        """
        seconds = time.perf_counter() - self._began
        shares = (steps * examples / seconds, self._waited / seconds, steps * self.flops / seconds / self.peak)
        self.restart()
        return dict(zip(TIMED, shares, strict=True))


class Trace:
    """Of some steps of a process, in a folder, as Perfetto (perfetto_trace.json.gz) and TensorBoard open it.

    steps: how many; 0: none. They are counted from 1, where the process begins or goes on.
    """

    def __init__(self, folder: Path, steps: int):
        self._folder, self._first, self._last, self._runs = folder, SETTLED + 1, SETTLED + steps, False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        if self._runs:
            jax.profiler.stop_trace()

    def begins(self, number: int) -> None:
        """Before a step."""
        if number == self._first <= self._last:
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # which ends in a segmentation fault where Orbax's threads are at work
            jax.profiler.start_trace(self._folder, create_perfetto_trace=True, profiler_options=options)
            self._runs = True

    def ended(self, number: int, made: Any) -> None:
        """After a step, which made this."""
        if self._runs and number >= self._last:
            jax.block_until_ready(made)
            jax.profiler.stop_trace()
            self._runs = False
