"""Drawing functions for the parts of objects; each part is centred at its origin and spans about [-1, 1], y down."""

import math

from ecor_jax.data.procedural import palette
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, Points, symmetric

_ROW = (-0.72, 0.0, 0.72)


def _arch(top: float, across: float, bottom: float) -> Points:
    """Returns the outline of an opening with a round top; `across` is half its width."""
    vault = [(-across * math.cos(math.pi * k / 8), across * math.sin(math.pi * k / 8)) for k in range(4)]
    return symmetric([(-across, bottom), *((x, top + across - y) for x, y in vault), (0.0, top)])


def _square_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.box(x, 0, 0.28, 0.28, palette.GLASS)


def _round_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.ellipse(x, 0, 0.31, 0.31, palette.CREAM)
        pen.ellipse(x, 0, 0.19, 0.19, palette.SKY)


def _arched_windows(pen: Pen, colour: Colour) -> None:
    for x in _ROW:
        pen.at(x, 0, 1.0).polygon(_arch(-0.5, 0.22, 0.38), palette.RUBBER)


def _wheels(pen: Pen, colour: Colour) -> None:
    for x in (-0.64, 0.64):
        pen.ellipse(x, 0, 0.34, 0.34, palette.RUBBER)
        pen.ellipse(x, 0, 0.15, 0.15, palette.CREAM)


def _luggage(pen: Pen, colour: Colour) -> None:
    pen.box(-0.4, -0.28, 0.42, 0.28, palette.WOOD)
    pen.box(0.42, -0.36, 0.36, 0.36, colour)
    pen.box(-0.3, -0.78, 0.3, 0.22, palette.CORAL)
    pen.line([(0.3, -0.72), (0.3, -0.86), (0.54, -0.86), (0.54, -0.72)], 0.09)


def _smoke(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.0, 0.24, 0.42, colour)
    pen.box(0, -0.42, 0.32, 0.12, colour)
    for x, y, radius in ((0.12, -0.78, 0.2), (-0.12, -1.1, 0.28), (-0.55, -1.38, 0.36)):
        pen.ellipse(x, y, radius, radius, palette.CLOUD)


def _bell(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.6), (0, -0.75)], 0.14)
    pen.ellipse(0, 0.28, 0.2, 0.2, palette.RUBBER)
    pen.polygon(symmetric([(-0.6, 0.25), (-0.4, -0.05), (-0.34, -0.5), (0, -0.75)]), palette.GOLD)
    for side in (-1, 1):
        pen.line([(0.72 * side, -0.6), (0.9 * side, -0.25), (0.86 * side, 0.1)], 0.12)


def _sail(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.1), (0, -1.25)], 0.1)
    pen.polygon([(0.04, -1.2), (0.5, -0.88), (0.75, -0.5), (0.82, -0.1), (0.04, -0.1)], palette.CREAM)
    pen.polygon([(-0.04, -1.05), (-0.4, -0.65), (-0.58, -0.1), (-0.04, -0.1)], colour)


def _flag(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.3), (0, -1.3)], 0.13)
    top = [(0, -1.28), (0.3, -1.4), (0.6, -1.2), (0.95, -1.3)]
    bottom = [(0.95, -0.7), (0.6, -0.6), (0.3, -0.8), (0, -0.65)]
    pen.polygon(top + bottom, colour)


def _anchor(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, -0.72, 0.18, 0.18, palette.CREAM)
    pen.line([(0, -0.56), (0, 0.72)], 0.2)
    pen.line([(-0.36, -0.26), (0.36, -0.26)], 0.2)
    arms = [(0.72 * math.cos(math.pi * k / 8), 0.1 + 0.66 * math.sin(math.pi * k / 8)) for k in range(9)]
    pen.line(arms, 0.2)
    for side in (-1, 1):
        pen.line([(0.9 * side, 0.3), (0.72 * side, 0.05), (0.45 * side, 0.2)], 0.16)


def _waves(pen: Pen, colour: Colour) -> None:
    for low, paint, phase in ((0.0, palette.WATER, 0.0), (0.2, palette.SKY, math.pi)):
        crest = [(x / 16, low + 0.09 * math.sin(x * math.pi / 4 + phase)) for x in range(-16, 17)]
        pen.polygon([*crest, (1, low + 0.24), (-1, low + 0.24)], paint)


def _pointed_top(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, 0.12), (0, -1.15), (1, 0.12)], colour)


def _flames(pen: Pen, colour: Colour) -> None:
    pen.polygon(symmetric([(-0.7, -0.2), (-0.8, 0.55), (-0.45, 0.3), (0, 1.15)]), palette.FLAME)
    pen.patch(symmetric([(-0.32, -0.1), (-0.3, 0.25), (0, 0.75)]), palette.GOLD)


def _ladder(pen: Pen, colour: Colour) -> None:
    for x in (-0.26, 0.26):
        pen.box(x, 0, 0.06, 1.0, palette.WOOD)
    for y in (-0.75, -0.38, 0.0, 0.38, 0.75):
        pen.box(0, y, 0.26, 0.06, palette.WOOD)


def _arched_door(pen: Pen, colour: Colour) -> None:
    pen.polygon(_arch(-0.9, 0.52, 0.6), colour)
    pen.polygon(_arch(-0.68, 0.34, 0.6), palette.WOOD)
    pen.mark(0.16, 0.05, 0.1, palette.RUBBER)


def _fence(pen: Pen, colour: Colour) -> None:
    for y in (-0.2, 0.25):
        pen.box(0, y, 0.95, 0.07, palette.CREAM)
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.at(x, 0, 1.0).polygon(symmetric([(-0.15, 0.55), (-0.15, -0.35), (0, -0.6)]), palette.CREAM)


def _battlements(pen: Pen, colour: Colour) -> None:
    steps = [(-1.0, 0.2)]
    for left in (-1.0, -0.44, 0.12, 0.68):
        steps += [(left, -0.35), (left + 0.32, -0.35), (left + 0.32, -0.05), (left + 0.56, -0.05)]
    pen.polygon([*steps[:-2], (1.0, 0.2)], palette.STONE)


def _antennae(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.line([(0.15 * side, 0.25), (0.2 * side, -0.3), (0.36 * side, -0.7), (0.6 * side, -0.95)], 0.11)
        pen.ellipse(0.62 * side, -0.98, 0.2, 0.2, colour)


def _buttons(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 1.0, 0.36, palette.CREAM)
    for x, paint in ((-0.62, palette.CORAL), (0, palette.GOLD), (0.62, palette.LEAF)):
        pen.ellipse(x, 0, 0.22, 0.22, paint)


def _pincers(pen: Pen, colour: Colour) -> None:
    arm = [(0.6, 0.15), (1.14, -0.35), (1.3, -0.26), (0.6, 0.4)]
    claw = [(1.34, -0.9), (1.19, -0.53), (1.08, -0.86), (0.98, -0.53), (1.21, -0.2), (1.5, -0.44)]
    for side in (-1, 1):
        pen.polygon([(side * x, y) for x, y in arm], palette.STONE)
        pen.polygon([(side * x, y) for x, y in claw], colour)


def _crown(pen: Pen, colour: Colour) -> None:
    pen.polygon(symmetric([(-0.7, 0.4), (-0.85, -0.5), (-0.36, 0), (0, -0.7)]), palette.GOLD)
    for x, y in ((-0.85, -0.52), (0, -0.72), (0.85, -0.52)):
        pen.ellipse(x, y, 0.15, 0.15, palette.CORAL)


def _spout(pen: Pen, colour: Colour) -> None:
    upper = [(-0.5, -0.1), (-0.1, 0.05), (0.14, -0.12), (0.3, -0.5), (0.48, -0.92)]
    lower = [(0.98, -0.8), (0.78, -0.3), (0.6, 0.1), (0.3, 0.42), (-0.1, 0.56), (-0.5, 0.55)]
    pen.polygon(upper + lower, colour)


def _handle(pen: Pen, colour: Colour) -> None:
    arc = [(-math.sin(math.pi * k / 10), -math.cos(math.pi * k / 10)) for k in range(11)]
    outer, inner = [(0.9 * u, 0.8 * v) for u, v in arc], [(0.5 * u, 0.44 * v) for u, v in reversed(arc)]
    pen.polygon(outer + inner, colour)


def _lid(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, -0.55, 0.2, 0.2, palette.GOLD)
    pen.polygon(symmetric([(-0.8, 0.25), (-0.6, -0.15), (-0.25, -0.34), (0, -0.38)]), colour)


def _big_eyes(pen: Pen, colour: Colour) -> None:
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0, 0.44, 0.5, palette.CREAM)
        pen.mark(x + 0.1, 0.05, 0.23, palette.RUBBER)


def _sleepy_eyes(pen: Pen, colour: Colour) -> None:
    lid = [(0.42 * math.cos(math.pi * k / 8), 0.36 * math.sin(math.pi * k / 8)) for k in range(9)]
    for x in (-0.52, 0.52):
        pen.at(x, 0, 1.0).line(lid, 0.18)
        pen.ellipse(x * 1.5, 0.55, 0.22, 0.14, palette.ROSE)


def _wings(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for turn, length in ((14, 0.52), (40, 0.6), (66, 0.6)):
            feather = pen.at(0.62 * side, 0, 1.0, -side * turn)
            feather.ellipse(side * length, 0, length, 0.2, colour)


def _beak(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.4, -0.5), (0.35, -0.32), (1.0, 0.1), (-0.4, 0.12)], palette.GOLD)
    pen.polygon([(-0.4, 0.12), (0.7, 0.1), (-0.1, 0.5), (-0.4, 0.45)], palette.FLAME)


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
        pen.ellipse(x, y, radius, radius, palette.SKY)
        pen.patch([(x - radius / 2, y), (x, y - radius / 2), (x - radius / 5, y)], palette.CREAM)


def _foot(pen: Pen, colour: Colour) -> None:
    head = [(0.6, -0.05), (0.8, -0.42), (0.98, -0.6), (1.15, -0.58), (1.3, -0.3), (1.22, 0.1), (0.95, 0.3)]
    pen.polygon([(-1.3, 0.3), (-0.8, 0.0), *head], palette.SLIME)


def _leaf(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 1.0), (0, -0.5)], 0.13)
    pen.polygon(symmetric([(0, 0.6), (-0.42, 0.3), (-0.5, -0.2), (-0.28, -0.7), (0, -1)]), palette.LEAF)
    pen.line([(0, 0.6), (0, -0.7)], 0.1)
    pen.line([(-0.28, -0.15), (0, 0.15), (0.28, -0.15)], 0.1)


def _grass(pen: Pen, colour: Colour) -> None:
    for base in (-0.55, 0.55):
        for lean, height in ((-0.5, 0.6), (0.5, 0.6), (-0.16, 1.0), (0.22, 0.9)):
            pen.polygon([(base - 0.16, 0.4), (base + lean, 0.4 - height), (base + 0.16, 0.4)], palette.LEAF)


def _ivy(pen: Pen, colour: Colour) -> None:
    pen.line([(0.1, 1), (-0.08, 0.5), (0.1, 0), (-0.08, -0.5), (0.06, -1)], 0.1)
    for k in range(7):
        side = 1 if k % 2 else -1
        pen.at(0.2 * side, 0.85 - 0.3 * k, 1.0, 30.0 * side).ellipse(0, 0, 0.24, 0.15, palette.LEAF)


PARTS: dict[str, Draw] = {
    "square windows": _square_windows,
    "round windows": _round_windows,
    "arched windows": _arched_windows,
    "round wheels": _wheels,
    "stacked luggage": _luggage,
    "puffs of smoke": _smoke,
    "a ringing bell": _bell,
    "a billowing sail": _sail,
    "a waving flag": _flag,
    "a heavy anchor": _anchor,
    "splashing waves": _waves,
    "a pointed top": _pointed_top,
    "a burst of flames": _flames,
    "a tall ladder": _ladder,
    "an arched door": _arched_door,
    "a picket fence": _fence,
    "stone battlements": _battlements,
    "long antennae": _antennae,
    "a row of buttons": _buttons,
    "pincer arms": _pincers,
    "a tiny crown": _crown,
    "a curved spout": _spout,
    "a looped handle": _handle,
    "a round lid": _lid,
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
"""The drawing function of each part, keyed by its rationale."""
