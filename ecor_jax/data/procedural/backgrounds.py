"""The backgrounds of the drawings: plain ones for the pretraining corpus, cluttered ones for the target domain."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

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


_PATTERNS: dict[str, Callable[[Image.Image, Background, Rng], None]] = {
    "gradient": _gradient,
    "hills": _hills,
    "clouds": _clouds,
    "stripes": _stripes,
    "scatter": _scatter,
    "confetti": _confetti,
}
