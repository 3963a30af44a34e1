"""Rendering of scenes: they are drawn at four times the final size and then averaged down."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw

from ecor_jax.data.procedural.backgrounds import draw_background
from ecor_jax.data.procedural.parts import PARTS
from ecor_jax.data.procedural.pen import Pen, Points, nested, through
from ecor_jax.data.procedural.scene import Part, PostProcessing, Scene, place
from ecor_jax.data.procedural.surfaces import SURFACES

SUPERSAMPLING = 4


def paint(scene: Scene, size: int) -> np.ndarray:
    """Renders `scene` as uint8 [size, size, 3]."""
    side = size * SUPERSAMPLING
    picture = draw_background(scene.background, side)
    across = -scene.scale * side if scene.mirrored else scene.scale * side
    upright = (across, 0.0, scene.centre[0] * side, 0.0, scene.scale * side, scene.centre[1] * side)
    frame = nested(upright, 0.0, 0.0, 1.0, scene.angle)
    outline = max(1, round(scene.rendition.line * side))
    _object(scene, Pen(ImageDraw.Draw(picture), frame, scene.rendition, outline), picture)
    return _finish(np.asarray(picture.reduce(SUPERSAMPLING)), scene.finish, scene.background.seed)


def _object(scene: Scene, pen: Pen, picture: Image.Image) -> None:
    """Draws the parts behind the body, the body with its surface, then the parts in front."""
    _fix(scene, pen, behind=True)
    pen.polygon(scene.outline, scene.body)
    for part in scene.parts:
        if part.rationale in SURFACES:
            _cover(pen, scene.outline, part, picture)
    _fix(scene, pen, behind=False)


def _fix(scene: Scene, pen: Pen, *, behind: bool) -> None:
    for part in scene.parts:
        if part.rationale in PARTS and part.slot.behind == behind:
            PARTS[part.rationale](pen.at(*place(part.slot, scene.extents)), part.colour)


def _cover(pen: Pen, outline: Points, part: Part, picture: Image.Image) -> None:
    """Draws a surface pattern inside `outline` only."""
    layer = picture.copy()
    SURFACES[part.rationale](dataclasses.replace(pen, canvas=ImageDraw.Draw(layer)), part.colour)
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon(through(pen.frame, outline), fill=255)
    picture.paste(layer, mask=mask)
    pen.contour(outline)


def _finish(pixels: np.ndarray, finish: PostProcessing, seed: int) -> np.ndarray:
    """Rotates the hue of `pixels` (uint8 [s, s, 3]) about the grey axis, optionally inverts them, and adds noise."""
    if finish == PostProcessing():
        return pixels
    cos, sin = math.cos(math.radians(finish.hue)), math.sin(math.radians(finish.hue))
    same, up, down = (1 + 2 * cos) / 3, (1 - cos) / 3 + sin / 3**0.5, (1 - cos) / 3 - sin / 3**0.5
    turn = np.array([[same, down, up], [up, same, down], [down, up, same]], np.float32)
    turned = pixels.astype(np.float32) @ turn.T
    if finish.negative:
        turned = 255 - turned
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32)
    return np.clip(turned + finish.noise * noise + 0.5, 0, 255).astype(np.uint8)
