"""Several ways of doing one work, timed in turns, and checked to do the same."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ecor_jax.parallel.flops import matrix_product

SHORTEST = 0.3
"""Seconds that a timed turn takes at least: the work is done as often as that needs."""
LONG = 60.0
"""Seconds of a first turn, even one that compiles, after which the work is long enough for one."""


class Side(NamedTuple):
    """One way of doing the work.

    run: does it, waits for it, and returns what it made. units: of the work, that it does each time.
    """

    run: Callable[[], Any]
    units: float


class Timed(NamedTuple):
    """What a run made that has a clock of its own, such as another process, and the seconds it took."""

    made: Any
    seconds: float


class Suite(NamedTuple):
    """A work, how we do it, and how others do.

    unit: what is counted, such as an image. flops: of our matrix products, a unit; 0 where other things take the time.
    peak_bytes: that our compiled program takes, its arguments included; None where it is not a program alone.
    difference: of what we and a peer made, as a number that is 0 where it is the same; None where a peer does only a
    piece of the work, so that there is nothing to compare.
    counted: what else is to be told, once our side has run.
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
    """Of numbers in the same places of two arrays."""
    return float(np.max(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))))


def measured(suite: Suite, rounds: int, name: str) -> dict[str, Any]:
    """The suite as the command's JSON has it: seconds a unit of all sides, whose turns alternate, and their ratios.

    Before that, each side does the work once, which compiles it, and what they made is compared. A ratio is taken
    within a round, so that what the machine does meanwhile is in both of its numbers.
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
    """The middle one and both ends."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    total = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        made = run()
        total += made.seconds if isinstance(made, Timed) else time.perf_counter() - began
    return total / repeats
