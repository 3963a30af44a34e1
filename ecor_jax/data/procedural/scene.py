"""The content of one drawing, sampled from (style, seed, index) before rendering."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args

from ecor_jax.data.procedural.bodies import SHAPES
from ecor_jax.data.procedural.objects import KINDS
from ecor_jax.data.procedural.palette import (
    COLOURS,
    DARK,
    INKS,
    PALE,
    SHIFTED_COLOURS,
    SHIFTED_GROUNDS,
    SHIFTED_INKS,
    distance,
)
from ecor_jax.data.procedural.parts import DETAILS, PARTS
from ecor_jax.data.procedural.pen import Colour, Pen, Points, Rendition, mix, nested, through
from ecor_jax.data.procedural.rng import Rng
from ecor_jax.data.procedural.slots import ObjectClass, Slot
from ecor_jax.errors import UserError

Style = Literal["pretrain", "target", "shifted"]
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
    """Post-processing: hue rotation (degrees), inversion, Gaussian noise (grey levels), blur (sigma in image sides)."""

    hue: float = 0.0
    negative: bool = False
    noise: float = 0.0
    blur: float = 0.0


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
    rendition, background, finish = _LOOKS[style](rng)
    colours = SHIFTED_COLOURS if style == "shifted" else COLOURS
    body = _body(kind, background.ground, colours, rng)
    extents = (kind.across * rng.between(0.92, 1.08), kind.down * rng.between(0.92, 1.08))
    outline = [(x * extents[0], y * extents[1]) for x, y in SHAPES[rng.pick(kind.shapes)]]
    parts = _parts(kind, body, colours, rng)
    angle, mirrored = rng.between(-10.0, 10.0), rng.chance(0.5)
    fixed = [(part.rationale, part.slot) for part in parts if part.rationale in PARTS]
    fixed += [(detail.rationales[0], detail) for detail in kind.details]
    rim = 2 * rendition.line * rendition.sketch
    scale, centre = _fit(_bounds(outline, fixed, extents, angle), rim, mirrored, rng)
    return Scene(kind, extents, outline, parts, body, centre, scale, angle, mirrored, rendition, background, finish)


def without(scene: Scene, rationale: str) -> Scene:
    """Returns `scene` without the part that is named `rationale`; everything else stays where it is.

    Raises UserError if the scene does not show this part.
    """
    if rationale not in scene.rationales:
        raise UserError(f"the drawing shows no {rationale!r}, but {', '.join(scene.rationales)}")
    return replace(scene, parts=tuple(part for part in scene.parts if part.rationale != rationale))


def _fit(
    box: tuple[float, float, float, float], rim: float, mirrored: bool, rng: Rng
) -> tuple[float, tuple[float, float]]:
    """Samples a scale and a centre at which an object with this bounding box is large and within the image.

    `rim` is the additional space that lines need, in image sides.
    """
    left, top, right, bottom = box
    if mirrored:
        left, right = -right, -left
    scale = min((rng.between(0.74, 0.9) - rim) / max(right - left, bottom - top), 0.58)
    across, down = 1 - scale * (right - left), 1 - scale * (bottom - top)
    return scale, (rng.between(0.3, 0.7) * across - scale * left, rng.between(0.3, 0.7) * down - scale * top)


def _parts(kind: ObjectClass, body: Colour, colours: tuple[Colour, ...], rng: Rng) -> tuple[Part, ...]:
    """Samples the slots of the class but for one to three, each with one of its rationales, in drawing order."""
    optional = tuple(slot for slot in kind.slots if not slot.essential or rng.chance(0.08))
    left_out = rng.sample(optional, min(1 + rng.below(3), len(kind.slots) - 3))
    paints = tuple(paint for paint in colours if distance(paint, body) > 35)
    parts = [(rng.pick(slot.rationales), slot, rng.pick(paints)) for slot in kind.slots if slot not in left_out]
    return tuple(Part(rationale, slot, body if slot.limb else paint) for rationale, slot, paint in parts)


def _body(kind: ObjectClass, ground: Colour, colours: tuple[Colour, ...], rng: Rng) -> Colour:
    """Samples the colour of the body, which differs from that of the background."""
    paint = rng.pick(tuple(paint for paint in colours if distance(paint, ground) > 40))
    return kind.natural if kind.natural and rng.chance(0.6) and distance(kind.natural, ground) > 25 else paint


def _pretrain(rng: Rng) -> tuple[Rendition, Background, PostProcessing]:
    """Samples paintings, and some pencil drawings, on plain and pale backgrounds."""
    ground, figure = rng.sample(PALE, 2)
    background = Background(rng.pick(("plain", "gradient", "hills")), ground, figure, rng.below(2**32))
    tint = rng.between(0.1, 0.45) if rng.chance(0.35) else 1.0
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


def _shifted(rng: Rng) -> tuple[Rendition, Background, PostProcessing]:
    """Samples sketches with double lines, bold and fine outlines, in another palette, on busy backgrounds, blurred."""
    ground, other = rng.sample(SHIFTED_GROUNDS, 2)
    background = Background(rng.pick(("diagonal", "checks", "clutter")), ground, other, rng.below(2**32))
    sketch = rng.between(0.9, 1.6) if rng.chance(0.5) else 0.0
    line = rng.between(0.011, 0.015) if sketch else rng.pick((0.013, 0.027, 0.03))
    tint = rng.between(0.2, 0.42) if rng.chance(0.3) else 1.0
    finish = PostProcessing(hue=rng.between(-25.0, 25.0), noise=rng.between(4.0, 12.0), blur=rng.between(0.004, 0.009))
    return Rendition(rng.pick(SHIFTED_INKS), ground, tint, line, sketch), background, finish


_LOOKS: dict[Style, Callable[[Rng], tuple[Rendition, Background, PostProcessing]]] = {
    "pretrain": _pretrain,
    "target": _target,
    "shifted": _shifted,
}


def place(slot: Slot, extents: tuple[float, float]) -> tuple[float, float, float, float]:
    """Returns x, y, size and angle of the part in `slot` on a body with these half extents, in the object's frame."""
    return slot.x * extents[0], slot.y * extents[1], slot.size, slot.angle


def _bounds(
    outline: Points, fixed: Sequence[tuple[str, Slot]], extents: tuple[float, float], angle: float
) -> tuple[float, float, float, float]:
    """Returns left, top, right and bottom of an object rotated by `angle` degrees, in units of its frame."""
    turned = nested((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 0.0, 0.0, 1.0, angle)
    flat = through(turned, outline)
    for rationale, slot in fixed:
        flat += through(nested(turned, *place(slot, extents)), _corners(rationale))
    return min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])


@cache
def _corners(rationale: str) -> Points:
    """Returns the corners of the bounding box of a part, in its own frame."""
    drawn = _DrawnPoints()
    unit = 100.0  # large, because a pen rounds the widths of lines to pixels
    pen = Pen(drawn, (unit, 0.0, 0.0, 0.0, unit, 0.0), Rendition((0, 0, 0), (0, 0, 0), 1.0, 0.0), outline=0)
    (PARTS | DETAILS)[rationale](pen, (0, 0, 0))
    across, down = zip(*((x / unit, y / unit) for x, y in drawn.points), strict=True)
    return [(x, y) for x in (min(across), max(across)) for y in (min(down), max(down))]


class _DrawnPoints:
    """A canvas that records points instead of drawing them."""

    def __init__(self):
        self.points: list[tuple[float, float]] = []

    def polygon(self, xy: Sequence[float], fill: Colour, width: int = 0) -> None:
        self.points += zip(xy[::2], xy[1::2], strict=True)

    line = ellipse = polygon
