"""The colours of saliency maps: one pixel a patch, lighter where the value is larger, for any eye and in grey."""

import numpy as np

from ecor_jax.pages.heat import heat, heat_scale


def test_one_pixel_for_each_patch_and_colours_up_to_the_largest_value():
    image = heat(np.array([[0.0, 0.5, 0.1], [0.2, 0.25, 0.05]], np.float32))
    assert (image.mode, image.size) == ("RGBA", (3, 2))
    pixels, scale = np.asarray(image), np.asarray(heat_scale())[0]
    np.testing.assert_array_equal(pixels[0, 0], scale[0])
    np.testing.assert_array_equal(pixels[0, 1], scale[-1])
    np.testing.assert_array_equal(np.asarray(heat(np.zeros((2, 2), np.float32)))[1, 1], scale[0])


def test_lightness_over_grey_rises_all_the_way():
    """In grey, as it prints, and from blue to yellow, which the most common colour blindness leaves."""
    scale = np.asarray(heat_scale())[0].astype(float)
    opacity = scale[:, 3:] / 255
    shown = opacity * scale[:, :3] + (1 - opacity) * 128
    lightness = shown @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0)[8:].all() and lightness[-1] - lightness.min() > 80
    yellow = shown[:, :2].mean(axis=1) - shown[:, 2]
    assert (np.diff(yellow) > 0)[8:].all() and yellow[-1] - yellow.min() > 100
