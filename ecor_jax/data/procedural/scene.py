"""The content of one drawing, sampled from (style, seed, index) before rendering."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from ecor_jax.data.procedural.bodies import SHAPES
from ecor_jax.data.procedural.objects import KINDS, ObjectClass, Slot
from ecor_jax.data.procedural.palette import COLOURS, DARK, INKS, PALE, distance
from ecor_jax.data.procedural.parts import PARTS
from ecor_jax.data.procedural.pen import Colour, Pen, Points, Rendition, mix, nested, through
from ecor_jax.data.procedural.rng import Rng

Style = Literal["pretrain", "target"]
STYLES: tuple[Style, ...] = get_args(Style)


@dataclass(frozen=True)
class Part:
    """A rationale that is drawn, with its slot and its colour."""

    rationale: str
    slot: Slot
    colour: Colour


@dataclass(frozen=True)
class Background:
    """A `pattern` in the colours `ground` and `figure`; `seed` determines its random details."""

    pattern: str
    ground: Colour
    figure: Colour
    seed: int


@dataclass(frozen=True)
class PostProcessing:
    """Post-processing of the pixels: hue rotation (degrees), inversion, Gaussian noise (grey levels)."""

    hue: float = 0.0
    negative: bool = False
    noise: float = 0.0


@dataclass(frozen=True)
class Scene:
    """The content of one image.

    `extents` and `outline` of the body are in units of the object's frame; `centre`, the frame's origin, and
    `scale`, its unit, are in image sides; `angle` is in degrees.
    """

    kind: ObjectClass
    extents: tuple[float, float]
    outline: Points
    parts: tuple[Part, ...]
    body: Colour
    centre: tuple[float, float]
    scale: float
    angle: float
    mirrored: bool
    rendition: Rendition
    background: Background
    finish: PostProcessing

    @property
    def rationales(self) -> tuple[str, ...]:
        """Returns the gold rationales of the image: those of the parts that are drawn."""
        return tuple(part.rationale for part in self.parts)


def sample_scene(style: Style, seed: int, index: int) -> Scene:
    """Samples the scene of image `index`, a pure function of its arguments. Classes alternate in a fixed cycle."""
    rng = Rng(STYLES.index(style), seed, index)
    kind = KINDS[index % len(KINDS)]
    rendition, background, finish = (_pretrain if style == "pretrain" else _target)(rng)
    body = rng.pick(tuple(paint for paint in COLOURS if distance(paint, background.ground) > 40))
    extents = (kind.across * rng.between(0.92, 1.08), kind.down * rng.between(0.92, 1.08))
    outline = [(x * extents[0], y * extents[1]) for x, y in SHAPES[rng.pick(kind.shapes)]]
    parts = _parts(kind, body, rng)
    angle, mirrored = rng.between(-10.0, 10.0), rng.chance(0.5)
    scale, centre = _fit(_bounds(outline, parts, extents, angle), mirrored, rng)
    return Scene(kind, extents, outline, parts, body, centre, scale, angle, mirrored, rendition, background, finish)


def _fit(box: tuple[float, float, float, float], mirrored: bool, rng: Rng) -> tuple[float, tuple[float, float]]:
    """Samples a scale and a centre at which an object with this bounding box is large and within the image."""
    left, top, right, bottom = box
    if mirrored:
        left, right = -right, -left
    scale = min(rng.between(0.74, 0.9) / max(right - left, bottom - top), 0.5)
    across, down = 1 - scale * (right - left), 1 - scale * (bottom - top)
    return scale, (rng.between(0.3, 0.7) * across - scale * left, rng.between(0.3, 0.7) * down - scale * top)


def _parts(kind: ObjectClass, body: Colour, rng: Rng) -> tuple[Part, ...]:
    """Samples three to five slots of the class, each with one of its rationales, in drawing order."""
    shown = rng.sample(kind.slots, min(3 + rng.below(3), len(kind.slots)))
    paints = tuple(paint for paint in COLOURS if distance(paint, body) > 35)
    return tuple(Part(rng.pick(slot.rationales), slot, rng.pick(paints)) for slot in kind.slots if slot in shown)


def _pretrain(rng: Rng) -> tuple[Rendition, Background, PostProcessing]:
    """Samples paintings, and some pencil drawings, on plain and pale backgrounds."""
    ground, figure = rng.sample(PALE, 2)
    background = Background(rng.pick(("plain", "gradient", "hills")), ground, figure, rng.below(2**32))
    tint = rng.between(0.1, 0.6) if rng.chance(0.35) else 1.0
    return Rendition(rng.pick(INKS), ground, tint, line=0.021), background, PostProcessing()


def _target(rng: Rng) -> tuple[Rendition, Background, PostProcessing]:
    """Samples paintings, pencil and chalk drawings on cluttered backgrounds, with hue shifts, negatives and noise."""
    medium = rng.pick(("paint", "pencil", "chalk"))
    dark = medium == "chalk" or (medium == "paint" and rng.chance(0.25))
    ground, other = rng.sample(DARK if dark else PALE, 2)
    figure = mix(other, rng.pick(COLOURS), 0.4)
    pattern = rng.pick(("clouds", "stripes", "scatter", "confetti"))
    background = Background(pattern, ground, figure, rng.below(2**32))
    ink, tint = rng.pick(PALE if dark else INKS), rng.between(0.1, 0.4)
    if medium == "paint":
        # Softer than chalk, so that pale parts stay distinct from their outlines.
        ink, tint = mix(ink, ground, 0.4 if dark else 0.0), 1.0
    finish = PostProcessing(hue=rng.between(-60.0, 60.0), negative=rng.chance(0.05), noise=rng.between(2.0, 10.0))
    return Rendition(ink, ground, tint, line=rng.between(0.018, 0.026)), background, finish


def place(slot: Slot, extents: tuple[float, float]) -> tuple[float, float, float, float]:
    """Returns x, y, size and angle of the part in `slot` on a body with these half extents, in the object's frame."""
    return slot.x * extents[0], slot.y * extents[1], slot.size, slot.angle


def _bounds(
    outline: Points, parts: Sequence[Part], extents: tuple[float, float], angle: float
) -> tuple[float, float, float, float]:
    """Returns left, top, right and bottom of an object rotated by `angle` degrees, in units of its frame."""
    turned = nested((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 0.0, 0.0, 1.0, angle)
    flat = through(turned, outline)
    for part in parts:
        if part.rationale in PARTS:
            flat += through(nested(turned, *place(part.slot, extents)), _corners(part.rationale))
    return min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])


@cache
def _corners(rationale: str) -> Points:
    """Returns the corners of the bounding box of a part, in its own frame."""
    drawn = _DrawnPoints()
    unit = 100.0  # large, because a pen rounds the widths of lines to pixels
    pen = Pen(drawn, (unit, 0.0, 0.0, 0.0, unit, 0.0), Rendition((0, 0, 0), (0, 0, 0), 1.0, 0.0), outline=0)
    PARTS[rationale](pen, (0, 0, 0))
    across, down = zip(*((x / unit, y / unit) for x, y in drawn.points), strict=True)
    return [(x, y) for x in (min(across), max(across)) for y in (min(down), max(down))]


class _DrawnPoints:
    """A canvas that records points instead of drawing them."""

    def __init__(self):
        self.points: list[tuple[float, float]] = []

    def polygon(self, xy: Sequence[float], fill: Colour, width: int = 0) -> None:
        self.points += zip(xy[::2], xy[1::2], strict=True)

    line = ellipse = polygon
