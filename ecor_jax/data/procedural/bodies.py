"""Silhouettes that classes share: closed outlines in the box [-1, 1] x [-1, 1], with y pointing down."""

import math

from ecor_jax.data.procedural.pen import Points


def _superellipse(power: float, upper: float = 1.0, lower: float = 1.0) -> list[tuple[float, float]]:
    """Returns |x|^p + |y|^p = 1; `upper` and `lower` scale the halves before the outline is fitted into the box."""
    points = []
    for k in range(32):
        cos, sin = math.cos(math.tau * k / 32), math.sin(math.tau * k / 32)
        x = math.copysign(abs(cos) ** (2 / power), cos)
        y = math.copysign(abs(sin) ** (2 / power), sin) * (upper if sin < 0 else lower)
        points.append((x, (2 * y + upper - lower) / (upper + lower)))
    return points


SHAPES: dict[str, Points] = {
    "block": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    "box": _superellipse(6.0),
    "loaf": _superellipse(4.0, lower=0.45),
    "oval": _superellipse(2.0),
    "egg": [(x, y * (0.86 + 0.14 * x)) for x, y in _superellipse(2.0)],
    "capsule": _superellipse(3.0),
    "dome": _superellipse(2.4, lower=0.25),
    "bowl": _superellipse(2.4, upper=0.2),
    "hull": [(-1, -1), (-0.4, -0.8), (0.4, -0.8), (1, -1), (0.82, 0.1), (0.55, 1), (-0.55, 1), (-0.82, 0.1)],
    "taper": [(-0.78, -1), (0.78, -1), (1, 1), (-1, 1)],
    "toadstool": [
        *((math.cos(math.pi * k / 12), 0.15 - 1.15 * math.sin(math.pi * k / 12)) for k in range(13)),
        *((-0.86, 0.32), (-0.46, 0.36), (-0.44, 0.7), (-0.52, 1.0)),
        *((0.52, 1.0), (0.44, 0.7), (0.46, 0.36), (0.86, 0.32)),
    ],
}
