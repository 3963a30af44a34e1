"""The buildings and the tent."""

from ecor_jax.data.procedural.palette import CORAL, SAND, SILVER, STONE
from ecor_jax.data.procedural.slots import ObjectClass, behind, essential, front, surface

KINDS: tuple[ObjectClass, ...] = (
    ObjectClass("house", ("cottage", "gable"), 0.6, 0.66, (
        behind("puffs of smoke", 0.64, -0.98, 0.34),
        surface("brick walls"),
        front("a tiled roof", 0.0, -0.7, 0.76),
        front("square windows", 0.03, 0.18, 0.43),
        front("an arched door", 0.0, 0.76, 0.26),
        front("climbing ivy", -1.02, 0.5, 0.34),
        front(("a picket fence", "a red mailbox"), 1.5, 0.76, 0.32),
    )),
    ObjectClass("castle", ("keep", "tower keep"), 0.66, 0.58, (
        behind("a waving flag", -0.1, -0.7, 0.36),
        surface("brick walls"),
        front(("stone battlements", "pointed towers"), 0.0, -1.02, 0.56),
        front("arched windows", 0.0, 0.12, 0.36),
        front(("an arched door", "a lowered drawbridge"), 0.0, 0.74, 0.24),
        front("splashing waves", 0.0, 1.2, 1.0),
    ), natural=STONE),
    ObjectClass("windmill", ("taper", "shade"), 0.4, 0.74, (
        surface("brick walls"),
        front("a thatched cap", 0.0, -1.3, 0.27),
        front("an arched door", 0.0, 0.87, 0.19),
        front("a wooden balcony", 0.0, 0.4, 0.42),
        essential(front("lattice sails", 0.0, -0.5, 0.74)),
        front("sacks of flour", 1.75, 0.84, 0.24),
        front("tufts of grass", -1.75, 0.82, 0.32),
    ), (behind("mill cap", 0.0, -1.0, 0.3),), natural=SAND),
    ObjectClass("lighthouse", ("lighthouse",), 0.3, 0.78, (
        behind("a pointed top", 0.0, -0.92, 0.24),
        behind("beams of light", 0.0, -0.72, 0.62),
        surface("red and white bands"),
        front("an arched door", 0.0, 0.6, 0.24),
        front("a railed gallery", 0.0, -0.5, 0.3),
        front(("splashing waves", "a rocky shore"), 0.0, 1.02, 0.8),
    ), natural=SILVER),
    ObjectClass("tent", ("triangle", "dome tent"), 0.72, 0.5, (
        behind("guy ropes and pegs", 0.0, 0.1, 0.82),
        behind("a waving flag", 0.0, -1.0, 0.4),
        behind(("twinkling stars", "a blazing sun"), -0.95, -0.95, 0.34),
        surface("wavy stripes"),
        front("open canvas flaps", 0.0, 0.46, 0.3),
        front("a sewn patch", 0.62, 0.64, 0.16),
        front("a crackling campfire", 1.56, 0.74, 0.28),
    ), natural=CORAL),
)  # fmt: skip
