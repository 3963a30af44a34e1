"""Parts of birds, fish, turtles, snails, crabs and butterflies."""

from ecor_jax.data.procedural.outlines import arc, smooth, smooth_symmetric, translated
from ecor_jax.data.procedural.palette import CREAM, FLAME, GOLD, LEAF, ROSE, RUBBER, SLIME, WATER, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _wings(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for turn, length in ((50, 0.5), (70, 0.6), (90, 0.6)):
            feather = pen.at(0.3 * side, 0, 1.0, -side * turn)
            feather.ellipse(side * length, 0, length, 0.2, colour)


def _beak(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.4, -0.5), (0.35, -0.32), (1.0, 0.1), (-0.4, 0.12)], GOLD)
    pen.polygon([(-0.4, 0.12), (0.7, 0.1), (-0.1, 0.5), (-0.4, 0.45)], FLAME)


def _crest(pen: Pen, colour: Colour) -> None:
    for turn, length in ((-50, 0.6), (-15, 0.75), (20, 0.65)):
        pen.at(0, 0.4, 1.0, turn).ellipse(0, -length, 0.2, length, colour)


def _branch(pen: Pen, colour: Colour) -> None:
    pen.tube([(-1.1, 0.1), (-0.3, 0.0), (0.5, 0.08), (1.1, -0.05)], 0.16, WOOD)
    for x, y, angle in ((-0.8, 0.3, 20), (0.7, 0.34, -25), (1.0, -0.3, 200)):
        pen.at(x, y, 1.0, angle).polygon(symmetric([(0, 0.34), (-0.2, 0.1), (-0.14, -0.15), (0, -0.3)]), LEAF)


def _fanned_tail(pen: Pen, colour: Colour) -> None:
    for angle in (40, -40, 20, -20, 0):
        pen.at(0.3, 0, 1.0, angle).ellipse(-0.6, 0, 0.58, 0.17, colour)


def _thin_legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.34, 0.34):
        pen.line([(x, -0.2), (x + 0.05, 0.85)], 0.13)
        pen.line([(x - 0.2, 0.98), (x + 0.05, 0.8), (x + 0.34, 0.98)], 0.13)


def _spiny_back(pen: Pen, colour: Colour) -> None:
    crest = [(-0.95, 0.3), (-0.9, -0.35), (-0.6, 0.0), (-0.45, -0.7), (-0.15, -0.15), (0.05, -0.85), (0.3, -0.15)]
    pen.polygon([*crest, (0.6, -0.6), (0.95, 0.3)], colour)


def _stalk_eyes(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.tube([(0.3 * side, 0.7), (0.45 * side, -0.3)], 0.16, SLIME)
        pen.ellipse(0.5 * side, -0.55, 0.36, 0.38, CREAM)
        pen.mark(0.5 * side + 0.08, -0.52, 0.17, RUBBER)


def _slime_trail(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth([(-1, -0.1), (-0.5, -0.2), (0.2, -0.05), (1, -0.25), (1.1, 0.15), (0.3, 0.2), (-0.4, 0.12)]), WATER
    )
    for x, y in ((-0.6, -0.03), (0.1, 0.06), (0.7, -0.03)):
        pen.patch(translated(arc(0.16, 0.06, 0, 360), x, y), CREAM)


def _pointed_tail(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth([(0.8, -0.4), (0.8, -0.4), (0.1, -0.2), (-1.0, 0.35), (-1.0, 0.35), (0.1, 0.5), (0.8, 0.4), (0.8, 0.4)]),
        colour,
    )


def _flippers(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        flipper = [(0.55, -0.5), (1.0, -0.3), (1.35, 0.5), (1.15, 0.7), (0.75, 0.3), (0.55, 0.1)]
        pen.polygon(smooth([(side * x, y) for x, y in flipper]), colour)


def _stubby_legs(pen: Pen, colour: Colour) -> None:
    for x in (-0.62, 0.62):
        pen.polygon(
            smooth(
                [(x - 0.3, -0.5), (x + 0.3, -0.5), (x + 0.26, 0.4), (x + 0.26, 0.5), (x - 0.3, 0.5), (x - 0.3, 0.4)]
            ),
            colour,
        )
        for k in (-0.14, 0.06):
            pen.line([(x + k, 0.3), (x + k, 0.46)], 0.08)


def _white_belly(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth_symmetric([(0, -0.95), (-0.5, -0.7), (-0.78, 0.1), (-0.5, 0.85), (0, 1.0)]), CREAM)


def _webbed_feet(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        foot = [
            (0.1, 0.3),
            (0.25, 0.05),
            (0.55, -0.35),
            (0.85, 0.05),
            (1.05, 0.3),
            (0.8, 0.26),
            (0.57, 0.4),
            (0.3, 0.26),
        ]
        pen.polygon([(side * x, y) for x, y in foot], FLAME)


def _eyespots(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.ellipse(0.62 * side, -0.45, 0.32, 0.32, GOLD)
        pen.ellipse(0.62 * side, -0.45, 0.15, 0.15, RUBBER)


def _wing_tails(pen: Pen, colour: Colour) -> None:
    tail = [(0.3, -0.5), (0.3, -0.5), (0.45, 0.2), (0.75, 0.9), (1.0, 0.75), (0.8, 0.1), (0.75, -0.5), (0.75, -0.5)]
    for side in (-1, 1):
        pen.polygon(smooth([(side * x, y) for x, y in tail]), colour)


def _wing_dots(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for x, y in ((0.8, -0.34), (0.92, -0.02), (0.84, 0.3)):
            pen.ellipse(x * side, y, 0.14, 0.14, CREAM)


def _claws(pen: Pen, colour: Colour) -> None:
    claw = arc(0.44, 0.5, -40, 230, 9)
    for side in (-1, 1):
        pen.tube([(0.62 * side, 0.6), (0.95 * side, 0.2), (0.9 * side, -0.1)], 0.24, colour)
        pincer = pen.at(0.92 * side, -0.5, 1.0, 10 * side)
        pincer.polygon([*claw, (0.02, 0.08)], colour)


def _side_legs(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        for y, reach in ((-0.1, 1.0), (0.1, 0.92), (0.3, 0.78)):
            pen.line([(0.5 * side, y), (reach * side, y - 0.1), ((reach + 0.12) * side, y + 0.42)], 0.1)


def _seashell(pen: Pen, colour: Colour) -> None:
    shell = pen.at(0, 0.1, 0.4)
    shell.polygon(symmetric([(-0.3, 0.75), (-0.95, -0.1), (-0.7, -0.6), (0, -0.8)]), ROSE)
    for x in (-0.55, 0.0, 0.55):
        shell.line([(0, 0.7), (x, -0.5)], 0.08)


SMALL_ANIMALS: dict[str, Draw] = {
    "spread wings": _wings,
    "a sharp beak": _beak,
    "a feathered crest": _crest,
    "a leafy branch": _branch,
    "a fanned tail": _fanned_tail,
    "long thin legs": _thin_legs,
    "a spiny back": _spiny_back,
    "eyes on stalks": _stalk_eyes,
    "a trail of slime": _slime_trail,
    "a small pointed tail": _pointed_tail,
    "wide flippers": _flippers,
    "stubby legs": _stubby_legs,
    "a white belly": _white_belly,
    "webbed feet": _webbed_feet,
    "ringed eyespots": _eyespots,
    "trailing wing tails": _wing_tails,
    "dots along the edge": _wing_dots,
    "snapping claws": _claws,
    "jointed side legs": _side_legs,
    "a pink seashell": _seashell,
}
