"""Parts of furniture, clothes, tools and instruments."""

import math

from ecor_jax.data.procedural.outlines import arc, smooth, star, translated
from ecor_jax.data.procedural.palette import CHOCOLATE, CLOUD, CORAL, CREAM, GLASS, GOLD, RUBBER, STONE, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _slats(pen: Pen, colour: Colour) -> None:
    for x in (-0.52, 0.0, 0.52):
        pen.box(x, 0, 0.13, 0.8, WOOD)


def _cushion(pen: Pen, colour: Colour) -> None:
    cushion = [(-1, -0.28), (-1, -0.28), (0, -0.22), (1, -0.28), (1, -0.28), (0.9, 0), (1, 0.28), (1, 0.28), (0, 0.22)]
    pen.polygon(smooth([*cushion, (-1, 0.28), (-1, 0.28), (-0.9, 0)]), colour)


def _armrests(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.box(0.9 * side, 0.25, 0.1, 0.35, WOOD)
        pen.tube([(0.9 * side, -0.22), (0.9 * side, -0.12)], 0.42, colour)


def _blanket(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.6, -0.9), (0.6, -0.9), (0.6, 0.7), (-0.6, 0.7)], colour)
    for y in (-0.5, -0.1, 0.3):
        pen.patch([(-0.52, y), (0.52, y), (0.52, y + 0.16), (-0.52, y + 0.16)], CREAM)
    for x in (-0.45, -0.15, 0.15, 0.45):
        pen.line([(x, 0.7), (x, 0.95)], 0.1)


def _pull_chain(pen: Pen, colour: Colour) -> None:
    pen.line([(0, -0.9), (0, 0.5)], 0.12)
    pen.ellipse(0, 0.65, 0.3, 0.32, GOLD)


def _bulb(pen: Pen, colour: Colour) -> None:
    pen.box(0, -0.05, 0.16, 0.1, STONE)
    pen.ellipse(0, 0.3, 0.3, 0.3, GLASS)
    for angle in (-90, -45, 0, 45, 90):
        pen.at(0, 0.3, 1.0, angle).line([(0, 0.42), (0, 0.6)], 0.08)


def _round_base(pen: Pen, colour: Colour) -> None:
    pen.polygon([*arc(0.9, 0.7, 180, 360), (0.9, 0.0), (0.9, 0.2), (-0.9, 0.2)], colour)


def _clock_hands(pen: Pen, colour: Colour) -> None:
    pen.line([(-0.42, -0.42), (0, 0)], 0.2)
    pen.line([(0, 0), (0.62, -0.46)], 0.14)
    pen.mark(0, 0, 0.16, RUBBER)


def _hour_marks(pen: Pen, colour: Colour) -> None:
    for k in range(12):
        cos, sin = math.cos(math.tau * k / 12), math.sin(math.tau * k / 12)
        inner = 0.74 if k % 3 else 0.64
        pen.line([(inner * cos, inner * sin), (0.94 * cos, 0.94 * sin)], 0.08)


def _twin_bells(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.2), (0, -0.35)], 0.16)
    pen.box(0, -0.42, 0.2, 0.12, RUBBER)
    for side in (-1, 1):
        bell = pen.at(0.66 * side, 0, 1.0, 35 * side)
        bell.polygon([*arc(0.48, 0.5, 180, 360), (0.48, 0.1), (-0.48, 0.1)], GOLD)


def _pendulum(pen: Pen, colour: Colour) -> None:
    pen.line([(0, -0.9), (0.2, 0.3)], 0.13)
    pen.ellipse(0.25, 0.55, 0.4, 0.4, GOLD)


def _collar(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.polygon([(0, 0.1), (0.3 * side, -0.55), (0.85 * side, -0.4), (0.62 * side, 0.6)], CREAM)


def _pocket(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.65, -0.6), (0.65, -0.6), (0.65, 0.4), (0, 0.75), (-0.65, 0.4)], colour)
    pen.line([(-0.6, -0.25), (0.6, -0.25)], 0.1)


def _coat_hanger(pen: Pen, colour: Colour) -> None:
    pen.line([(0, 0.3), (0, -0.1), *translated(arc(0.28, 0.3, 60, -180), 0, -0.4)], 0.14)
    pen.polygon([(0, 0.1), (1.0, 0.62), (1.0, 0.8), (-1.0, 0.8), (-1.0, 0.62)], WOOD)


def _cuffs(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        cuff = pen.at(0.92 * side, 0, 1.0, -30 * side)
        cuff.box(0, 0, 0.25, 0.12, CREAM)
        for x in (-0.1, 0.08):
            cuff.line([(x, -0.1), (x, 0.1)], 0.04)


def _laces(pen: Pen, colour: Colour) -> None:
    for k in range(3):
        y = -0.6 + 0.5 * k
        pen.line([(-0.4, y), (0.4, y + 0.4)], 0.14)
        pen.line([(0.4, y), (-0.4, y + 0.4)], 0.14)
    for side in (-1, 1):
        pen.ellipse(0.36 * side, -0.8, 0.32, 0.18, CREAM)


def _thick_sole(pen: Pen, colour: Colour) -> None:
    teeth = [(1.0 - 0.2 * k, 0.3 if k % 2 else 0.12) for k in range(11)]
    pen.polygon([(-1, -0.14), (1, -0.14), *teeth], RUBBER)


def _fur_trim(pen: Pen, colour: Colour) -> None:
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.ellipse(x, 0, 0.34, 0.32, CLOUD)


def _pull_loop(pen: Pen, colour: Colour) -> None:
    loop = [*arc(0.4, 0.6, 180, 360), (0.4, 0.6), (0.18, 0.6), *arc(0.18, 0.34, 360, 180), (-0.18, 0.6), (-0.4, 0.6)]
    pen.polygon(loop, colour)


def _spur(pen: Pen, colour: Colour) -> None:
    pen.line([(0.9, 0), (-0.1, 0)], 0.2)
    pen.at(-0.4, 0, 1.0).polygon(star(6, 0.62, 0.3), GOLD)


def _feather(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth([(0.1, 0.9), (-0.35, 0.3), (-0.4, -0.5), (0.0, -1.1), (0.3, -0.5), (0.35, 0.3)]), colour)
    pen.line([(0.1, 1.1), (0.0, -0.7)], 0.08)
    for y in (-0.3, 0.05, 0.4):
        pen.line([(-0.25, y - 0.15), (0.04, y + 0.05), (0.25, y - 0.15)], 0.06)


def _pompom(pen: Pen, colour: Colour) -> None:
    pen.polygon(star(11, 0.9, 0.66), CREAM)
    pen.ellipse(0, 0, 0.4, 0.4, CLOUD)


def _strings(pen: Pen, colour: Colour) -> None:
    for x in (-0.4, 0.0, 0.4):
        pen.line([(x, -4.6), (x, 1.5)], 0.06)
    pen.box(0, 1.5, 1.0, 0.3, CHOCOLATE)


def _tuning_pegs(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for y in (-0.6, 0.0, 0.6):
            pen.line([(0.2 * side, y), (0.6 * side, y)], 0.16)
            pen.ellipse(0.75 * side, y, 0.26, 0.22, GOLD)


def _sound_hole(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.9, 0.9, WOOD)
    pen.ellipse(0, 0, 0.62, 0.62, RUBBER)


def _strap(pen: Pen, colour: Colour) -> None:
    path = smooth([(0.3, -1.0), (-0.4, -0.75), (-0.72, 0.1), (-0.5, 0.8), (0.1, 1.0)], False)
    pen.tube(path, 0.18, colour)


def _notes(pen: Pen, colour: Colour) -> None:
    for x, y in ((-0.5, 0.6), (0.5, 0.4)):
        pen.line([(x + 0.2, y), (x + 0.2, y - 1.2)], 0.14)
        pen.ellipse(x, y, 0.27, 0.2, RUBBER)
    pen.polygon([(-0.3, -0.65), (0.7, -0.85), (0.7, -0.55), (-0.3, -0.35)], RUBBER)


def _claw_end(pen: Pen, colour: Colour) -> None:
    claw = [(0.6, -0.5), (0.6, -0.5), (-0.2, -0.45), (-1.0, 0.5), (-1.0, 0.5), (-0.2, 0.0), (0.6, 0.35), (0.6, 0.35)]
    pen.polygon(smooth(claw), STONE)


def _grip(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth(
            [
                (-0.3, -1),
                (-0.3, -1),
                (0.3, -1),
                (0.3, -1),
                (0.24, 0),
                (0.4, 1),
                (0.4, 1),
                (-0.4, 1),
                (-0.4, 1),
                (-0.24, 0),
            ]
        ),
        RUBBER,
    )
    for y in (-0.6, -0.2, 0.2, 0.6):
        pen.patch([(-0.2, y), (0.2, y), (0.2, y + 0.16), (-0.2, y + 0.16)], CORAL)


def _wrist_loop(pen: Pen, colour: Colour) -> None:
    pen.line(smooth([(0, -0.7), (-0.55, 0.1), (-0.3, 0.8), (0.3, 0.8), (0.55, 0.1), (0.0, -0.7)], False), 0.18)


def _nail(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.16, -0.6), (0.16, -0.6), (0.16, 0.5), (0, 1.0), (-0.16, 0.5)], STONE)
    pen.box(0, -0.7, 0.55, 0.14, STONE)


def _plank(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 1.0, 0.26, WOOD)
    for y in (-0.1, 0.08):
        pen.line([(-0.8, y), (0.0, y + 0.05), (0.7, y)], 0.05)


def _sparks(pen: Pen, colour: Colour) -> None:
    for angle, length in ((-66, 0.9), (-22, 1.1), (22, 1.1), (66, 0.9)):
        spark = pen.at(0, 0.6, 1.0, angle)
        spark.polygon(symmetric([(0, -0.3), (-0.24, -0.65), (0, -0.35 - length)]), GOLD)


HOUSEHOLD: dict[str, Draw] = {
    "a slatted back": _slats,
    "a plump cushion": _cushion,
    "padded armrests": _armrests,
    "a folded blanket": _blanket,
    "a pull chain": _pull_chain,
    "a glowing bulb": _bulb,
    "a heavy round base": _round_base,
    "long and short hands": _clock_hands,
    "hour marks": _hour_marks,
    "twin bells": _twin_bells,
    "a swinging pendulum": _pendulum,
    "a pointed collar": _collar,
    "a chest pocket": _pocket,
    "a coat hanger": _coat_hanger,
    "ribbed cuffs": _cuffs,
    "crossed laces": _laces,
    "a thick ridged sole": _thick_sole,
    "a furry trim": _fur_trim,
    "a pull loop": _pull_loop,
    "a pointed spur": _spur,
    "a long feather": _feather,
    "a fluffy pompom": _pompom,
    "taut strings": _strings,
    "tuning pegs": _tuning_pegs,
    "a round sound hole": _sound_hole,
    "a shoulder strap": _strap,
    "musical notes": _notes,
    "a split claw": _claw_end,
    "a rubber grip": _grip,
    "a wrist loop": _wrist_loop,
    "a long nail": _nail,
    "a wooden plank": _plank,
    "flying sparks": _sparks,
}
