"""Times several implementations of the same work in turns, and compares their results."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ecor_jax.parallel.flops import matrix_product

SHORTEST = 0.3
"""Minimum seconds of a timed turn; the work is repeated until it takes that long."""
LONG = 60.0
"""If the first turn, compilation included, takes more seconds than this, each turn runs the work only once."""


class Side(NamedTuple):
    """One implementation of the work.

    run: does the work, waits for it, and returns its result. units: number of units of work per run.
    """

    run: Callable[[], Any]
    units: float


class Timed(NamedTuple):
    """The result and the seconds of a run that measures its own time, for example in another process."""

    made: Any
    seconds: float


class Suite(NamedTuple):
    """A unit of work, our implementation of it, and those of the peers.

    unit: the unit of counting, such as an image. flops: of our matrix products per unit; 0 if they do not dominate.
    peak_bytes: memory of our compiled program, arguments included; None if the work is not a single program.
    difference: of our result and a peer's, 0 if they are equal; None if they cannot be compared, because the peer does
      only part of the work.
    counted: returns additional entries for the report, once our side has run.
    """

    work: str
    unit: str
    ours: Side
    peers: Mapping[str, Side] = {}
    flops: float = 0.0
    dtype: str = "float32"
    peak_bytes: int | None = None
    difference: Callable[[Any, Any], float | None] = lambda ours, theirs: largest_difference(ours, theirs)
    counted: Callable[[], dict[str, Any]] = dict


def largest_difference(ours: Any, theirs: Any) -> float:
    """Returns the largest absolute difference of two arrays."""
    return float(np.max(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))))


def measured(suite: Suite, rounds: int, name: str) -> dict[str, Any]:
    """Returns a suite's results for the JSON report: seconds per unit of all sides, which run in turns, and ratios.

    Before that, each side runs once, which compiles it, and the results are compared. A ratio is taken within a round,
    so that changes in the machine's load affect both of its values.
    """
    sides = {"ours": suite.ours, **suite.peers}
    if suite.flops:
        operations, product, matrix = matrix_product(suite.dtype)
        sides["matrix products"] = Side(lambda: product(matrix).block_until_ready(), operations)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    with tqdm(total=(1 + rounds) * len(sides), desc=name, unit="turn", dynamic_ncols=True) as bar:
        made, repeats = {}, {}
        for side, (run, _) in sides.items():
            began, first = time.perf_counter(), run()
            made[side] = first.made if isinstance(first, Timed) else first
            long = time.perf_counter() - began > LONG
            repeats[side] = 1 if long else max(1, math.ceil(SHORTEST / _seconds(run, 1)))
            bar.update()
        for _ in range(rounds):
            for side, (run, units) in sides.items():
                seconds[side].append(_seconds(run, repeats[side]) / units)
                bar.update()
    ours = seconds.pop("ours")
    peak = 1 / min(seconds.pop("matrix products")) if suite.flops else None
    ratios = {peer: [their / own for their, own in zip(seconds[peer], ours, strict=True)] for peer in suite.peers}
    return {
        "work": suite.work,
        "unit": suite.unit,
        "ours": spread(ours),
        "peers": {peer: spread(seconds[peer]) for peer in suite.peers},
        "ratio": {peer: spread(ratios[peer]) for peer in suite.peers},
        "agreement": {peer: suite.difference(made["ours"], made[peer]) for peer in suite.peers},
        "peak_share": peak and suite.flops / statistics.median(ours) / peak,
        "peak_flops": peak,
        "peak_bytes": suite.peak_bytes,
        "rounds": rounds,
        **suite.counted(),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Returns the median, the minimum and the maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    total = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        made = run()
        total += made.seconds if isinstance(made, Timed) else time.perf_counter() - began
    return total / repeats
