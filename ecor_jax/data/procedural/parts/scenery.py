"""Parts around an object: water, weather, sky, ground and plants, shared by classes of several kinds."""

import math

from ecor_jax.data.procedural.outlines import arc, smooth, star, translated
from ecor_jax.data.procedural.palette import (
    CLOUD,
    CORAL,
    CREAM,
    FLAME,
    GOLD,
    LEAF,
    RUBBER,
    SAND,
    SKY,
    STONE,
    WATER,
    WOOD,
)
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _waves(pen: Pen, colour: Colour) -> None:
    for low, paint, phase in ((0.0, WATER, 0.0), (0.2, SKY, math.pi)):
        crest = [(x / 16, low + 0.09 * math.sin(x * math.pi / 4 + phase)) for x in range(-16, 17)]
        pen.polygon([*crest, (1, low + 0.24), (-1, low + 0.24)], paint)


def _clouds(pen: Pen, colour: Colour) -> None:
    cloud = [(-0.9, 0.35), (-0.95, -0.05), (-0.5, -0.2), (-0.2, -0.55), (0.3, -0.5), (0.5, -0.15), (0.95, -0.02)]
    pen.polygon(smooth([*cloud, (0.9, 0.35), (0.9, 0.35), (-0.9, 0.35)]), CLOUD)


def _stars(pen: Pen, colour: Colour) -> None:
    for x, y, size in ((-0.6, 0.3, 0.46), (0.1, -0.55, 0.42), (0.75, 0.35, 0.36)):
        pen.at(x, y, size).polygon(star(5, 1.0, 0.45), GOLD)


def _sun(pen: Pen, colour: Colour) -> None:
    pen.polygon(star(9, 1.0, 0.62), FLAME)
    pen.ellipse(0, 0, 0.5, 0.5, GOLD)


def _raindrops(pen: Pen, colour: Colour) -> None:
    for x, y in ((-0.75, 0.1), (-0.3, -0.5), (0.2, 0.2), (0.7, -0.35)):
        pen.polygon(translated(symmetric([(0, 0.36), (-0.2, 0.2), (-0.19, 0), (0, -0.4)]), x, y), WATER)


def _snowflakes(pen: Pen, colour: Colour) -> None:
    for x, y, radius in ((-0.6, 0.35, 0.42), (0.05, -0.55, 0.42), (0.7, 0.35, 0.42)):
        for turn in (90, 30, -30):
            cos, sin = radius * math.cos(math.radians(turn)), radius * math.sin(math.radians(turn))
            pen.line([(x - cos, y - sin), (x + cos, y + sin)], 0.1)
        pen.ellipse(x, y, 0.14, 0.14, CREAM)


def _grass(pen: Pen, colour: Colour) -> None:
    for base in (-0.55, 0.55):
        for lean, height in ((-0.5, 0.6), (0.5, 0.6), (-0.16, 1.0), (0.22, 0.9)):
            pen.polygon([(base - 0.16, 0.4), (base + lean, 0.4 - height), (base + 0.16, 0.4)], LEAF)


def _leaf(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 1.0), (0, -0.5)], 0.13)
    pen.polygon(symmetric([(0, 0.6), (-0.42, 0.3), (-0.5, -0.2), (-0.28, -0.7), (0, -1)]), LEAF)
    pen.line([(0, 0.6), (0, -0.7)], 0.1)
    pen.line([(-0.28, -0.15), (0, 0.15), (0.28, -0.15)], 0.1)


def _flower(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.2), (0, 1.0)], 0.13)
    for k in range(6):
        turn = math.tau * k / 6
        pen.ellipse(0.48 * math.cos(turn), 0.48 * math.sin(turn) - 0.1, 0.32, 0.32, CORAL)
    pen.ellipse(0, -0.1, 0.28, 0.28, GOLD)


def _bubbles(pen: Pen, colour: Colour) -> None:
    for x, y, radius in ((-0.3, 0.5, 0.22), (0.3, 0.1, 0.3), (-0.25, -0.4, 0.25), (0.35, -0.85, 0.34)):
        pen.ellipse(x, y, radius, radius, SKY)
        pen.patch([(x - radius / 2, y), (x, y - radius / 2), (x - radius / 5, y)], CREAM)


def _rocks(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1.0, 0.4), (-0.9, -0.05), (-0.55, -0.3), (-0.25, 0.0), (-0.1, 0.4)], STONE)
    pen.polygon([(0.15, 0.4), (0.3, -0.1), (0.6, -0.35), (0.95, -0.05), (1.0, 0.4)], STONE)
    pen.polygon([(-0.4, 0.4), (-0.3, 0.1), (0.05, -0.05), (0.35, 0.15), (0.42, 0.4)], RUBBER)


def _dunes(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth([(-1, 0.25), (-1, 0.25), (-0.55, -0.12), (-0.1, 0.2), (-0.1, 0.25)]), SAND)
    pen.polygon(smooth([(-0.5, 0.3), (-0.5, 0.3), (0.4, -0.18), (1.0, 0.25), (1.0, 0.3)]), SAND)
    for x, y in ((0.1, 0.15), (0.4, 0.06), (0.66, 0.16)):
        pen.mark(x, y, 0.045, WOOD)


def _ice(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, -0.12), (-0.6, -0.24), (0.7, -0.24), (1, -0.1), (0.85, 0.22), (-0.8, 0.22)], CREAM)
    pen.patch([(-0.94, 0.0), (0.96, 0.0), (0.84, 0.2), (-0.78, 0.2)], SKY)


def _campfire(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.6, 0.5), (-0.55, -0.1), (-0.3, 0.0), (0, -1.1), (0.3, -0.1), (0.55, -0.3), (0.6, 0.5)], FLAME)
    pen.patch([(-0.25, 0.5), (-0.15, 0.1), (0.0, -0.4), (0.22, 0.2), (0.25, 0.5)], GOLD)
    for angle in (-14, 14):
        pen.at(0, 0.62, 1.0, angle).box(0, 0, 0.9, 0.14, WOOD)


def _falling_leaves(pen: Pen, colour: Colour) -> None:
    for x, y, angle in ((-0.6, -0.5, 30), (0.5, -0.2, -50), (-0.3, 0.55, 80)):
        leaf = pen.at(x, y, 1.0, angle)
        leaf.polygon(symmetric([(0, 0.42), (-0.3, 0.1), (-0.2, -0.25), (0, -0.45)]), FLAME)
        leaf.line([(0, -0.2), (0, 0.6)], 0.08)


def _planet(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.58, 0.58, colour)
    pen.polygon([*arc(1.1, 0.36, -20, 200, 12), *arc(0.78, 0.18, 200, -20, 12)], GOLD)


SCENERY: dict[str, Draw] = {
    "splashing waves": _waves,
    "fluffy clouds": _clouds,
    "twinkling stars": _stars,
    "a blazing sun": _sun,
    "falling raindrops": _raindrops,
    "falling snowflakes": _snowflakes,
    "tufts of grass": _grass,
    "a fresh leaf": _leaf,
    "a blooming flower": _flower,
    "rising bubbles": _bubbles,
    "a rocky shore": _rocks,
    "sandy dunes": _dunes,
    "floating ice": _ice,
    "a crackling campfire": _campfire,
    "falling leaves": _falling_leaves,
    "a ringed planet": _planet,
}
