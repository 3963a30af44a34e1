"""The backgrounds of the drawings: plain for the style "pretrain", cluttered for "target" and "shifted"."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from ecor_jax.data.procedural.pen import mix
from ecor_jax.data.procedural.rng import Rng
from ecor_jax.data.procedural.scene import Background


def draw_background(background: Background, side: int) -> Image.Image:
    """Draws the background: an RGB image, `side` pixels high and wide."""
    picture = Image.new("RGB", (side, side), background.ground)
    if background.pattern != "plain":
        _PATTERNS[background.pattern](picture, background, Rng(background.seed))
    return picture


def _gradient(picture: Image.Image, background: Background, rng: Rng) -> None:
    """Draws a gradient from the colour `ground` at the top to `figure` at the bottom."""
    ends = np.array([[background.ground], [background.figure]], np.uint8)
    picture.paste(Image.fromarray(ends).resize(picture.size, Image.Resampling.BILINEAR))


def _hills(picture: Image.Image, background: Background, rng: Rng) -> None:
    side = picture.width
    for x, radius in ((rng.between(0.0, 0.4), 0.8), (rng.between(0.6, 1.0), 0.7)):
        top, left, right = side * rng.between(0.7, 0.8), side * (x - radius), side * (x + radius)
        ImageDraw.Draw(picture).ellipse((left, top, right, top + side), fill=background.figure)


def _clouds(picture: Image.Image, background: Background, rng: Rng) -> None:
    """Draws smooth noise between the two colours."""
    share = np.array([rng.between(0.0, 1.0) for _ in range(81)]).reshape(9, 9, 1)
    ground, figure = np.array(background.ground), np.array(background.figure)
    cells = Image.fromarray((ground + share * (figure - ground)).astype(np.uint8))
    picture.paste(cells.resize(picture.size, Image.Resampling.BICUBIC))


def _stripes(picture: Image.Image, background: Background, rng: Rng) -> None:
    side = picture.width
    step, slant = side / (5 + rng.below(5)), rng.between(-1.0, 1.0) * side
    for k in range(-10, 20, 2):
        left, right = k * step, (k + 1) * step
        corners = (left, 0, right, 0, right + slant, side, left + slant, side)
        ImageDraw.Draw(picture).polygon(corners, fill=background.figure)


def _scatter(picture: Image.Image, background: Background, rng: Rng) -> None:
    """Draws triangles and quadrangles, filled or outlined, as distractors."""
    side, canvas = picture.width, ImageDraw.Draw(picture)
    for _ in range(14):
        x, y, radius = rng.between(0.0, 1.0), rng.between(0.0, 1.0), rng.between(0.05, 0.13)
        turn, corners = rng.between(0.0, math.tau), 3 + rng.below(2)
        angles = [turn + math.tau * k / corners for k in range(corners)]
        flat = [side * v for a in angles for v in (x + radius * math.cos(a), y + radius * math.sin(a))]
        if rng.chance(0.5):
            canvas.polygon(flat, fill=background.figure)
        else:
            canvas.line(flat + flat[:2], fill=background.figure, width=max(1, side // 60))


def _confetti(picture: Image.Image, background: Background, rng: Rng) -> None:
    side = picture.width
    for _ in range(70):
        x, y = side * rng.between(0.0, 1.0), side * rng.between(0.0, 1.0)
        radius = side * rng.between(0.005, 0.02)
        corners = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(picture).ellipse(corners, fill=background.figure)


def _diagonal(picture: Image.Image, background: Background, rng: Rng) -> None:
    """Draws a gradient between opposite corners, through a third colour."""
    middle = (np.array(background.ground, int) + background.figure) // 2 - 24
    corners = np.array([[background.ground, middle], [middle, background.figure]]).clip(0, 255).astype(np.uint8)
    turned = np.rot90(corners, rng.below(4)).copy()
    picture.paste(Image.fromarray(turned).resize(picture.size, Image.Resampling.BICUBIC))


def _checks(picture: Image.Image, background: Background, rng: Rng) -> None:
    count = 5 + rng.below(6)
    odd = np.indices((count, count)).sum(axis=0) % 2 == 1
    cells = np.where(odd[..., None], background.figure, background.ground).astype(np.uint8)
    picture.paste(Image.fromarray(cells).resize(picture.size, Image.Resampling.NEAREST))


def _clutter(picture: Image.Image, background: Background, rng: Rng) -> None:
    """Draws small rings, bars and squares in shades of both colours."""
    side, canvas = picture.width, ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, radius = side * rng.between(0.0, 1.0), side * rng.between(0.0, 1.0), side * rng.between(0.015, 0.045)
        shade = mix(background.figure, (90, 90, 110), rng.between(0.0, 0.5))
        corners = (x - radius, y - radius, x + radius, y + radius)
        kind = rng.below(3)
        if kind == 0:
            canvas.ellipse(corners, outline=shade, width=max(1, side // 70))
        elif kind == 1:
            canvas.rectangle(corners, fill=shade)
        else:
            canvas.line(corners, fill=shade, width=max(1, side // 50))


_PATTERNS: dict[str, Callable[[Image.Image, Background, Rng], None]] = {
    "gradient": _gradient,
    "hills": _hills,
    "clouds": _clouds,
    "stripes": _stripes,
    "scatter": _scatter,
    "confetti": _confetti,
    "diagonal": _diagonal,
    "checks": _checks,
    "clutter": _clutter,
}
