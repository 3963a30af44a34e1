"""Patterns that cover a body: drawn over [-1, 1] x [-1, 1] of the object's frame and clipped to the body."""

import math

from ecor_jax.data.procedural.outlines import star, translated
from ecor_jax.data.procedural.palette import CHOCOLATE, CORAL, CREAM, GOLD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen


def _stripes(pen: Pen, colour: Colour) -> None:
    for x in (-0.84, -0.48, -0.12, 0.24, 0.6, 0.96):
        pen.patch([(x - 0.1, -1), (x + 0.1, -1), (x - 0.02, 1), (x - 0.22, 1)], colour)


def _checks(pen: Pen, colour: Colour) -> None:
    for row in range(8):
        for column in range(row % 2, 8, 2):
            x, y = -1 + 0.25 * column, -1 + 0.25 * row
            pen.patch([(x, y), (x + 0.25, y), (x + 0.25, y + 0.25), (x, y + 0.25)], colour)


def _spots(pen: Pen, colour: Colour) -> None:
    for row, y in enumerate((-0.66, -0.36, -0.06, 0.24, 0.54)):
        for column in range(6):
            pen.ellipse(-0.92 + 0.36 * column + 0.18 * (row % 2), y, 0.095, 0.095, colour)


def _flowers(pen: Pen, colour: Colour) -> None:
    flowers = ((-0.6, 0.2), (-0.22, -0.26), (-0.12, 0.24), (0.2, -0.02), (0.36, 0.3), (0.6, 0.02), (-0.5, -0.16))
    for x, y in flowers:
        for k in range(5):
            turn = math.tau * k / 5
            pen.ellipse(x + 0.09 * math.cos(turn), y + 0.09 * math.sin(turn), 0.06, 0.06, colour)
        pen.ellipse(x, y, 0.045, 0.045, GOLD)


def _bricks(pen: Pen, colour: Colour) -> None:
    for row in range(9):
        y = -0.9 + 0.2 * row
        pen.line([(-1, y), (1, y)], 0.025)
        for column in range(6):
            x = -1 + 0.36 * column + 0.18 * (row % 2)
            pen.line([(x, y), (x, y + 0.2)], 0.025)
            if (row * 2 + column) % 3 == 0:
                pen.polygon([(x, y), (x + 0.36, y), (x + 0.36, y + 0.2), (x, y + 0.2)], colour)


def _scales(pen: Pen, colour: Colour) -> None:
    arc = [(math.cos(math.pi * k / 6), math.sin(math.pi * k / 6)) for k in range(7)]
    for row in range(8, -1, -1):
        for column in range(9):
            x, y = -1 + 0.26 * column + 0.13 * (row % 2), -0.8 + 0.17 * row
            pen.polygon([(x + 0.13 * u, y + 0.17 * v) for u, v in arc], colour if (row + column) % 2 else CREAM)


def _spiral(pen: Pen, colour: Colour) -> None:
    turns = [(0.05 + 0.028 * k, 0.42 * k) for k in range(38)]
    pen.ellipse(-0.04, 0.0, 0.5, 0.5, colour)
    pen.line([(r * 0.5 * math.cos(t) - 0.04, r * 0.5 * math.sin(t)) for r, t in turns], 0.07)


def _bands(pen: Pen, colour: Colour) -> None:
    for row in range(6):
        y = -1.0 + 0.34 * row
        pen.polygon([(-1, y), (1, y + 0.06), (1, y + 0.23), (-1, y + 0.17)], CORAL)


def _patches(pen: Pen, colour: Colour) -> None:
    patches = (
        (-0.5, -0.1),
        (-0.16, -0.22),
        (0.2, -0.12),
        (-0.34, 0.24),
        (0.04, 0.2),
        (0.4, 0.2),
        (0.26, -0.46),
        (0.2, 0.5),
    )
    for k, (x, y) in enumerate((*patches, (-0.12, 0.52), (-0.44, 0.54))):
        patch = [(-0.13, -0.04), (-0.03, -0.13), (0.12, -0.09), (0.14, 0.06), (0.03, 0.13), (-0.1, 0.1)]
        pen.at(x, y, 1.0, 50.0 * k).patch(patch, CHOCOLATE)


def _hexagons(pen: Pen, colour: Colour) -> None:
    ring = [(0.2 * math.cos(math.pi * k / 3), 0.17 * math.sin(math.pi * k / 3)) for k in range(6)]
    for column in range(-2, 3):
        for row in range(-2, 2):
            pen.polygon(translated(ring, 0.36 * column, 0.36 * row + 0.18 * (column % 2)), colour)


def _veins(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for x, y in ((0.35, -0.7), (0.75, -0.62), (0.95, -0.3), (0.8, 0.36), (0.5, 0.7)):
            pen.line([(0, 0), (x * side, y)], 0.04)
        for x, y in ((0.55, -0.38), (0.48, 0.3)):
            pen.ellipse(x * side, y, 0.14, 0.1, colour)


def _waves(pen: Pen, colour: Colour) -> None:
    for row in range(6):
        crest = [(-1 + 0.125 * k, -0.86 + 0.32 * row + 0.05 * math.sin(1.3 * k)) for k in range(17)]
        pen.patch([*crest, *((x, y + 0.13) for x, y in reversed(crest))], colour)


def _swirls(pen: Pen, colour: Colour) -> None:
    for row in range(6):
        y = -0.75 + 0.26 * row
        pen.patch(
            [(-0.6, y + 0.24), (-0.2, y + 0.16), (0.2, y), (0.6, y - 0.2), (0.2, y + 0.1), (-0.2, y + 0.28)], colour
        )


def _painted_stars(pen: Pen, colour: Colour) -> None:
    for row, y in enumerate((-0.48, -0.14, 0.2, 0.54)):
        for column in range(4):
            pen.at(-0.72 + 0.44 * column + 0.22 * (row % 2), y, 0.16).patch(star(5, 1.0, 0.45), colour)


def _ribs(pen: Pen, colour: Colour) -> None:
    for x in (-0.14, 0.0, 0.14):
        pen.line([(x * 0.7, -1), (x, -0.5), (x, 1)], 0.035)


SURFACES: dict[str, Draw] = {
    "a striped body": _stripes,
    "a checked body": _checks,
    "a spotted body": _spots,
    "painted flowers": _flowers,
    "brick walls": _bricks,
    "shiny scales": _scales,
    "a spiral shell": _spiral,
    "red and white bands": _bands,
    "large patches": _patches,
    "a patterned shell": _hexagons,
    "veined wings": _veins,
    "wavy stripes": _waves,
    "twisted swirls": _swirls,
    "painted stars": _painted_stars,
    "a ribbed stem": _ribs,
}
