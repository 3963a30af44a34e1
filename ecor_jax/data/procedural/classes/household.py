"""Furniture, clothes, tools, dishes and instruments."""

from ecor_jax.data.procedural.palette import GOLD, NAVY, SKY, STONE, TEAL, WOOD
from ecor_jax.data.procedural.slots import ObjectClass, behind, essential, front, limb, surface

KINDS: tuple[ObjectClass, ...] = (
    ObjectClass("chair", ("taper", "box"), 0.52, 0.16, (
        essential(behind(("wooden legs", "round wheels"), 0.0, 1.6, 0.5)),
        behind(("a slatted back", "a folded blanket"), 0.0, -4.1, 0.42),
        surface("a checked body"),
        front("a plump cushion", 0.0, -0.95, 0.4),
        front("padded armrests", 0.0, -2.0, 0.56),
    ), (behind("chair frame", 0.0, -3.4, 0.55),), natural=WOOD),
    ObjectClass("lamp", ("shade", "taper"), 0.5, 0.34, (
        behind("beams of light", 0.0, 0.0, 0.78),
        surface("painted flowers", "wavy stripes"),
        front(("a tasselled fringe", "a glowing bulb"), 0.0, 1.1, 0.52),
        behind("a pull chain", 0.86, 2.4, 0.3),
        behind("an electric cord", -1.4, 3.2, 0.34),
        front("a heavy round base", 0.0, 3.5, 0.34),
    ), (behind("lamp stand", 0.0, 2.2, 0.5),)),
    ObjectClass("clock", ("oval", "box"), 0.52, 0.52, (
        behind("twin bells", 0.0, -1.0, 0.46),
        essential(front("long and short hands", 0.0, 0.0, 0.38)),
        front("hour marks", 0.0, 0.0, 0.42),
        behind("a swinging pendulum", 0.0, 1.5, 0.42),
        limb(behind("stubby legs", 0.0, 1.0, 0.44)),
        behind("a winding key", -1.25, 0.1, 0.34),
    ), (front("clock face", 0.0, 0.0, 0.43),)),
    ObjectClass("shirt", ("shirt",), 0.78, 0.62, (
        behind("a coat hanger", 0.0, -1.3, 0.5),
        surface("a striped body", "a checked body"),
        front("a pointed collar", 0.0, -0.76, 0.28),
        front("a row of buttons", 0.0, 0.22, 0.34, 90.0),
        front("a chest pocket", 0.41, -0.2, 0.16),
        front("ribbed cuffs", 0.0, -0.15, 0.74),
        front("a sewn patch", -0.42, 0.5, 0.15),
    ), natural=SKY),
    ObjectClass("boot", ("boot",), 0.6, 0.6, (
        surface("painted stars"),
        front("crossed laces", 0.08, 0.2, 0.26),
        front("a thick ridged sole", 0.05, 1.05, 0.6),
        front(("a furry trim", "a pull loop"), -0.38, -1.06, 0.36),
        front("a metal buckle", -0.45, -0.38, 0.2),
        behind("a pointed spur", -1.15, 0.62, 0.28),
        front("a price tag", 0.62, -0.5, 0.28),
    ), natural=WOOD),
    ObjectClass("hat", ("flared", "block", "dome"), 0.42, 0.38, (
        behind("a long feather", -0.95, -0.9, 0.46, -24.0),
        surface("a checked body"),
        front(("a ribbon band", "a metal buckle"), 0.0, 0.5, 0.36),
        behind("a fluffy pompom", -0.15, -1.25, 0.24),
        front("a blooming flower", 0.5, -0.72, 0.2),
        front("a price tag", 1.6, 1.6, 0.26),
    ), (front("brim", 0.0, 0.95, 0.72),), natural=NAVY),
    ObjectClass("hammer", ("box", "block"), 0.3, 0.17, (
        limb(front("a split claw", -1.5, -0.1, 0.32)),
        front("a rubber grip", 0.0, 5.9, 0.36),
        behind("a wrist loop", 0.0, 9.4, 0.28),
        front("a long nail", 1.9, 2.7, 0.28),
        front("a wooden plank", 1.9, 5.3, 0.36),
        behind("flying sparks", 1.9, 0.0, 0.34),
        front("a price tag", -1.0, 3.0, 0.28),
    ), (behind("shaft", 0.0, 4.0, 0.72),), natural=STONE),
    ObjectClass("teapot", ("oval", "dome", "bowl"), 0.54, 0.46, (
        essential(behind("a curved spout", 1.0, 0.0, 0.48)),
        behind("a looped handle", -0.9, 0.0, 0.52),
        surface("painted flowers"),
        front("a round lid", 0.0, -0.98, 0.46),
        front(("a smiling mouth", "sleepy eyes"), 0.0, 0.15, 0.28),
        front("a small saucer", 0.0, 1.1, 0.6),
        behind("rising steam", 1.75, -2.0, 0.36),
    ), natural=TEAL),
    ObjectClass("guitar", ("guitar", "horned guitar"), 0.42, 0.5, (
        behind("a shoulder strap", -0.7, -0.6, 0.72),
        surface("painted flowers"),
        front(("a round sound hole", "taut strings"), 0.0, 0.05, 0.2),
        front("tuning pegs", 0.0, -3.0, 0.24),
        behind("an electric cord", 1.7, 0.75, 0.34),
        behind("musical notes", 1.6, -1.4, 0.34),
    ), (front("guitar neck", 0.0, -1.7, 0.9),), natural=GOLD),
)  # fmt: skip
