"""Parts of mammals, and of what they wear and hold."""

from ecor_jax.data.procedural.outlines import arc, smooth, smooth_symmetric, translated
from ecor_jax.data.procedural.palette import (
    BLUSH,
    CHOCOLATE,
    CORAL,
    CREAM,
    FLAME,
    GOLD,
    LEAF,
    ROSE,
    RUBBER,
    SLIME,
    WATER,
)
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _pointed_ears(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.polygon([(0.25 * side, 0.3), (0.92 * side, -0.9), (1.0 * side, 0.65)], colour)
        pen.patch([(0.5 * side, 0.15), (0.84 * side, -0.45), (0.86 * side, 0.35)], ROSE)


def _whiskers(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for y in (-0.3, 0.0, 0.3):
            pen.line([(0.3 * side, 0.4 * y), (1.2 * side, y)], 0.06)
    pen.polygon([(-0.2, -0.16), (0.2, -0.16), (0, 0.12)], ROSE)


def _curled_tail(pen: Pen, colour: Colour) -> None:
    pen.tube(
        smooth([(0.3, 0.8), (-0.5, 0.7), (-0.8, 0.1), (-0.4, -0.3), (-0.5, -0.8), (-0.95, -0.9)], False), 0.3, colour
    )


def _yarn(pen: Pen, colour: Colour) -> None:
    pen.line(smooth([(0.5, 0.6), (1.0, 0.75), (1.4, 0.6)], False), 0.1)
    pen.ellipse(0, 0, 0.85, 0.85, CORAL)
    for angle in (20, 70, 130):
        pen.at(0, 0, 1.0, angle).line(arc(0.75, 0.3, 10, 170), 0.08)


def _bell_collar(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, -0.3), (0, -0.05), (1, -0.3), (1, 0.05), (0, 0.3), (-1, 0.05)], CORAL)
    pen.ellipse(0, 0.42, 0.34, 0.34, GOLD)
    pen.line([(-0.2, 0.5), (0.2, 0.5)], 0.1)


def _long_ears(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        ear = pen.at(0.38 * side, 0.1, 1.0, 12 * side)
        ear.ellipse(0, -0.35, 0.27, 0.85, colour)
        ear.ellipse(0, -0.3, 0.12, 0.55, ROSE)


def _buck_teeth(pen: Pen, colour: Colour) -> None:
    pen.line(translated(arc(0.8, 0.3, 0, 180), 0, -0.5), 0.14)
    for x in (-0.27, 0.27):
        pen.box(x, 0.2, 0.27, 0.5, CREAM)


def _carrot(pen: Pen, colour: Colour) -> None:
    for turn in (-25, 0, 25):
        pen.at(0, -0.6, 1.0, turn).ellipse(0, -0.35, 0.13, 0.36, LEAF)
    pen.polygon(symmetric([(-0.36, -0.6), (-0.3, -0.1), (0, 1.1)]), FLAME)
    for x, y in ((-0.2, -0.3), (0.15, 0.0), (-0.1, 0.3)):
        pen.line([(x - 0.06, y), (x + 0.14, y)], 0.08)


def _paws(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.ellipse(0.62 * side, 0, 0.52, 0.36, CREAM)
        for x in (-0.18, 0.18):
            pen.line([(0.62 * side + x, 0.02), (0.62 * side + x, 0.3)], 0.09)


def _trunk(pen: Pen, colour: Colour) -> None:
    pen.tube(smooth([(-0.3, -0.9), (0.2, -0.4), (0.25, 0.3), (0.45, 0.75), (0.95, 0.6)], False), 0.42, colour)
    for x, y in ((0.2, -0.25), (0.22, 0.05), (0.28, 0.35)):
        pen.line([(x - 0.16, y), (x + 0.14, y - 0.03)], 0.07)


def _big_ear(pen: Pen, colour: Colour) -> None:
    ear = [(0.5, -0.8), (-0.1, -0.95), (-0.75, -0.6), (-0.85, 0.1), (-0.4, 0.9), (0.0, 0.6), (0.45, 0.3)]
    pen.polygon(smooth(ear), colour)
    pen.patch(smooth([(0.6 * x, 0.6 * y) for x, y in ear]), BLUSH)


def _tusk(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth(
            [(-0.6, -0.5), (-0.6, -0.5), (-0.1, 0.15), (0.9, 0.1), (0.9, 0.1), (0.1, 0.6), (-0.9, 0.0), (-0.9, 0.0)]
        ),
        CREAM,
    )


def _stout_legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.98, -0.66, 0.66, 0.98):
        pen.box(x, 0.1, 0.19, 0.7, colour)
        pen.box(x, 0.7, 0.21, 0.12, CREAM)


def _tufted_tail(pen: Pen, colour: Colour) -> None:
    pen.line(smooth([(0.5, -0.7), (-0.1, -0.5), (-0.35, 0.2)], False), 0.14)
    pen.polygon([(-0.35, 0.15), (-0.62, 0.7), (-0.35, 1.1), (-0.1, 0.7)], RUBBER)


def _saddle_cloth(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.7, -0.8), (0.7, -0.8), (0.85, 0.6), (-0.85, 0.6)], CORAL)
    pen.polygon([(0, -0.5), (0.4, -0.05), (0, 0.4), (-0.4, -0.05)], GOLD)
    for x in (-0.7, -0.35, 0.0, 0.35, 0.7):
        pen.line([(x, 0.6), (x, 0.85)], 0.12)


def _water_jet(pen: Pen, colour: Colour) -> None:
    for angle in (-50, 0, 50):
        jet = pen.at(0, 0.8, 1.0, angle)
        jet.polygon(symmetric([(0, 0), (-0.26, -1.0), (-0.2, -1.35), (0, -1.5)]), WATER)


def _mane(pen: Pen, colour: Colour) -> None:
    teeth = [(0.28 if k % 2 else -0.3, -1 + 0.2 * k) for k in range(11)]
    pen.polygon([*teeth, (0.4, 1.0), (0.4, -1.0)], CHOCOLATE)


def _knobbed_horns(pen: Pen, colour: Colour) -> None:
    for x in (-0.4, 0.35):
        pen.tube([(x + 0.1, 0.7), (x, -0.3)], 0.24, SLIME)
        pen.ellipse(x, -0.5, 0.36, 0.34, CHOCOLATE)


def _long_legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.8, -0.52, 0.46, 0.74):
        pen.polygon([(x - 0.11, -0.95), (x + 0.11, -0.95), (x + 0.08, 0.85), (x - 0.08, 0.85)], colour)
        pen.box(x + 0.01, 0.86, 0.11, 0.1, RUBBER)


def _curved_horns(pen: Pen, colour: Colour) -> None:
    horn = [
        (0.3, 0.4),
        (0.3, 0.4),
        (0.8, 0.2),
        (0.85, -0.7),
        (0.85, -0.7),
        (1.2, 0.1),
        (0.9, 0.6),
        (0.3, 0.75),
        (0.3, 0.75),
    ]
    for side in (-1, 1):
        pen.polygon(smooth([(side * x, y) for x, y in horn]), CREAM)


def _udder(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth_symmetric([(0, -0.5), (-0.8, -0.4), (-0.7, 0.3), (0, 0.45)]), ROSE)
    for x in (-0.42, 0.0, 0.42):
        pen.tube([(x, 0.3), (x, 0.68)], 0.2, ROSE)


def _muzzle(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.8, 0.55, BLUSH)
    for x in (-0.3, 0.3):
        pen.mark(x, -0.08, 0.14, CHOCOLATE)
    pen.line([(-0.3, 0.25), (0.3, 0.25)], 0.1)


MAMMALS: dict[str, Draw] = {
    "pointed ears": _pointed_ears,
    "long whiskers": _whiskers,
    "a long curled tail": _curled_tail,
    "a ball of yarn": _yarn,
    "a collar with a bell": _bell_collar,
    "long upright ears": _long_ears,
    "two buck teeth": _buck_teeth,
    "a crunchy carrot": _carrot,
    "furry paws": _paws,
    "a long trunk": _trunk,
    "a big flapping ear": _big_ear,
    "a white tusk": _tusk,
    "stout legs": _stout_legs,
    "a thin tufted tail": _tufted_tail,
    "an ornate saddle cloth": _saddle_cloth,
    "a spray of water": _water_jet,
    "a bristly mane": _mane,
    "small knobbed horns": _knobbed_horns,
    "four long legs": _long_legs,
    "curved horns": _curved_horns,
    "a pink udder": _udder,
    "a pink muzzle": _muzzle,
}
