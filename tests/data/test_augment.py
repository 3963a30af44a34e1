"""AdaFace's augmentations, by hand."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from ecor_jax.data import augment
from ecor_jax.data.augment import adaface

NOISE = np.random.default_rng(0).integers(1, 256, (30, 40, 3), np.uint8)
FACE = Image.fromarray(NOISE)
KEEP, CHANGE = 0.2, 0.199
"""What the generator gives where a step leaves a picture alone, and where it is one of the fifth that it changes."""


class Rng:
    """A generator that gives out the numbers it was made of, and notes the ranges that were asked for."""

    def __init__(self, *numbers: float):
        self.numbers, self.asked = list(numbers), []

    def random(self) -> float:
        return self.numbers.pop(0)

    def uniform(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return low + (high - low) * self.numbers.pop(0)

    def integers(self, high: int) -> int:
        return int(high * self.numbers.pop(0))

    def permutation(self, count: int) -> list[int]:
        return list(range(count))[::-1]


def test_nothing_but_the_flip():
    assert (np.asarray(adaface(FACE, Rng(KEEP, KEEP, KEEP, 0.5))) == NOISE).all()
    assert (np.asarray(adaface(FACE, Rng(KEEP, KEEP, KEEP, 0.49))) == NOISE[:, ::-1]).all()


def test_a_part_stays_where_it_was_on_black():
    # Area .2 + .8 * .5 = .6 of 40 * 30 = 720 pixels, shape 1: a square of round(sqrt(720)) = 27.
    rng = Rng(CHANGE, 0.5, 0.5, 0.99, 0.5, KEEP, KEEP, KEEP + 0.5)
    expected = np.zeros_like(NOISE)
    part = np.s_[2:29, 13:40]  # from 4 * .5, and from 14 * .99
    expected[part] = NOISE[part]
    assert (np.asarray(adaface(FACE, rng)) == expected).all()
    assert rng.asked == [(0.2, 1), (pytest.approx(np.log(3 / 4)), pytest.approx(np.log(4 / 3)))]


def test_shapes_of_parts():
    rng = np.random.default_rng(0)
    left, upper, width, height = np.asarray([augment._random_box(112, 112, rng) for _ in range(4000)]).T
    assert min(left.min(), upper.min()) >= 0 and max((left + width).max(), (upper + height).max()) <= 112
    assert ((width / height > 0.74) & (width / height < 1.35)).all()
    areas = width * height / 112**2
    assert 0.19 < areas.min() < 0.22 and areas.max() > 0.98
    # A long picture leaves no part of .2 of its area in such a shape: the middle is taken.
    assert augment._random_box(1000, 10, rng) == (493, 0, 13, 10)
    assert augment._random_box(10, 1000, rng) == (0, 493, 10, 13)


FILTERS = {
    0.1: ("NEAREST", "NEAREST"),
    0.3: ("BILINEAR", "BILINEAR"),
    0.5: ("BOX", "BILINEAR"),
    0.7: ("BICUBIC", "BICUBIC"),
    0.9: ("LANCZOS", "LANCZOS"),
}


@pytest.mark.parametrize("number", FILTERS)
def test_low_resolution(number):
    down, up = (Image.Resampling[name] for name in FILTERS[number])
    rng = Rng(KEEP, CHANGE, 0.25, number, 0.1, KEEP, 0.9)
    # .2 + .8 * .25 = .4 of the height, a square.
    assert adaface(FACE, rng) == FACE.resize((12, 12), down).resize((40, 30), Image.Resampling.NEAREST)
    rng = Rng(KEEP, CHANGE, 0.25, 0.1, number, KEEP, 0.9)
    assert adaface(FACE, rng) == FACE.resize((12, 12), Image.Resampling.NEAREST).resize((40, 30), up)
    assert rng.asked == [(0.2, 1)] and rng.numbers == []
    assert adaface(Image.new("RGB", (4, 3)), Rng(KEEP, CHANGE, 0.0, 0.1, 0.1, KEEP, 0.9)).size == (4, 3)


def test_colours():
    rng = Rng(KEEP, KEEP, CHANGE, 0.25, 0.5, 1.0, 0.9)
    expected = ImageEnhance.Contrast(ImageEnhance.Color(FACE).enhance(0.75)).enhance(1)
    assert adaface(FACE, rng) == ImageEnhance.Brightness(expected).enhance(1.5)
    assert rng.asked == [(0.5, 1.5)] * 3
