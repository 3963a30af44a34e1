"""Throughput metrics of the training loop, and profiler traces of some of its steps."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

TIMED = ("examples_per_second", "waiting_share", "peak_share")
"""Names of the throughput metrics in metrics.jsonl, whose values differ between equal runs."""
SETTLED = 5
"""Steps before tracing begins: by then all is compiled, and prefetched batches are used up."""


class Speed:
    """A timer of the steps since it was created, or since `told` or `restart` was last called.

    peak: peak operations a second of all devices. flops: matrix-product operations of a step.
    """

    def __init__(self, peak: float, flops: int):
        self.peak, self.flops = peak, flops
        self.restart()

    def restart(self) -> None:
        """Resets the timer."""
        self._began, self._waited = time.perf_counter(), 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time of the block as waiting for the input pipeline."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    def told(self, steps: int, examples: int) -> dict[str, float]:
        """Returns examples a second, the share of time spent waiting, and the share of the peak; resets the timer.

        examples: number of examples per step.
        """
        seconds = time.perf_counter() - self._began
        shares = (steps * examples / seconds, self._waited / seconds, steps * self.flops / seconds / self.peak)
        self.restart()
        return dict(zip(TIMED, shares, strict=True))


class Trace:
    """A profiler trace of some steps, in a folder, for Perfetto (perfetto_trace.json.gz) and TensorBoard.

    steps: number of steps to trace; 0 for none. Steps are numbered from 1, the first of this process.
    """

    def __init__(self, folder: Path, steps: int):
        self._folder, self._first, self._last, self._runs = folder, SETTLED + 1, SETTLED + steps, False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        if self._runs:
            jax.profiler.stop_trace()

    def begins(self, number: int) -> None:
        """Starts the trace before the first traced step."""
        if number == self._first <= self._last:
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # the Python tracer crashes (segmentation fault) while Orbax's threads run
            jax.profiler.start_trace(self._folder, create_perfetto_trace=True, profiler_options=options)
            self._runs = True

    def ended(self, number: int, made: Any) -> None:
        """Stops the trace after the last traced step, once its results `made` are computed."""
        if self._runs and number >= self._last:
            jax.block_until_ready(made)
            jax.profiler.stop_trace()
            self._runs = False
