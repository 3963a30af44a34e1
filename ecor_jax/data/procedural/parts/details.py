"""Details that every drawing of a class has and that are no rationales, such as the eye of an animal."""

from ecor_jax.data.procedural.outlines import arc, smooth, smooth_symmetric
from ecor_jax.data.procedural.palette import CHOCOLATE, CREAM, MUSTARD, RUBBER, SLIME, STONE, WOOD
from ecor_jax.data.procedural.pen import Colour, Draw, Pen


def _eye(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 0.8, 0.85, CREAM)
    pen.mark(0.15, 0.05, 0.48, RUBBER)


def _rims(pen: Pen, colour: Colour) -> None:
    for x in (-1, 1):
        pen.ring(x, 0, 0.68, 0.1)


def _mill_cap(pen: Pen, colour: Colour) -> None:
    pen.polygon([*arc(1.0, 0.9, 180, 360), (1.0, 0.3), (-1.0, 0.3)], colour)


def _snail_foot(pen: Pen, colour: Colour) -> None:
    foot = [(-1.3, 0.3), (-1.3, 0.3), (-0.8, 0.0), (0.55, -0.05), (0.78, -0.7), (1.0, -0.95), (1.25, -0.85)]
    pen.polygon(smooth([*foot, (1.36, -0.55), (1.2, -0.1), (0.95, 0.3), (0.95, 0.3)]), SLIME)


def _turtle_head(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        smooth(
            [
                (-1, 0.1),
                (-0.3, -0.1),
                (-0.1, -0.7),
                (0.5, -0.8),
                (0.9, -0.4),
                (0.7, 0.0),
                (0.3, 0.2),
                (-0.1, 0.7),
                (-1, 0.8),
            ]
        ),
        SLIME,
    )


def _insect_body(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0.1, 0.16, 0.8, CHOCOLATE)
    pen.ellipse(0, -0.72, 0.22, 0.22, CHOCOLATE)


def _cactus_mound(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth([(-1, 0.2), (-1, 0.2), (0, -0.25), (1, 0.2), (1, 0.2)]), SLIME)


def _tree_trunk(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.36, -1), (0.36, -1), (0.34, 0.4), (0.46, 1), (-0.46, 1), (-0.34, 0.4)], WOOD)


def _lamp_stand(pen: Pen, colour: Colour) -> None:
    pen.polygon(smooth_symmetric([(0, -1), (-0.1, -1), (-0.12, -0.3), (-0.3, 0.2), (-0.12, 0.75), (0, 0.8)]), STONE)
    pen.box(0, 0.88, 0.4, 0.1, STONE)


def _clock_face(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 1, 1, CREAM)


def _cone(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.62, -0.9), (0.62, -0.9), (0, 1.0)], MUSTARD)


def _handle_shaft(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 0.14, 1.0, WOOD)


def _guitar_neck(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0.15, 0.12, 0.8, WOOD)
    pen.polygon([(-0.17, -0.6), (-0.2, -1.0), (0.2, -1.0), (0.17, -0.6)], WOOD)


def _chair_frame(pen: Pen, colour: Colour) -> None:
    for x in (-0.85, 0.85):
        pen.box(x, 0, 0.13, 1.0, WOOD)
    pen.box(0, -0.86, 0.85, 0.14, WOOD)


def _hat_brim(pen: Pen, colour: Colour) -> None:
    pen.ellipse(0, 0, 1.0, 0.2, colour)


def _cow_head(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.at(0.8 * side, -0.45, 1.0, 20 * side).ellipse(0.0, 0, 0.42, 0.2, CREAM)
    pen.polygon(smooth_symmetric([(0, -0.8), (-0.6, -0.7), (-0.62, 0.0), (-0.42, 0.8), (0, 0.95)]), CREAM)
    for side in (-1, 1):
        pen.mark(0.32 * side, -0.3, 0.13, RUBBER)


def _face_pair(pen: Pen, colour: Colour) -> None:
    for x in (-1, 1):
        pen.ellipse(x, 0, 0.42, 0.46, CREAM)
        pen.mark(x, 0.04, 0.26, RUBBER)


DETAILS: dict[str, Draw] = {
    "eye": _eye,
    "eyes": _face_pair,
    "rims": _rims,
    "mill cap": _mill_cap,
    "foot": _snail_foot,
    "turtle head": _turtle_head,
    "insect body": _insect_body,
    "mound": _cactus_mound,
    "trunk": _tree_trunk,
    "lamp stand": _lamp_stand,
    "clock face": _clock_face,
    "cone": _cone,
    "shaft": _handle_shaft,
    "guitar neck": _guitar_neck,
    "chair frame": _chair_frame,
    "brim": _hat_brim,
    "cow head": _cow_head,
}
"""The drawing function of each detail; `colour` is that of the body."""
