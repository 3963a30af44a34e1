"""Parts that grew: each is drawn around its own origin in a frame of about [-1, 1], y down."""

import math

from ecor_jax.data.procedural.palette import CREAM, FLAME, GOLD, LEAF, ROSE, RUBBER, SKY, SLIME
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _big_eyes(pen: Pen, colour: Colour) -> None:
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0, 0.44, 0.5, CREAM)
        pen.mark(x + 0.1, 0.05, 0.23, RUBBER)


def _sleepy_eyes(pen: Pen, colour: Colour) -> None:
    lid = [(0.42 * math.cos(math.pi * k / 8), 0.36 * math.sin(math.pi * k / 8)) for k in range(9)]
    for x in (-0.52, 0.52):
        pen.at(x, 0, 1.0).line(lid, 0.18)
        pen.ellipse(x * 1.5, 0.55, 0.22, 0.14, ROSE)


def _wings(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for turn, length in ((14, 0.52), (40, 0.6), (66, 0.6)):
            feather = pen.at(0.62 * side, 0, 1.0, -side * turn)
            feather.ellipse(side * length, 0, length, 0.2, colour)


def _beak(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.4, -0.5), (0.35, -0.32), (1.0, 0.1), (-0.4, 0.12)], GOLD)
    pen.polygon([(-0.4, 0.12), (0.7, 0.1), (-0.1, 0.5), (-0.4, 0.45)], FLAME)


def _fanned_tail(pen: Pen, colour: Colour) -> None:
    for angle in (40, -40, 20, -20, 0):
        pen.at(0.3, 0, 1.0, angle).ellipse(-0.6, 0, 0.58, 0.17, colour)


def _fins(pen: Pen, colour: Colour) -> None:
    fin = [(0.7, -0.32), (1.1, -0.35), (1.42, -0.16), (1.6, 0.14), (1.7, 0.55), (1.4, 0.36), (0.7, 0.4)]
    for side in (-1, 1):
        pen.polygon([(side * x, y) for x, y in fin], colour)


def _legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.34, 0.34):
        pen.line([(x, -0.2), (x + 0.05, 0.85)], 0.13)
        pen.line([(x - 0.2, 0.98), (x + 0.05, 0.8), (x + 0.34, 0.98)], 0.13)


def _bubbles(pen: Pen, colour: Colour) -> None:
    for x, y, radius in ((-0.3, 0.5, 0.22), (0.3, 0.1, 0.3), (-0.25, -0.4, 0.25), (0.35, -0.85, 0.34)):
        pen.ellipse(x, y, radius, radius, SKY)
        pen.patch([(x - radius / 2, y), (x, y - radius / 2), (x - radius / 5, y)], CREAM)


def _foot(pen: Pen, colour: Colour) -> None:
    head = [(0.6, -0.05), (0.8, -0.42), (0.98, -0.6), (1.15, -0.58), (1.3, -0.3), (1.22, 0.1), (0.95, 0.3)]
    pen.polygon([(-1.3, 0.3), (-0.8, 0.0), *head], SLIME)


def _leaf(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 1.0), (0, -0.5)], 0.13)
    pen.polygon(symmetric([(0, 0.6), (-0.42, 0.3), (-0.5, -0.2), (-0.28, -0.7), (0, -1)]), LEAF)
    pen.line([(0, 0.6), (0, -0.7)], 0.1)
    pen.line([(-0.28, -0.15), (0, 0.15), (0.28, -0.15)], 0.1)


def _grass(pen: Pen, colour: Colour) -> None:
    for base in (-0.55, 0.55):
        for lean, height in ((-0.5, 0.6), (0.5, 0.6), (-0.16, 1.0), (0.22, 0.9)):
            pen.polygon([(base - 0.16, 0.4), (base + lean, 0.4 - height), (base + 0.16, 0.4)], LEAF)


def _ivy(pen: Pen, colour: Colour) -> None:
    pen.line([(0.1, 1), (-0.08, 0.5), (0.1, 0), (-0.08, -0.5), (0.06, -1)], 0.1)
    for k in range(7):
        side = 1 if k % 2 else -1
        pen.at(0.2 * side, 0.85 - 0.3 * k, 1.0, 30.0 * side).ellipse(0, 0, 0.24, 0.15, LEAF)


FEATURES: dict[str, Draw] = {
    "big round eyes": _big_eyes,
    "sleepy eyes": _sleepy_eyes,
    "spread wings": _wings,
    "a sharp beak": _beak,
    "a fanned tail": _fanned_tail,
    "curved fins": _fins,
    "long thin legs": _legs,
    "rising bubbles": _bubbles,
    "a slimy foot": _foot,
    "a fresh leaf": _leaf,
    "tufts of grass": _grass,
    "climbing ivy": _ivy,
}
