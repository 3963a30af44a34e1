"""From a record of a face to an image and an identity, with AdaFace's augmentations."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageEnhance

from ecor_jax.data.encode import Example, Preprocess, picture_of
from ecor_jax.data.records import BadImage, Record
from ecor_jax.errors import UserError

SHARE = 0.2
"""Of the images that get a crop; as many, drawn apart, lose resolution, and as many change their colours."""
_DOWN = (
    Image.Resampling.NEAREST,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,  # OpenCV's INTER_AREA
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_UP = (
    Image.Resampling.NEAREST,
    Image.Resampling.BILINEAR,
    Image.Resampling.BILINEAR,  # INTER_AREA enlarges almost so
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_COLOURS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


class FaceEncode:
    """A record as {"image": uint8 [size, size, 3], "label": int32 []}; the label is its category's row in `identities`.

    Arrays are taken as crops of the original size: nothing here expects preprocessed images.

    With `augment`, the crop is augmented before `preprocess` as AdaFace does (arXiv 2204.00964; released code
    mk-minchul/AdaFace, data.py), in this order, each step for a share of .2 of the images, drawn at every call:
    a part of it, of .2 to 1 of the area and a shape of 3:4 to 4:3, stays where it is and the rest turns black; it is
    shrunk to a square of .2 to 1 of its height and enlarged again, each by a filter drawn from five; brightness,
    contrast and saturation are scaled by .5 to 1.5, in a random order. At last half of all images are mirrored.

    Deviations: AdaFace's images are BGR, ours RGB, so saturation and contrast weigh the channels in the right order;
    PIL's filters smooth before they shrink, where OpenCV's linear, cubic and Lanczos ones leave aliasing, and
    PIL's Lanczos has 3 lobes for OpenCV's 4; CLIP's resize follows.

    expected_size: sides of the crop in pixels; 0 for any. Calls raise BadImage for an image of another size or one
    that cannot be decoded, and UserError for an unknown category.
    """

    def __init__(self, preprocess: Preprocess, identities: Sequence[str], augment: bool, expected_size: int = 0):
        self._preprocess = preprocess
        self._rows = {name: row for row, name in enumerate(identities)}
        self._augment = augment
        self._size = expected_size

    def __call__(self, record: Record, rng: np.random.Generator) -> Example:
        label = self._rows.get(record["category"])
        if label is None:
            raise UserError(f"{record['name']}: {record['category']!r} is none of the {len(self._rows)} identities")
        face = picture_of(record)
        if self._size and face.size != (self._size, self._size):
            found = f"{face.width}x{face.height}"
            raise BadImage(f"{record['name']} is {found} pixels; expected {self._size}x{self._size}")
        if self._augment:
            face = augmented(face, rng)
        return {"image": self._preprocess(face), "label": np.asarray(label, np.int32)}


def augmented(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of the same size, augmented as `FaceEncode` says."""
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
    left, upper, width, height = _random_part(face.width, face.height, rng)
    part = face.crop((left, upper, left + width, upper + height))
    black = Image.new("RGB", face.size)
    black.paste(part, (left, upper))
    return black


def _random_part(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
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
