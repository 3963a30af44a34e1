"""Augmentations of original pictures, drawn anew at every call: a crop, and those of AdaFace."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance

Augment = Literal["none", "flip", "crop_flip", "adaface"]
"""None; half of the pictures mirrored; `crop` and then half of them mirrored; `adaface`."""

SHARE = 0.2
"""Of the images that get a crop; as many, drawn apart, lose resolution, and as many change their colours."""
_DOWN = (
    Image.Resampling.NEAREST,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,  # OpenCV's INTER_AREA
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
# INTER_AREA enlarges almost as a bilinear filter does.
_UP = tuple(Image.Resampling.BILINEAR if kind == Image.Resampling.BOX else kind for kind in _DOWN)
_COLOURS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of the picture, in its shape, anywhere, of 0.5 to 1 of its area."""
    side = rng.uniform(0.5, 1) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, upper = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.crop((int(left), int(upper), int(left) + width, int(upper) + height))


def adaface(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of the same size, augmented as AdaFace does (arXiv 2204.00964; mk-minchul/AdaFace, data.py).

    In this order, each step for a share of .2 of the pictures: a part, of .2 to 1 of the area and a shape of 3:4 to
    4:3, stays where it is and the rest turns black; the picture is shrunk to a square of .2 to 1 of its height and
    enlarged again, each by a filter drawn from five; brightness, contrast and saturation are scaled by .5 to 1.5, in
    a random order. At last half of all pictures are mirrored.

    Deviations: AdaFace's images are BGR, ours RGB, so saturation and contrast weigh the channels in the right order;
    PIL's filters smooth before they shrink, where OpenCV's linear, cubic and Lanczos ones leave aliasing, and
    PIL's Lanczos has 3 lobes for OpenCV's 4; CLIP's resize follows.
    """
    if rng.random() < SHARE:
        face = _part_on_black(face, rng)
    if rng.random() < SHARE:
        face = _low_resolution(face, rng)
    if rng.random() < SHARE:
        face = _other_colours(face, rng)
    if rng.random() < 0.5:
        face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return face


def _part_on_black(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, upper, width, height = _random_box(face.width, face.height, rng)
    black = Image.new("RGB", face.size)
    black.paste(face.crop((left, upper, left + width, upper + height)), (left, upper))
    return black


def _random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, upper, width and height, as torchvision's RandomResizedCrop draws them.

    The area is uniform in .2 to 1 of the whole, the logarithm of width / height uniform between 3/4 and 4/3. After
    ten draws that do not fit, it is the largest part in the middle of a shape within these bounds.
    """
    for _ in range(10):
        area = width * height * rng.uniform(0.2, 1)
        shape = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        across, down = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < across <= width and 0 < down <= height:
            return int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1)), across, down
    across, down = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (width - across) // 2, (height - down) // 2, across, down


def _low_resolution(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = max(1, int(rng.uniform(0.2, 1) * face.height))
    small = face.resize((side, side), _DOWN[rng.integers(len(_DOWN))])
    return small.resize(face.size, _UP[rng.integers(len(_UP))])


def _other_colours(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    for which in rng.permutation(len(_COLOURS)):
        face = _COLOURS[which](face).enhance(rng.uniform(0.5, 1.5))
    return face


OF_ORIGINALS: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "crop_flip": crop,
    "adaface": adaface,
}
"""What changes the original picture, before it is preprocessed."""
MIRRORED = ("flip", "crop_flip")
"""What mirrors half of the preprocessed pictures."""
