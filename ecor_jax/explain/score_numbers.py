"""Numbers of scores: with their intervals, and a dash for what is not known or no number."""

import math
from collections.abc import Callable

from ecor_jax.explain.html import hidden, join, tag


def known(value: float | None) -> float | None:
    """The value, or None where it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def or_dash(value: float | None, write: Callable[[float], str]) -> str:
    """The value as `write` writes it; a dash, read out as "none", where there is none."""
    found = known(value)
    if found is None:
        return join(tag("span", "\N{EN DASH}", aria_hidden="true"), hidden("none"))
    return write(found)


def with_interval(value: float | None, interval: tuple[float, float] | None, write: Callable[[float], str]) -> str:
    """The value and, small below it, its interval."""
    found = known(value)
    if found is None or interval is None:
        return or_dash(value, write)
    return join(write(found), " ", tag("small", f"{write(interval[0])} to {write(interval[1])}"))


def area(auroc: float) -> str:
    """0.8125 is `0.812`."""
    return f"{auroc:.3f}"
