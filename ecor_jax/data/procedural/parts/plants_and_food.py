"""Parts of plants, mushrooms, cakes, ice creams and teapots."""

from ecor_jax.data.procedural.outlines import smooth, translated
from ecor_jax.data.procedural.palette import (
    BLUSH,
    CHOCOLATE,
    CORAL,
    CREAM,
    GOLD,
    LEAF,
    MUSTARD,
    NAVY,
    SKY,
    WOOD,
)
from ecor_jax.data.procedural.pen import Colour, Draw, Pen, symmetric


def _gills(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-1, -0.22), (1, -0.22), (0.8, 0.16), (-0.8, 0.16)], BLUSH)
    for k in range(7):
        x = -0.84 + 0.28 * k
        pen.line([(x, -0.16), (x * 0.8, 0.1)], 0.05)


def _frilled_ring(pen: Pen, colour: Colour) -> None:
    frill = [(-0.95 + 0.19 * k, 0.38 if k % 2 else 0.12) for k in range(11)]
    pen.polygon([*frill, (0.7, -0.35), (-0.7, -0.35)], CREAM)


def _arms(pen: Pen, colour: Colour) -> None:
    for side, top in ((-1, -0.75), (1, -0.45)):
        arm = [(0.15 * side, 0.5), (0.8 * side, 0.5), (0.98 * side, 0.25), (0.98 * side, top)]
        pen.tube(smooth(arm, False), 0.34, LEAF)


def _spines(pen: Pen, colour: Colour) -> None:
    for row, y in enumerate((-0.75, -0.4, -0.05, 0.3, 0.65)):
        for x in (-0.4, 0.15) if row % 2 else (-0.15, 0.4):
            pen.line([(x - 0.12, y - 0.1), (x, y), (x + 0.12, y - 0.1)], 0.07)
            pen.line([(x, y), (x, y - 0.16)], 0.07)


def _apples(pen: Pen, colour: Colour) -> None:
    for x, y in ((-0.7, 0.1), (-0.1, -0.5), (0.1, 0.4), (0.7, -0.05)):
        pen.line([(x, y - 0.1), (x + 0.08, y - 0.32)], 0.08)
        pen.ellipse(x, y, 0.19, 0.19, CORAL)


def _roots(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.polygon([(0.05 * side, -0.4), (0.95 * side, 0.35), (0.3 * side, 0.15), (0.1 * side, 0.5)], WOOD)


def _candles(pen: Pen, colour: Colour) -> None:
    for x, paint in ((-0.7, SKY), (0.0, CORAL), (0.7, LEAF)):
        pen.box(x, 0.2, 0.13, 0.5, paint)
        pen.polygon(translated(symmetric([(0, 0.28), (-0.18, 0.05), (0, -0.4)]), x, -0.5), GOLD)


def _icing(pen: Pen, colour: Colour) -> None:
    drips = [(1, 0.0), (0.88, 0.3), (0.7, 0.0), (0.5, 0.45), (0.3, 0.0), (0.08, 0.3), (-0.12, 0.0), (-0.34, 0.5)]
    drips += [(-0.56, 0.0), (-0.78, 0.3), (-1, 0.0)]
    pen.polygon(smooth([(-1, -0.22), (-1, -0.22), (1, -0.22), (1, -0.22), *drips]), CREAM)


def _sprinkles(pen: Pen, colour: Colour) -> None:
    spots = ((-0.8, 0.1), (-0.45, -0.3), (-0.2, 0.25), (0.15, -0.15), (0.45, 0.3), (0.6, -0.35), (0.88, 0.05))
    for k, (x, y) in enumerate(spots):
        pen.at(x, y, 1.0, 50 * k).box(0, 0, 0.17, 0.07, (CORAL, GOLD, LEAF, NAVY)[k % 4])


def _cherry(pen: Pen, colour: Colour) -> None:
    pen.line(smooth([(0, 0), (0.15, -0.7), (0.6, -1.0)], False), 0.16)
    pen.ellipse(0, 0.25, 0.62, 0.6, CORAL)
    pen.patch([(-0.35, 0.15), (-0.1, -0.12), (-0.15, 0.2)], CREAM)


def _cake_stand(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.14, 0), (0.14, 0), (0.2, 0.36), (0.5, 0.5), (-0.5, 0.5), (-0.2, 0.36)], SKY)
    pen.box(0, 0, 1.0, 0.09, SKY)


def _whipped_cream(pen: Pen, colour: Colour) -> None:
    for x in (-0.66, 0.0, 0.66):
        pen.polygon(
            translated(smooth(symmetric([(-0.32, 0.35), (-0.32, 0.0), (-0.16, -0.2), (0, -0.6), (0, -0.6)])), x, 0),
            CREAM,
        )


def _wafer(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.24, 0.95, MUSTARD)
    for y in (-0.55, -0.1):
        pen.line([(-0.2, y), (0.2, y - 0.2)], 0.1)
        pen.line([(-0.2, y - 0.2), (0.2, y)], 0.1)


def _waffle(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.62, -0.9), (0.62, -0.9), (0, 1.0)], MUSTARD)
    for x in (-0.45, -0.1, 0.25):
        pen.line([(x, -0.85), (0.5 * x + 0.32, -0.1 - 0.55 * x)], 0.06)
        pen.line([(-x, -0.85), (-0.5 * x - 0.32, -0.1 - 0.55 * x)], 0.06)
    pen.line([(-0.35, -0.1), (0.1, 0.65)], 0.06)
    pen.line([(0.35, -0.1), (-0.1, 0.65)], 0.06)


def _paper_sleeve(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.6, -0.3), (0.6, -0.3), (0, 1.05)], colour)
    for x in (-0.36, 0.0, 0.36):
        pen.mark(x * 0.8, 0.0, 0.12, CREAM)
    pen.mark(0, 0.42, 0.12, CREAM)


def _chocolate_sauce(pen: Pen, colour: Colour) -> None:
    top = [(-0.95, 0.1), (-0.7, -0.4), (0, -0.65), (0.7, -0.4), (0.95, 0.1)]
    drips = [(0.8, 0.4), (0.55, 0.0), (0.3, 0.6), (0.0, 0.05), (-0.35, 0.45), (-0.6, 0.0), (-0.85, 0.4)]
    pen.polygon(smooth([*top, *drips]), CHOCOLATE)


def _saucer(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth([(-1, -0.15), (-1, -0.15), (1, -0.15), (1, -0.15), (0.55, 0.22), (-0.55, 0.22)]), colour)


def _steam(pen: Pen, colour: Colour) -> None:
    for x in (-0.5, 0.0, 0.5):
        path = [(x, 0.9), (x + 0.2, 0.45), (x - 0.15, 0.0), (x + 0.2, -0.45), (x, -0.9)]
        pen.tube(smooth(path, False), 0.2, CREAM)


def _spout(pen: Pen, colour: Colour) -> None:
    upper = [(-0.5, -0.1), (-0.1, 0.05), (0.14, -0.12), (0.3, -0.5), (0.48, -0.92)]
    lower = [(0.98, -0.8), (0.78, -0.3), (0.6, 0.1), (0.3, 0.42), (-0.1, 0.56), (-0.5, 0.55)]
    pen.polygon(upper + lower, colour)


def _lid(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, -0.55, 0.2, 0.2, GOLD)
    pen.polygon(symmetric([(-0.8, 0.25), (-0.6, -0.15), (-0.25, -0.34), (0, -0.38)]), colour)


PLANTS_AND_FOOD: dict[str, Draw] = {
    "gills under the cap": _gills,
    "a frilled ring": _frilled_ring,
    "upturned arms": _arms,
    "sharp spines": _spines,
    "ripe red apples": _apples,
    "spreading roots": _roots,
    "lit candles": _candles,
    "dripping icing": _icing,
    "colourful sprinkles": _sprinkles,
    "a red cherry": _cherry,
    "a glass stand": _cake_stand,
    "whipped peaks": _whipped_cream,
    "a wafer stick": _wafer,
    "a crisp waffle": _waffle,
    "a paper sleeve": _paper_sleeve,
    "chocolate sauce": _chocolate_sauce,
    "a small saucer": _saucer,
    "rising steam": _steam,
    "a curved spout": _spout,
    "a round lid": _lid,
}
