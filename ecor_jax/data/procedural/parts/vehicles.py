"""Parts of vehicles and of the robot."""

import math

from ecor_jax.data.procedural.outlines import arc, smooth, translated
from ecor_jax.data.procedural.palette import CORAL, CREAM, GLASS, GOLD, LEAF, RUBBER, SKY, STONE, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen


def _folding_door(pen: Pen, colour: Colour) -> None:
    for x in (-0.24, 0.24):
        pen.box(x, 0, 0.24, 1.0, CREAM)
        pen.box(x, -0.3, 0.1, 0.45, SKY)


def _numbered_sign(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 1.0, 0.6, RUBBER)
    pen.box(0, 0, 0.84, 0.44, GLASS)
    pen.line([(-0.45, -0.2), (-0.3, -0.3), (-0.3, 0.3)], 0.14)
    pen.line([(0.1, -0.28), (0.45, -0.28), (0.2, 0.3)], 0.14)


def _coal(pen: Pen, colour: Colour) -> None:
    for x, y, radius in ((-0.45, -0.42, 0.32), (0.1, -0.6, 0.36), (0.5, -0.4, 0.3)):
        pen.polygon([(x + radius * u, y + radius * v) for u, v in arc(1, 1, 10, 310, 5)], RUBBER)
    pen.box(0, 0.05, 0.9, 0.4, colour)
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0.62, 0.26, 0.26, RUBBER)


def _plough(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.3, -0.5), (0.1, -0.5), (1.0, 0.6), (-0.3, 0.6)], STONE)
    for x in (0.0, 0.35):
        pen.line([(x * 0.4, -0.4), (x * 1.8, 0.5)], 0.1)


def _sail(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.1), (0, -1.25)], 0.1)
    pen.polygon([(0.04, -1.2), (0.5, -0.88), (0.75, -0.5), (0.82, -0.1), (0.04, -0.1)], CREAM)
    pen.polygon([(-0.04, -1.05), (-0.4, -0.65), (-0.58, -0.1), (-0.04, -0.1)], colour)


def _anchor(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, -0.72, 0.18, 0.18, CREAM)
    pen.line([(0, -0.56), (0, 0.72)], 0.2)
    pen.line([(-0.36, -0.26), (0.36, -0.26)], 0.2)
    pen.line(translated(arc(0.72, 0.66, 0, 180), 0, 0.1), 0.2)
    for side in (-1, 1):
        pen.line([(0.9 * side, 0.3), (0.72 * side, 0.05), (0.45 * side, 0.2)], 0.16)


def _oar(pen: Pen, colour: Colour) -> None:
    pen.tube([(0, -1.0), (0, 0.5)], 0.14, WOOD)
    pen.polygon(smooth([(-0.12, 0.4), (0.12, 0.4), (0.28, 0.8), (0.2, 1.2), (-0.2, 1.2), (-0.28, 0.8)]), WOOD)


def _life_ring(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.9, 0.9, CREAM)
    for turn in (0, 90, 180, 270):
        pen.polygon([*arc(0.9, 0.9, turn, turn + 45, 3), *arc(0.42, 0.42, turn + 45, turn, 3)], CORAL)
    pen.ellipse(0, 0, 0.42, 0.42, SKY)


def _fins(pen: Pen, colour: Colour) -> None:
    fin = [(0.7, -0.32), (1.1, -0.35), (1.42, -0.16), (1.6, 0.14), (1.7, 0.55), (1.4, 0.36), (0.7, 0.4)]
    for side in (-1, 1):
        pen.polygon([(side * x, y) for x, y in fin], colour)


def _boosters(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.polygon(smooth([(side * x, y) for x, y in _BOOSTER]), CREAM)
        pen.polygon([(side * x, y) for x, y in ((0.85, 0.62), (1.25, 0.62), (1.4, 1.0), (0.7, 1.0))], STONE)


_BOOSTER = [(0.7, 0.6), (0.7, -0.3), (1.05, -0.9), (1.4, -0.3), (1.4, 0.6), (1.4, 0.6), (0.7, 0.6)]


def _spokes(pen: Pen, colour: Colour) -> None:
    for x in (-1, 1):
        for k in range(4):
            cos, sin = 0.56 * math.cos(math.pi * k / 4), 0.56 * math.sin(math.pi * k / 4)
            pen.line([(x - cos, -sin), (x + cos, sin)], 0.03)
        pen.ellipse(x, 0, 0.12, 0.12, GOLD)


def _handlebars(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.4), (-0.15, -0.5)], 0.16)
    pen.line([(-0.7, -0.55), (-0.2, -0.5), (0.35, -0.6), (0.6, -0.25), (0.3, 0.1)], 0.2)
    pen.tube([(-0.55, -0.55), (-0.95, -0.55)], 0.22, colour)


def _saddle(pen: Pen, colour: Colour) -> None:
    pen.line([(0.0, 0.7), (-0.05, 0.0)], 0.2)
    pen.polygon(
        smooth([(-1, -0.3), (-0.3, -0.22), (0.7, -0.25), (0.95, -0.05), (0.2, 0.12), (-0.5, 0.35), (-1, 0.2)]), WOOD
    )


def _pedals(pen: Pen, colour: Colour) -> None:
    pen.line([(0.0, -0.34), (-1.6, -0.12), (-1.6, 0.12), (0.0, 0.34)], 0.08)
    pen.ellipse(0, 0, 0.42, 0.42, STONE)
    pen.line([(-0.35, 0.75), (0.35, -0.75)], 0.14)
    pen.box(-0.4, 0.85, 0.32, 0.12, colour)
    pen.box(0.4, -0.85, 0.32, 0.12, colour)


def _swept_wings(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.3, -0.2), (0.36, -0.2), (-0.45, 0.95), (-0.85, 0.95)], colour)
    pen.line([(-0.28, 0.3), (-0.6, 0.75)], 0.06)


def _tail_fin(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.9, -0.95), (-0.35, -0.95), (0.6, 0.35), (-0.6, 0.35)], colour)
    pen.polygon([(-1.0, 0.3), (-0.4, 0.1), (0.3, 0.4), (-0.7, 0.62)], colour)


def _propeller(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.ellipse(0, 0.55 * side, 0.17, 0.5, GOLD)
    pen.ellipse(0, 0, 0.2, 0.2, RUBBER)


def _cockpit(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth([(-0.8, 0.55), (-0.8, 0.55), (-0.7, -0.4), (0.0, -0.6), (0.7, 0.0), (0.9, 0.55), (0.9, 0.55)]), SKY
    )
    pen.line([(-0.05, -0.55), (0.05, 0.5)], 0.1)


def _rotor(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.5), (0, 0)], 0.12)
    for side in (-1, 1):
        pen.polygon([(0.05 * side, -0.06), (1.1 * side, -0.14), (1.1 * side, 0.05), (0.05 * side, 0.06)], STONE)
    pen.ellipse(0, 0, 0.14, 0.12, RUBBER)


def _tail_rotor(pen: Pen, colour: Colour) -> None:
    for turn in (45, 135):
        pen.at(0, 0, 1.0, turn).ellipse(0, 0, 0.95, 0.2, colour)
    pen.ellipse(0, 0, 0.2, 0.2, RUBBER)


def _skids(pen: Pen, colour: Colour) -> None:
    for x in (-0.45, 0.45):
        pen.line([(x * 0.8, -0.4), (x, 0.2)], 0.1)
    pen.line([(-0.95, 0.2), (0.85, 0.2), (1.05, 0.02)], 0.14)


def _red_cross(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.9, 0.9, CREAM)
    arm = [(-0.2, -0.55), (0.2, -0.55), (0.2, -0.2), (0.55, -0.2), (0.55, 0.2), (0.2, 0.2)]
    pen.patch([*arm, *((-x, -y) for x, y in arm)], CORAL)


def _rope_ladder(pen: Pen, colour: Colour) -> None:
    for x in (-0.28, 0.28):
        pen.line([(x, -1.0), (x + 0.06, -0.3), (x - 0.06, 0.4), (x, 1.0)], 0.07)
    for y in (-0.6, -0.1, 0.4, 0.9):
        pen.box(0, y, 0.4, 0.07, WOOD)


def _tractor_wheels(pen: Pen, colour: Colour) -> None:
    for x, y, radius in ((-0.45, 0.0, 0.46), (0.62, 0.18, 0.28)):
        pen.ellipse(x, y, radius, radius, RUBBER)
        pen.ellipse(x, y, radius * 0.55, radius * 0.55, GOLD)
        pen.ellipse(x, y, radius * 0.2, radius * 0.2, RUBBER)


def _exhaust(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.16, 0.8, STONE)
    pen.box(0, -0.1, 0.28, 0.36, RUBBER)
    pen.polygon([(-0.16, -0.8), (0.16, -0.8), (-0.1, -1.2), (-0.42, -1.1)], STONE)


def _hay_bale(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.9, 0.9, GOLD)
    pen.line([(0.06 * k * math.cos(k * 0.7), 0.06 * k * math.sin(k * 0.7)) for k in range(13)], 0.09)


def _pincers(pen: Pen, colour: Colour) -> None:
    arm = [(0.6, 0.15), (1.14, -0.35), (1.3, -0.26), (0.6, 0.4)]
    claw = [(1.34, -0.9), (1.19, -0.53), (1.08, -0.86), (0.98, -0.53), (1.21, -0.2), (1.5, -0.44)]
    for side in (-1, 1):
        pen.polygon([(side * x, y) for x, y in arm], STONE)
        pen.polygon([(side * x, y) for x, y in claw], colour)


def _screen(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.95, 0.6, RUBBER)
    pen.box(0, 0, 0.75, 0.42, LEAF)
    pen.line([(-0.7, 0.05), (-0.3, 0.05), (-0.1, -0.28), (0.15, 0.3), (0.3, 0.05), (0.7, 0.05)], 0.08)


VEHICLES: dict[str, Draw] = {
    "a folding door": _folding_door,
    "a numbered sign": _numbered_sign,
    "a pile of coal": _coal,
    "a wedge plough": _plough,
    "a billowing sail": _sail,
    "a heavy anchor": _anchor,
    "a wooden oar": _oar,
    "a life ring": _life_ring,
    "curved fins": _fins,
    "side boosters": _boosters,
    "thin spokes": _spokes,
    "bent handlebars": _handlebars,
    "a padded saddle": _saddle,
    "pedals and a chain": _pedals,
    "swept wings": _swept_wings,
    "an upright tail fin": _tail_fin,
    "a spinning propeller": _propeller,
    "a glass cockpit": _cockpit,
    "long rotor blades": _rotor,
    "a tail rotor": _tail_rotor,
    "landing skids": _skids,
    "a red cross": _red_cross,
    "a rope ladder": _rope_ladder,
    "big and small wheels": _tractor_wheels,
    "a tall exhaust pipe": _exhaust,
    "a bale of hay": _hay_bale,
    "pincer arms": _pincers,
    "a screen with a wave": _screen,
}
