"""Preprocessing against OpenAI's own numbers, and by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.vision import normalise_pixels


@pytest.mark.parametrize("size", [(8, 4), (4, 8)])
def test_the_longer_side_decides_and_black_makes_it_square(size):
    found = Preprocess(5, resize="longest")(Image.new("RGB", size, "white"))
    lines = found if size[0] > size[1] else found.swapaxes(0, 1)
    # 5 by 2.5 pixels, which is 2: one line of black before them, and two behind.
    assert [sorted(set(line.reshape(-1).tolist())) for line in lines] == [[0], [255], [255], [0], [0]]


def test_a_photograph_is_prepared_as_the_reference_does(shared_data):
    expected = np.load(shared_data / "clip" / "expected_preprocessed_image.npy")
    preprocess = Preprocess(224)
    with Image.open(shared_data / "clip" / "franz-kafka.jpg") as image:
        pixels = preprocess(image)
    found = normalise_pixels(jnp.asarray(pixels)[None], preprocess.mean, preprocess.std)
    difference = np.abs(np.asarray(found) - expected.reshape(1, 3, 224, 224).transpose(0, 2, 3, 1))
    assert difference.max() <= 1e-6


def test_half_mean_and_deviation_map_bytes_to_minus_one_and_one():
    preprocess = Preprocess(2, mean=(0.5,) * 3, std=(0.5,) * 3)
    pixels = jnp.asarray([0, 255] * 6, jnp.uint8).reshape(1, 2, 2, 3)
    found = normalise_pixels(pixels, preprocess.mean, preprocess.std)
    np.testing.assert_array_equal(np.asarray(found).ravel(), [-1, 1] * 6)


def test_shortest_crops_the_centre_and_squash_keeps_the_borders():
    # Red left border, blue right border, green between.
    picture = np.zeros((10, 40, 3), np.uint8)
    picture[:, :4, 0] = picture[:, 4:36, 1] = picture[:, 36:, 2] = 255
    image = Image.fromarray(picture)
    cropped, squashed = Preprocess(10)(image), Preprocess(10, resize="squash")(image)
    np.testing.assert_array_equal(cropped, np.full((10, 10, 3), [0, 255, 0]))
    assert squashed[5, 0].argmax() == 0 and squashed[5, -1].argmax() == 2


def test_resize_to_a_larger_side_before_the_crop():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
    found = Preprocess(16, resize_to=20)(image)
    np.testing.assert_array_equal(found, np.asarray(image.resize((20, 20), Image.Resampling.BICUBIC))[2:18, 2:18])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_kind_of_picture_becomes_rgb(mode):
    image = Image.new("RGB", (20, 12), (200, 200, 200)).convert(mode)
    found = Preprocess(8)(image)
    assert found.shape == (8, 8, 3) and found.dtype == np.uint8


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 32), st.sampled_from(["shortest", "squash"]))
def test_any_picture_has_the_size_asked_for(width, height, size, resize):
    found = Preprocess(size, resize=resize)(Image.new("RGB", (width, height), (1, 2, 3)))
    np.testing.assert_array_equal(found, np.full((size, size, 3), [1, 2, 3]))
