"""Numbers of a pair, with as many digits as it takes to tell them apart."""

import math
from collections.abc import Iterable

MINUS = "\N{MINUS SIGN}"


def telling_decimals(couples: Iterable[tuple[float, float]], least: int, most: int) -> int:
    """The fewest decimals, from `least` to `most`, that write the different numbers of every couple differently."""
    couples = [(one, other) for one, other in couples if one != other]
    for decimals in range(least, most):
        if all(f"{one:.{decimals}f}" != f"{other:.{decimals}f}" for one, other in couples):
            return decimals
    return most


def significant_decimals(values: Iterable[float], digits: int) -> int:
    """The decimals, from 2 to 9, that give the largest of the values so many significant digits."""
    largest = max((abs(value) for value in values), default=0.0)
    return min(max(digits - 1 - math.floor(math.log10(largest)), 2), 9) if largest > 0 else 2


def plain(value: float, decimals: int) -> str:
    """0.421 is `0.42` with two decimals; what is rounded to zero has no sign."""
    written = f"{abs(value):.{decimals}f}"
    return MINUS + written if value < 0 and float(written) else written


def signed(value: float, decimals: int) -> str:
    """0.421 is `+0.42` with two decimals; what is rounded to zero has no sign."""
    written = plain(value, decimals)
    return f"+{written}" if value > 0 and float(written) else written


def share(value: float, decimals: int) -> str:
    """0.421 is `42.1%` with one decimal."""
    return f"{100 * value:.{decimals}f}%"
