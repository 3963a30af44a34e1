"""Colours of saliency maps.

The colour map is cividis (Nunez et al. 2018), as in matplotlib: its lightness rises evenly, so that it prints, and
colour-blind people can read it. A map covers a grey picture; where its value is small it is transparent.
"""

import math

import numpy as np
from jaxtyping import Float
from PIL import Image

FUNCTIONS = ("heat", "heat_scale")
"""Functions of this module that templates use."""
OPACITY = 0.25, 0.85
"""Opacity of the smallest and of the largest value."""


def heat(values: Float[np.ndarray, "rows columns"]) -> Image.Image:
    """Returns a map as an RGBA image of one pixel for each patch; colours go from 0 to the largest value of the map."""
    largest = values.max()
    shares = values / largest if largest > 0 and math.isfinite(largest) else np.zeros_like(values)
    return Image.fromarray(_colours(shares))


def heat_scale() -> Image.Image:
    """Returns the colours from 0 (left) to the largest value (right) as an image of one row."""
    return Image.fromarray(_colours(np.linspace(0, 1, 64)[None]))


def _colours(shares: Float[np.ndarray, "rows columns"]) -> np.ndarray:
    import matplotlib  # imported late, because it takes half a second

    colours = matplotlib.colormaps["cividis"](shares)
    low, high = OPACITY
    colours[..., 3] = low + (high - low) * shares
    return np.round(255 * colours).astype(np.uint8)
