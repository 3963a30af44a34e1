"""Numbers as a reader wants them."""

import math


def percent(share: float) -> str:
    """0.4213 is `42.1%`; a small share keeps two decimals; no number is a dash."""
    if math.isnan(share):
        return "\N{EN DASH}"
    if 0 < share < 0.0001:
        return "<0.01%"
    return f"{100 * share:.2f}%" if 0 < share < 0.001 else f"{100 * share:.1f}%"


def percent_range(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{percent(low)} to {percent(high)}"


def duration(seconds: float) -> str:
    """`3.2 s`, `1 min 15 s`, `2 h 1 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def number(value: float) -> str:
    """Three significant digits, thousands in groups: `0.0123`, `4.56`, `1,230`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
