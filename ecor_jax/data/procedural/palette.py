"""The colours of the drawings: a small warm palette shared by all images."""

from ecor_jax.data.procedural.pen import Colour

CORAL, MUSTARD, TEAL, SKY = (233, 98, 82), (243, 183, 61), (46, 142, 138), (104, 174, 219)
NAVY, PLUM, SAGE, ROSE = (52, 78, 125), (136, 84, 142), (125, 168, 105), (240, 150, 165)
CREAM, GLASS, LEAF, STONE = (252, 242, 220), (250, 236, 160), (88, 158, 80), (168, 166, 172)
FLAME, GOLD, WATER, WOOD = (245, 122, 40), (250, 200, 60), (70, 150, 205), (166, 110, 72)
CLOUD, RUBBER, SLIME = (226, 228, 236), (70, 68, 80), (196, 186, 120)
SAND, CHOCOLATE, BLUSH = (232, 206, 148), (110, 70, 52), (250, 196, 190)
SILVER, FAWN = (198, 204, 214), (230, 200, 160)

COLOURS: tuple[Colour, ...] = (CORAL, MUSTARD, TEAL, SKY, NAVY, PLUM, SAGE, ROSE)
PALE: tuple[Colour, ...] = (
    (253, 246, 230), (228, 241, 248), (252, 230, 222), (232, 243, 224), (240, 232, 247), (255, 240, 200),
)  # fmt: skip
DARK: tuple[Colour, ...] = ((34, 38, 62), (52, 34, 58), (24, 54, 58), (58, 44, 36), (40, 40, 44), (30, 58, 44))
SHIFTED_COLOURS: tuple[Colour, ...] = (
    (186, 214, 64),
    (214, 66, 150),
    (150, 52, 44),
    (24, 98, 168),
    (255, 140, 70),
    (98, 62, 170),
    (92, 206, 184),
    (126, 110, 92),
)
SHIFTED_GROUNDS: tuple[Colour, ...] = (
    (214, 208, 196),
    (190, 206, 200),
    (222, 196, 176),
    (196, 196, 216),
    (238, 238, 240),
    (206, 214, 176),
)
SHIFTED_INKS: tuple[Colour, ...] = ((16, 16, 20), (40, 20, 90), (110, 24, 30), (10, 60, 50))
INKS: tuple[Colour, ...] = ((44, 42, 60), (72, 46, 40), (30, 52, 66))


def distance(first: Colour, second: Colour) -> float:
    """Returns the perceived distance of two colours: Euclidean with the weights of luma, 0 to 255."""
    weights = (0.299, 0.587, 0.114)
    return sum(w * (a - b) ** 2 for w, a, b in zip(weights, first, second, strict=True)) ** 0.5
