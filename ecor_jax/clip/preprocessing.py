"""Image preprocessing before the vision tower, with the settings of its checkpoint."""

import dataclasses
from typing import Any, Literal

import numpy as np
from PIL import Image

from ecor_jax.errors import UserError

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MAX_SIDE = 1024
"""Largest side, in pixels, that images may be scaled to: twice that of the largest preset."""


Resample = Literal["bicubic", "bilinear"]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """PIL resize and centre crop to `size` pixels; `mean` and `std` are applied on the device.

    resize: 'shortest' scales the shorter side to `resize_to` (default `size`) and crops the centre; 'squash'
      scales both sides to `size`, ignoring the aspect ratio; 'longest' scales the longer side to `size` and pads the
      shorter one with black on both sides.
    resample: PIL's filter, a setting of the checkpoint. PIL is used because jax.image and torch resize differently.
    Images with transparency or a palette are converted to RGB by PIL: transparent pixels get their stored colour.
    Raises UserError if `size` or `resize_to` is not within 1 to MAX_SIDE.
    """

    size: int
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize: Literal["shortest", "squash", "longest"] = "shortest"
    resize_to: int | None = None
    resample: Resample = "bicubic"

    def __post_init__(self):
        for side in (self.size, self.resize_to or self.size):
            if not 1 <= side <= MAX_SIDE:
                raise UserError(f"pictures are to be scaled to {side} pixels; expected 1 to {MAX_SIDE}")

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Returns uint8 [size, size, 3] for a PIL image of any mode."""
        image, resample = image if image.mode == "RGB" else image.convert("RGB"), _FILTERS[self.resample]
        if self.resize == "squash":
            return np.asarray(image.resize((self.size, self.size), resample))
        width, height = image.size
        if self.resize == "longest":
            inner_width, inner_height = (max(1, round(side * self.size / max(width, height))) for side in image.size)
            place = (self.size - inner_width) // 2, (self.size - inner_height) // 2
            square = Image.new("RGB", (self.size, self.size))
            square.paste(image.resize((inner_width, inner_height), resample), place)
            return np.asarray(square)
        target = self.resize_to or self.size
        short = min(width, height)
        if short != target:
            scaled = (int(target * width / short), int(target * height / short))
            image = image.resize(scaled, resample)
        left, top = (round((side - self.size) / 2) for side in image.size)
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))


PUBLISHED: dict[str, dict[str, Any]] = {
    "openai": {},
    # rajpurkarlab/CheXzero: 101.48761 / 255 and 83.43944 / 255. Its code scales twice, first to 320 pixels.
    "chexzero": {"mean": (0.39799063,) * 3, "std": (0.32721349,) * 3, "resize": "longest"},
}
"""Arguments of `Preprocess`, except the size, for published encoders whose files do not contain them."""
