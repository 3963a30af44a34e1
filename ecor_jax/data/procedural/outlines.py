"""Helpers that compute outlines and curves of shapes: ovals, arches, arcs and smooth curves through given points."""

import math

from ecor_jax.data.procedural.pen import Points, symmetric


def superellipse(power: float, upper: float = 1.0, lower: float = 1.0) -> list[tuple[float, float]]:
    """Returns |x|^p + |y|^p = 1; `upper` and `lower` scale the halves before the outline is fitted into the box."""
    points = []
    for k in range(32):
        cos, sin = math.cos(math.tau * k / 32), math.sin(math.tau * k / 32)
        x = math.copysign(abs(cos) ** (2 / power), cos)
        y = math.copysign(abs(sin) ** (2 / power), sin) * (upper if sin < 0 else lower)
        points.append((x, (2 * y + upper - lower) / (upper + lower)))
    return points


def smooth(points: Points, closed: bool = True, steps: int = 3) -> list[tuple[float, float]]:
    """Returns a Catmull-Rom curve through `points`; a point that is given twice in a row becomes a corner."""
    count = len(points)
    curve = []
    for k in range(count if closed else count - 1):
        indices = (k - 1, k, k + 1, k + 2)
        p, q, r, s = (points[i % count if closed else min(max(i, 0), count - 1)] for i in indices)
        if q == r:
            continue
        for step in range(steps):
            t = step / steps
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            x, y = (
                0.5 * sum(w * v for w, v in zip(weights, axis, strict=True)) for axis in zip(p, q, r, s, strict=True)
            )
            curve.append((x, y))
    return curve if closed else [*curve, points[-1]]


def smooth_symmetric(half: Points) -> list[tuple[float, float]]:
    """Returns a smooth outline that is symmetric about the vertical axis; `half` starts and ends on the axis."""
    return smooth([*half, *((-x, y) for x, y in reversed(half[1:-1]))])


def arc(across: float, down: float, start: float, stop: float, steps: int = 8) -> list[tuple[float, float]]:
    """Returns points of an elliptic arc around the origin, from the angle `start` to `stop` (degrees, 90 is down)."""
    angles = [math.radians(start + (stop - start) * k / steps) for k in range(steps + 1)]
    return [(across * math.cos(a), down * math.sin(a)) for a in angles]


def arch(top: float, across: float, bottom: float) -> Points:
    """Returns the outline of an opening with a round top; `across` is half its width."""
    vault = [(-across * math.cos(math.pi * k / 8), across * math.sin(math.pi * k / 8)) for k in range(4)]
    return symmetric([(-across, bottom), *((x, top + across - y) for x, y in vault), (0.0, top)])


def star(points: int, outer: float, inner: float) -> list[tuple[float, float]]:
    """Returns a star around the origin with this number of points."""
    angles = [(math.pi * k / points - math.pi / 2, inner if k % 2 else outer) for k in range(2 * points)]
    return [(r * math.cos(a), r * math.sin(a)) for a, r in angles]


def translated(points: Points, x: float, y: float) -> list[tuple[float, float]]:
    """Returns `points` translated by (x, y)."""
    return [(x + u, y + v) for u, v in points]
