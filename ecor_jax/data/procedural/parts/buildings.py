"""Parts of buildings and trees."""

from ecor_jax.data.procedural.palette import CORAL, CREAM, GOLD, LEAF, RUBBER, SAND, STONE, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen


def _tiled_roof(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, 0.5), (0, -0.5), (1, 0.5)], colour)
    for y in (-0.12, 0.14):
        pen.line([(-0.62 - y, y), (0.62 + y, y)], 0.05)
    for x, y in ((-0.25, 0.16), (0.25, 0.16), (0, -0.1), (-0.55, 0.4), (0.0, 0.4), (0.55, 0.4)):
        pen.line([(x, y - 0.02), (x, y + 0.1)], 0.05)


def _ivy(pen: Pen, colour: Colour) -> None:
    pen.line([(0.1, 1), (-0.08, 0.5), (0.1, 0), (-0.08, -0.5), (0.06, -1)], 0.1)
    for k in range(7):
        side = 1 if k % 2 else -1
        pen.at(0.2 * side, 0.85 - 0.3 * k, 1.0, 30.0 * side).ellipse(0, 0, 0.24, 0.15, LEAF)


def _mailbox(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.5, 0.12, 0.5, WOOD)
    pen.polygon([(-0.6, 0.1), (-0.6, -0.35), (-0.4, -0.6), (0.4, -0.6), (0.6, -0.35), (0.6, 0.1)], CORAL)
    pen.line([(-0.3, -0.25), (0.3, -0.25)], 0.14)


def _battlements(pen: Pen, colour: Colour) -> None:
    for x, y, across in ((0, 0.62, 0.6), (-0.88, 0.0, 0.34), (0.88, 0.0, 0.34)):
        step = across / 2.5
        teeth = [(x - across, y + 0.2)]
        for k in (-2.5, -0.5, 1.5):
            left = x + k * step
            teeth += [(left, y - 0.2), (left + step, y - 0.2), (left + step, y), (left + 2 * step, y)]
        pen.polygon([*teeth[:-2], (x + across, y + 0.2)], STONE)


def _pointed_towers(pen: Pen, colour: Colour) -> None:
    for x in (-0.88, 0.88):
        pen.polygon([(x - 0.42, 0.16), (x, -1.0), (x + 0.42, 0.16)], colour)


def _drawbridge(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.5, -0.6), (0.5, -0.6), (0.72, 0.9), (-0.72, 0.9)], WOOD)
    for k in range(4):
        y = -0.25 + 0.32 * k
        pen.line([(-0.53 - 0.04 * k, y), (0.53 + 0.04 * k, y)], 0.08)
    for side in (-1, 1):
        pen.line([(0.5 * side, -1.0), (0.66 * side, 0.7)], 0.07)


def _lattice_sails(pen: Pen, colour: Colour) -> None:
    for turn in (45, 135, 225, 315):
        sail = pen.at(0, 0, 1.0, turn)
        sail.line([(0, 0), (1.0, 0)], 0.07)
        sail.box(0.64, 0.12, 0.36, 0.13, CREAM)
        for x in (0.46, 0.64, 0.82):
            sail.line([(x, 0), (x, 0.24)], 0.04)
    pen.ellipse(0, 0, 0.1, 0.1, RUBBER)


def _thatch(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, 0.5), (-0.8, -0.2), (-0.3, -0.6), (0.3, -0.6), (0.8, -0.2), (1, 0.5)], GOLD)
    for x in (-0.6, -0.2, 0.2, 0.6):
        pen.line([(x * 0.7, -0.2), (x, 0.4)], 0.09)


def _balcony(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.26, 1.0, 0.08, WOOD)
    pen.line([(-0.95, -0.22), (0.95, -0.22)], 0.08)
    for k in range(7):
        x = -0.93 + 0.31 * k
        pen.line([(x, -0.2), (x, 0.2)], 0.07)


def _flour_sacks(pen: Pen, colour: Colour) -> None:
    for x, y in ((-0.45, 0.1), (0.45, 0.1), (0, -0.75)):
        sack = pen.at(x, y, 1.0)
        sack.polygon([(-0.2, -0.4), (0.2, -0.4), (0.45, 0.0), (0.42, 0.5), (-0.42, 0.5), (-0.45, 0.0)], SAND)
        sack.line([(-0.22, -0.2), (0.22, -0.2)], 0.12)


def _gallery(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.4, 1.0, 0.14, STONE)
    for y in (-0.3, 0.05):
        pen.line([(-1, y), (1, y)], 0.1)
    for x in (-1.0, -0.5, 0.0, 0.5, 1.0):
        pen.line([(x, -0.3), (x, 0.3)], 0.1)


def _canvas_flaps(pen: Pen, colour: Colour) -> None:
    pen.polygon([(0, -1.0), (0.62, 0.9), (-0.62, 0.9)], RUBBER)
    for side in (-1, 1):
        pen.polygon([(0, -1.0), (0.62 * side, 0.9), (0.95 * side, 0.9), (0.7 * side, 0.1)], CREAM)


def _guy_ropes(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for x in (0.36, 0.52):
            pen.line([(x * side, 0.0), ((x + 0.42) * side, 0.6)], 0.04)
            pen.box((x + 0.4) * side, 0.56, 0.05, 0.1, WOOD)


def _swing(pen: Pen, colour: Colour) -> None:
    for x in (-0.4, 0.4):
        pen.line([(x, -1.0), (x, 0.6)], 0.08)
    pen.box(0, 0.66, 0.62, 0.13, WOOD)


def _nest(pen: Pen, colour: Colour) -> None:
    for x in (-0.36, 0.0, 0.36):
        pen.ellipse(x, -0.25, 0.24, 0.32, CREAM)
    pen.polygon([(-0.95, -0.15), (0.95, -0.15), (0.6, 0.5), (-0.6, 0.5)], WOOD)
    for x in (-0.5, -0.1, 0.3):
        pen.line([(x, -0.05), (x + 0.25, 0.4)], 0.08)


def _hollow(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.55, 0.8, RUBBER)
    for side in (-1, 1):
        pen.mark(0.2 * side, -0.1, 0.15, GOLD)


BUILDINGS: dict[str, Draw] = {
    "a tiled roof": _tiled_roof,
    "climbing ivy": _ivy,
    "a red mailbox": _mailbox,
    "stone battlements": _battlements,
    "pointed towers": _pointed_towers,
    "a lowered drawbridge": _drawbridge,
    "lattice sails": _lattice_sails,
    "a thatched cap": _thatch,
    "a wooden balcony": _balcony,
    "sacks of flour": _flour_sacks,
    "a railed gallery": _gallery,
    "open canvas flaps": _canvas_flaps,
    "guy ropes and pegs": _guy_ropes,
    "a hanging swing": _swing,
    "a nest of eggs": _nest,
    "a hollow in the trunk": _hollow,
}
