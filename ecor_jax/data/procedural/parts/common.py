"""Parts that classes of several kinds share: windows, doors, wheels, handles, fasteners and trimmings."""

import math

from ecor_jax.data.procedural.outlines import arc, arch, translated
from ecor_jax.data.procedural.palette import CLOUD, CORAL, CREAM, FLAME, GLASS, GOLD, LEAF, RUBBER, SKY, STONE, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric

_ROW = (-0.72, 0.0, 0.72)


def _square_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.box(x, 0, 0.28, 0.28, GLASS)


def _round_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.ellipse(x, 0, 0.31, 0.31, CREAM)
        pen.ellipse(x, 0, 0.19, 0.19, SKY)


def _arched_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.polygon(translated(arch(-0.5, 0.22, 0.38), x, 0), RUBBER)


def _wheels(pen: Pen, colour: Colour) -> None:
    for x in (-0.64, 0.64):
        pen.ellipse(x, 0, 0.34, 0.34, RUBBER)
        pen.ellipse(x, 0, 0.15, 0.15, CREAM)


def _headlight(pen: Pen, colour: Colour) -> None:
    pen.patch([(0.1, -0.25), (1.5, -0.75), (1.5, 0.75), (0.1, 0.25)], GLASS)
    for y in (-0.75, 0.0, 0.75):
        pen.line([(0.5, y / 2), (1.5, y)], 0.06)
    pen.ellipse(0, 0, 0.36, 0.42, GOLD)


def _luggage(pen: Pen, colour: Colour) -> None:
    pen.box(-0.4, -0.28, 0.42, 0.28, WOOD)
    pen.box(0.42, -0.36, 0.36, 0.36, colour)
    pen.box(-0.3, -0.78, 0.3, 0.22, CORAL)
    pen.line([(0.3, -0.72), (0.3, -0.86), (0.54, -0.86), (0.54, -0.72)], 0.09)


def _smoke(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.0, 0.24, 0.42, colour)
    pen.box(0, -0.42, 0.32, 0.12, colour)
    for x, y, radius in ((0.12, -0.78, 0.2), (-0.12, -1.1, 0.28), (-0.55, -1.38, 0.36)):
        pen.ellipse(x, y, radius, radius, CLOUD)


def _bell(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.6), (0, -0.75)], 0.14)
    pen.ellipse(0, 0.28, 0.2, 0.2, RUBBER)
    pen.polygon(symmetric([(-0.6, 0.25), (-0.4, -0.05), (-0.34, -0.5), (0, -0.75)]), GOLD)
    for side in (-1, 1):
        pen.line([(0.72 * side, -0.6), (0.9 * side, -0.25), (0.86 * side, 0.1)], 0.12)


def _flag(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.3), (0, -1.3)], 0.13)
    top = [(0, -1.28), (0.3, -1.4), (0.6, -1.2), (0.95, -1.3)]
    bottom = [(0.95, -0.7), (0.6, -0.6), (0.3, -0.8), (0, -0.65)]
    pen.polygon(top + bottom, colour)


def _pointed_top(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, 0.12), (0, -1.15), (1, 0.12)], colour)


def _flames(pen: Pen, colour: Colour) -> None:
    pen.polygon(symmetric([(-0.7, -0.2), (-0.8, 0.55), (-0.45, 0.3), (0, 1.15)]), FLAME)
    pen.patch(symmetric([(-0.32, -0.1), (-0.3, 0.25), (0, 0.75)]), GOLD)


def _ladder(pen: Pen, colour: Colour) -> None:
    for x in (-0.26, 0.26):
        pen.box(x, 0, 0.06, 1.0, WOOD)
    for y in (-0.75, -0.38, 0.0, 0.38, 0.75):
        pen.box(0, y, 0.26, 0.06, WOOD)


def _arched_door(pen: Pen, colour: Colour) -> None:
    pen.polygon(arch(-0.9, 0.52, 0.6), colour)
    pen.polygon(arch(-0.68, 0.34, 0.6), WOOD)
    pen.mark(0.16, 0.05, 0.1, RUBBER)


def _fence(pen: Pen, colour: Colour) -> None:
    for y in (-0.2, 0.25):
        pen.box(0, y, 0.95, 0.07, CREAM)
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.polygon(translated(symmetric([(-0.15, 0.55), (-0.15, -0.35), (0, -0.6)]), x, 0), CREAM)


def _buttons(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 1.0, 0.36, CREAM)
    for x, paint in ((-0.62, CORAL), (0, GOLD), (0.62, LEAF)):
        pen.ellipse(x, 0, 0.22, 0.22, paint)


def _handle(pen: Pen, colour: Colour) -> None:
    outer, inner = arc(0.9, 0.8, 270, 90), arc(0.5, 0.44, 90, 270)
    pen.polygon(outer + inner, colour)


def _winding_key(pen: Pen, colour: Colour) -> None:
    pen.box(0.1, 0, 0.5, 0.13, STONE)
    for y in (-0.4, 0.4):
        pen.ellipse(-0.6, y, 0.36, 0.38, GOLD)
        pen.ellipse(-0.6, y, 0.14, 0.15, CREAM)


def _cord(pen: Pen, colour: Colour) -> None:
    pen.line([(-1.1, 0.3), (-0.8, 0.4), *translated(arc(0.25, 0.3, 90, -270, 10), -0.45, 0.1), (0.3, 0.4)], 0.11)
    pen.polygon([(0.3, 0.16), (0.7, 0.16), (0.8, 0.4), (0.7, 0.64), (0.3, 0.64)], colour)
    for y in (0.28, 0.52):
        pen.line([(0.75, y), (1.05, y)], 0.1)


def _grille(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.8, 0.6, STONE)
    for x in (-0.48, -0.16, 0.16, 0.48):
        pen.line([(x, -0.42), (x, 0.42)], 0.14)


def _buckle(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.8, 0.62, GOLD)
    pen.box(0, 0, 0.44, 0.3, RUBBER)
    pen.line([(0, 0), (0.75, 0)], 0.14)


def _patch(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.7, -0.6), (0.65, -0.7), (0.72, 0.6), (-0.62, 0.7)], colour)
    for k in (-0.4, 0.0, 0.4):
        for x, y, across, down in ((k, -0.65, 0, 0.22), (k, 0.65, 0, 0.22), (-0.66, k, 0.22, 0), (0.68, k, 0.22, 0)):
            pen.line([(x - across, y - down), (x + across, y + down)], 0.08)


def _price_tag(pen: Pen, colour: Colour) -> None:
    pen.line([(0, -1.0), (0.05, -0.4)], 0.08)
    pen.polygon([(0, -0.65), (0.42, -0.25), (0.42, 0.9), (-0.42, 0.9), (-0.42, -0.25)], CREAM)
    pen.mark(0, -0.32, 0.1, RUBBER)
    for y in (0.15, 0.5):
        pen.line([(-0.22, y), (0.22, y)], 0.12)


def _bow_tie(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.polygon([(0, 0.0), (0.9 * side, -0.55), (1.0 * side, 0), (0.9 * side, 0.55)], CORAL)
    pen.ellipse(0, 0, 0.24, 0.26, GOLD)


def _scarf(pen: Pen, colour: Colour) -> None:
    pen.polygon([(0.66, 0), (1.0, 0.05), (1.12, 0.9), (0.76, 0.95)], colour)
    for x in (0.82, 0.94, 1.06):
        pen.line([(x, 0.9), (x + 0.02, 1.15)], 0.06)
    pen.polygon([(-1, -0.3), (0, -0.14), (1, -0.3), (1.04, 0.12), (0, 0.32), (-1.04, 0.12)], colour)
    for x in (-0.6, -0.1, 0.4):
        pen.line([(x, -0.2), (x, 0.25)], 0.1)


def _ribbon(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, -0.2), (0, -0.12), (1, -0.2), (1, 0.16), (0, 0.24), (-1, 0.16)], CORAL)
    for side in (-1, 1):
        pen.polygon([(0.4, 0.02), (0.4 + 0.34 * side, -0.3), (0.4 + 0.34 * side, 0.34)], CORAL)
    pen.ellipse(0.4, 0.02, 0.12, 0.14, GOLD)


def _fringe(pen: Pen, colour: Colour) -> None:
    pen.box(0, -0.12, 1.0, 0.08, GOLD)
    for k in range(8):
        x = -0.91 + 0.26 * k
        pen.polygon([(x - 0.06, -0.02), (x + 0.06, -0.02), (x + 0.11, 0.32), (x - 0.11, 0.32)], colour)


def _basket(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.9, -0.55), (0.9, -0.55), (0.66, 0.6), (-0.66, 0.6)], WOOD)
    for y in (-0.2, 0.2):
        pen.line([(-0.8, y), (0.8, y)], 0.09)
    for x in (-0.4, 0.0, 0.4):
        pen.line([(x * 1.2, -0.5), (x, 0.55)], 0.09)


def _smile(pen: Pen, colour: Colour) -> None:
    pen.polygon([*arc(0.8, 0.62, 0, 180), (-0.8, 0)], CORAL)
    pen.patch([(-0.5, 0.08), (0.5, 0.08), (0.44, 0.24), (-0.44, 0.24)], CREAM)


def _big_eyes(pen: Pen, colour: Colour) -> None:
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0, 0.44, 0.5, CREAM)
        pen.mark(x + 0.1, 0.05, 0.23, RUBBER)


def _sleepy_eyes(pen: Pen, colour: Colour) -> None:
    for x in (-0.52, 0.52):
        pen.line(translated(arc(0.42, 0.36, 0, 180), x, 0), 0.18)
        for lash in (-0.3, 0.0, 0.3):
            pen.line([(x + lash, 0.3 - 0.3 * abs(lash)), (x + 1.4 * lash, 0.56 - 0.4 * abs(lash))], 0.12)


def _antennae(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.line([(0.15 * side, 0.25), (0.2 * side, -0.3), (0.36 * side, -0.7), (0.6 * side, -0.95)], 0.11)
        pen.ellipse(0.62 * side, -0.98, 0.2, 0.2, colour)


def _light_beams(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.patch([(0.4 * side, -0.1), (1.3 * side, -0.5), (1.3 * side, 0.5), (0.4 * side, 0.1)], GLASS)
        for y in (-0.5, 0.0, 0.5):
            pen.line([(0.4 * side, y / 4), (1.3 * side, y)], 0.05)


def _pot(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.75, -0.4), (0.75, -0.4), (0.52, 0.9), (-0.52, 0.9)], FLAME)
    pen.box(0, -0.45, 0.9, 0.2, FLAME)


def _table_legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.8, 0.8):
        side = math.copysign(1, x)
        pen.polygon(
            [(x - 0.16, -0.5), (x + 0.16, -0.5), (x + 0.1 + 0.12 * side, 0.8), (x - 0.1 + 0.12 * side, 0.8)], WOOD
        )
    for x in (-0.4, 0.4):
        pen.polygon([(x - 0.1, -0.5), (x + 0.1, -0.5), (x + 0.07, 0.45), (x - 0.07, 0.45)], WOOD)


COMMON: dict[str, Draw] = {
    "square windows": _square_windows,
    "round windows": _round_windows,
    "arched windows": _arched_windows,
    "round wheels": _wheels,
    "a bright headlight": _headlight,
    "stacked luggage": _luggage,
    "puffs of smoke": _smoke,
    "a ringing bell": _bell,
    "a waving flag": _flag,
    "a pointed top": _pointed_top,
    "a burst of flames": _flames,
    "a tall ladder": _ladder,
    "an arched door": _arched_door,
    "a picket fence": _fence,
    "a row of buttons": _buttons,
    "a looped handle": _handle,
    "a winding key": _winding_key,
    "an electric cord": _cord,
    "a metal grille": _grille,
    "a metal buckle": _buckle,
    "a sewn patch": _patch,
    "a price tag": _price_tag,
    "a bow tie": _bow_tie,
    "a knitted scarf": _scarf,
    "a ribbon band": _ribbon,
    "a tasselled fringe": _fringe,
    "a wicker basket": _basket,
    "a smiling mouth": _smile,
    "big round eyes": _big_eyes,
    "sleepy eyes": _sleepy_eyes,
    "long antennae": _antennae,
    "beams of light": _light_beams,
    "a clay pot": _pot,
    "wooden legs": _table_legs,
}
