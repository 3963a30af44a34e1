"""The plants, the mushroom and the food."""

from ecor_jax.data.procedural.palette import CORAL, LEAF, ROSE
from ecor_jax.data.procedural.slots import ObjectClass, behind, front, limb, surface

KINDS: tuple[ObjectClass, ...] = (
    ObjectClass("mushroom", ("toadstool",), 0.66, 0.58, (
        behind("a tall ladder", 1.25, 0.05, 0.6, -10.0),
        surface("a spotted body"),
        front("round windows", 0.0, -0.3, 0.44),
        front("gills under the cap", 0.0, 0.28, 0.58),
        front(("an arched door", "a frilled ring"), 0.0, 0.84, 0.22),
        front("tufts of grass", -1.0, 0.9, 0.34),
        behind("falling raindrops", -0.9, -1.1, 0.36),
    ), natural=CORAL),
    ObjectClass("cactus", ("capsule",), 0.25, 0.66, (
        limb(behind("upturned arms", 0.0, 0.0, 0.6)),
        surface("a ribbed stem"),
        front("sharp spines", 0.0, -0.1, 0.46),
        behind("a blooming flower", 0.0, -1.25, 0.28),
        front(("a clay pot", "sandy dunes"), 0.0, 1.05, 0.48),
        behind("a blazing sun", 2.6, -0.95, 0.28),
    ), (behind("mound", 0.0, 1.0, 0.5),), natural=LEAF),
    ObjectClass("tree", ("crown", "fir"), 0.62, 0.5, (
        behind("a tall ladder", 0.82, 1.2, 0.55, -8.0),
        behind("a hanging swing", -0.62, 1.1, 0.4),
        front("ripe red apples", 0.0, 0.42, 0.44),
        front("a hollow in the trunk", 0.0, 1.4, 0.26),
        front("a nest of eggs", 0.0, -0.62, 0.22),
        front("spreading roots", 0.0, 2.1, 0.4),
        behind("falling leaves", -1.55, 1.4, 0.32),
        behind("falling snowflakes", 1.2, -0.7, 0.3),
    ), (behind("trunk", 0.0, 1.4, 0.5),), natural=LEAF),
    ObjectClass("cake", ("box", "taper"), 0.62, 0.4, (
        behind(("lit candles", "whipped peaks", "a red cherry"), 0.0, -1.36, 0.36),
        surface("wavy stripes"),
        front("dripping icing", 0.0, -0.68, 0.6),
        front(("a ribbon band", "colourful sprinkles"), 0.0, 0.42, 0.5),
        front("a glass stand", 0.0, 1.1, 0.78),
    ), natural=ROSE),
    ObjectClass("ice cream", ("scoop", "two scoops"), 0.4, 0.38, (
        behind("a wafer stick", 0.5, -1.0, 0.4, 20.0),
        behind("a red cherry", -0.1, -1.22, 0.23),
        surface("twisted swirls"),
        front(("chocolate sauce", "colourful sprinkles"), 0.0, -0.15, 0.34),
        front(("a crisp waffle", "a paper sleeve"), 0.0, 2.0, 0.6),
    ), (behind("cone", 0.0, 2.0, 0.6),), natural=ROSE),
)  # fmt: skip
