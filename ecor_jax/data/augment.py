"""Random augmentations of original images: a random crop, and the augmentations of AdaFace."""

import math
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance

Augment = Literal["none", "flip", "crop_flip", "adaface"]
"""No augmentation; a random mirror; `crop` and a random mirror; or `adaface`. Mirrors have probability 0.5."""

PROBABILITY = 0.2
"""Probability of each of AdaFace's crop, low-resolution and colour augmentations, drawn independently."""
# BOX is OpenCV's INTER_AREA, which enlarges almost like a bilinear filter.
_DOWN = tuple(Image.Resampling[kind] for kind in ("NEAREST", "BILINEAR", "BOX", "BICUBIC", "LANCZOS"))
_UP = tuple(Image.Resampling[kind] for kind in ("NEAREST", "BILINEAR", "BILINEAR", "BICUBIC", "LANCZOS"))
_COLOURS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crops a random window with the aspect ratio of the image and 0.5 to 1 of its area."""
    side = rng.uniform(0.5, 1) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, upper = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.crop((int(left), int(upper), int(left) + width, int(upper) + height))


def adaface(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Augments an RGB image, at constant size, as AdaFace does (arXiv 2204.00964; mk-minchul/AdaFace, data.py).

    The steps, each with probability .2, are: a window with .2 to 1 of the area and an aspect ratio of 3:4 to 4:3 stays
    in place and the rest becomes black; the image is resized to a square of .2 to 1 of its height and back, each with
    one of five filters; brightness, contrast and saturation are scaled by .5 to 1.5, in a random order. Finally, the
    image is mirrored with probability .5.

    Deviations: AdaFace's images are BGR, these are RGB, so saturation and contrast weigh the channels correctly; PIL's
    filters smooth before they shrink, while OpenCV's linear, cubic and Lanczos filters leave aliasing; PIL's Lanczos
    has 3 lobes, OpenCV's has 4; CLIP's resize is applied afterwards.
    """
    if rng.random() < PROBABILITY:
        face = _part_on_black(face, rng)
    if rng.random() < PROBABILITY:
        face = _low_resolution(face, rng)
    if rng.random() < PROBABILITY:
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
    """Returns left, upper, width and height, drawn as by torchvision's RandomResizedCrop.

    The area is uniform in .2 to 1 of the image; the logarithm of width / height is uniform between those of 3/4 and
    4/3. After ten draws that do not fit, the box is the largest centred one within these aspect ratios.
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


ON_ORIGINALS = {"crop_flip": crop, "adaface": adaface}
"""Augmentations of the original image, applied before preprocessing."""
MIRRORED = ("flip", "crop_flip")
"""Augmentations that mirror half of the preprocessed images."""
