"""Rendering of scenes and of the masks of their parts: drawn at four times the final size and averaged down."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ecor_jax.data.procedural.backgrounds import draw_background
from ecor_jax.data.procedural.parts import DETAILS, PARTS
from ecor_jax.data.procedural.pen import Colour, Pen, Points, Rendition, nested, through
from ecor_jax.data.procedural.scene import Part, PostProcessing, Scene, place, without
from ecor_jax.data.procedural.surfaces import SURFACES

SUPERSAMPLING = 4
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def paint(scene: Scene, size: int) -> np.ndarray:
    """Renders `scene` as uint8 [size, size, 3]."""
    picture = draw_background(scene.background, size * SUPERSAMPLING)
    _object(scene, picture)
    return _finish(picture.reduce(SUPERSAMPLING), scene.finish, scene.background.seed)


def part_mask(scene: Scene, rationale: str, size: int) -> np.ndarray:
    """Returns the pixels of `paint(scene, size)` that the named part occupies, as bool [size, size].

    The part is drawn in white, and everything else in black. A pixel counts if at least a quarter of it is white, so
    other parts that cover this one are not in the mask.

    Raises UserError if the scene does not show this part.
    """
    without(scene, rationale)  # checks the name
    stencil = dataclasses.replace(scene, rendition=_flat(scene.rendition, _BLACK))
    side = size * SUPERSAMPLING
    picture = Image.new("RGB", (side, side))
    _object(stencil, picture, highlighted=rationale)
    return np.asarray(picture.reduce(SUPERSAMPLING))[..., 0] >= 64


def _flat(rendition: Rendition, colour: Colour) -> Rendition:
    """Returns a rendition that draws everything in one colour."""
    return dataclasses.replace(rendition, ink=colour, paper=colour, tint=0.0)


def _object(scene: Scene, picture: Image.Image, highlighted: str | None = None) -> None:
    """Draws the parts behind the body, the body with its surface, then the parts in front.

    The part named `highlighted` is drawn in white only.
    """
    side = picture.width
    across = -scene.scale * side if scene.mirrored else scene.scale * side
    upright = (across, 0.0, scene.centre[0] * side, 0.0, scene.scale * side, scene.centre[1] * side)
    outline = max(1, round(scene.rendition.line * side))
    pen = Pen(ImageDraw.Draw(picture), nested(upright, 0.0, 0.0, 1.0, scene.angle), scene.rendition, outline)
    chalk = dataclasses.replace(pen, rendition=_flat(scene.rendition, _WHITE))
    details = [Part(detail.rationales[0], detail, scene.body) for detail in scene.kind.details]
    fixed = [*details, *(part for part in scene.parts if part.rationale in PARTS)]

    def fix(behind: bool) -> None:
        for part in fixed:
            if part.slot.behind == behind:
                draw = PARTS.get(part.rationale) or DETAILS[part.rationale]
                chosen = chalk if part.rationale == highlighted else pen
                draw(chosen.at(*place(part.slot, scene.extents)), part.colour)

    fix(behind=True)
    pen.polygon(scene.outline, scene.body)
    for part in scene.parts:
        if part.rationale in SURFACES:
            _cover(chalk if part.rationale == highlighted else pen, scene.outline, part, picture)
            pen.contour(scene.outline)
    fix(behind=False)


def _cover(pen: Pen, outline: Points, part: Part, picture: Image.Image) -> None:
    """Draws a surface pattern inside `outline` only."""
    layer = picture.copy()
    SURFACES[part.rationale](dataclasses.replace(pen, canvas=ImageDraw.Draw(layer)), part.colour)
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon(through(pen.frame, outline), fill=255)
    picture.paste(layer, mask=mask)


def hue_rotation(degrees: float) -> np.ndarray:
    """Returns the float32 [3, 3] matrix that rotates RGB colours about the grey axis."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    same, up, down = (1 + 2 * cos) / 3, (1 - cos) / 3 + sin / 3**0.5, (1 - cos) / 3 - sin / 3**0.5
    return np.array([[same, down, up], [up, same, down], [down, up, same]], np.float32)


def _finish(picture: Image.Image, finish: PostProcessing, seed: int) -> np.ndarray:
    """Blurs `picture`, rotates its hue about the grey axis, optionally inverts it, and adds noise."""
    if finish.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(finish.blur * picture.width))
    pixels = np.asarray(picture)
    if finish == PostProcessing():
        return pixels
    turned = pixels.astype(np.float32) @ hue_rotation(finish.hue).T
    if finish.negative:
        turned = 255 - turned
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32)
    return np.clip(turned + finish.noise * noise + 0.5, 0, 255).astype(np.uint8)
