"""Formats numbers for pages; the templates use these functions as filters."""

import functools
import math
from collections.abc import Iterable

FILTERS = (
    "percent", "share", "plain", "signed", "change", "count", "number", "area", "duration", "far_text", "known",
    "telling_decimals", "distinguishing_shares", "significant_decimals", "probability",
)  # fmt: skip
"""Functions of this module that templates use, as filters and as functions."""
MINUS = "\N{MINUS SIGN}"


def percent(share: float) -> str:
    """Formats 0.4213 as `42.1%`, a value below 0.001 with two decimals, and NaN as a dash."""
    if math.isnan(share):
        return "\N{EN DASH}"
    if 0 < share < 0.0001:
        return "<0.01%"
    return f"{100 * share:.2f}%" if 0 < share < 0.001 else f"{100 * share:.1f}%"


def share(value: float, decimals: int) -> str:
    """Formats 0.421 as `42.1%` with one decimal."""
    return f"{100 * value:.{decimals}f}%"


def plain(value: float, decimals: int) -> str:
    """Formats 0.421 as `0.42` with two decimals; a value that is rounded to zero has no sign."""
    written = f"{abs(value):.{decimals}f}"
    return MINUS + written if value < 0 and float(written) else written


def signed(value: float, decimals: int) -> str:
    """Formats 0.421 as `+0.42` with two decimals; a value that is rounded to zero has no sign."""
    written = plain(value, decimals)
    return f"+{written}" if value > 0 and float(written) else written


change = functools.partial(signed, decimals=3)
"""Formats a difference of two metrics: `+0.042`."""
count = "{:,}".format
"""Formats an integer: `1,230`."""
area = "{:.3f}".format
"""Formats an AUROC of 0.8125 as `0.812`."""


def number(value: float) -> str:
    """Formats a number with three significant digits and grouped thousands: `0.0123`, `4.56`, `1,230`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Formats seconds: `3.2 s`, `1 min 15 s`, `2 h 1 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def far_text(far: float) -> str:
    """Formats a false accept rate of 0.001 as `0.1%`."""
    return f"{round(100 * far, 9):g}%"


def known(value: float | None) -> bool:
    """Returns whether a value is present and finite."""
    return value is not None and math.isfinite(value)


def telling_decimals(firsts: Iterable[float], seconds: Iterable[float], least: int, most: int) -> int:
    """Returns the fewest decimals, from `least` to `most`, that distinguish the unequal numbers of every pair."""
    couples = [couple for couple in zip(firsts, seconds, strict=True) if couple[0] != couple[1]]
    for decimals in range(least, most):
        if all(f"{first:.{decimals}f}" != f"{second:.{decimals}f}" for first, second in couples):
            return decimals
    return most


def distinguishing_shares(firsts: Iterable[float], seconds: Iterable[float]) -> int:
    """Returns the fewest decimals, from 1 to 5, with which `share` distinguishes the two values of every pair."""
    return telling_decimals([100 * first for first in firsts], [100 * second for second in seconds], 1, 5)


def significant_decimals(values: Iterable[float], digits: int) -> int:
    """Returns the decimals, from 2 to 9, that give the largest absolute value `digits` significant digits."""
    largest = max((abs(value) for value in values), default=0.0)
    return min(max(digits - 1 - math.floor(math.log10(largest)), 2), 9) if largest > 0 else 2


def probability(value: float, threshold: float) -> str:
    """Formats `probability 0.83` with enough digits to distinguish it from the threshold; never rounds to 0 or 1."""
    decimals = telling_decimals([value], [threshold], 2, 6)
    least = 10.0**-decimals
    if value < least / 2:
        return f"probability below {plain(least, decimals)}"
    if value >= 1 - least / 2:
        return f"probability above {plain(1 - least, decimals)}"
    return f"probability {plain(value, decimals)}"
