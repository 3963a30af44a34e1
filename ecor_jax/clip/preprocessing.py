"""What happens to a picture before the vision tower, as its checkpoint asks for it."""

import dataclasses
from typing import Any, Literal

import numpy as np
from PIL import Image

from ecor_jax.errors import UserError

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MOST_SIDE = 1024
"""Twice what the largest CLIP looks at."""


Resample = Literal["bicubic", "bilinear"]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """PIL resize and centre crop to `size` pixels; `mean` and `std` are applied on the device.

    resize: 'shortest' scales the shorter side to `resize_to` (default `size`) and crops the centre; 'squash'
      scales both sides to `size`, ignoring the aspect ratio; 'longest' scales the longer side to `size` and makes the
      picture square with black on both sides.
    resample: PIL's filter. It is part of a checkpoint: jax.image and torch resize differ from it visibly.
    Of a picture with transparency or a palette PIL's RGB is taken: what is transparent has the colour stored there.
    UserError for more than MOST_SIDE pixels of a side, to which every picture would be scaled.
    """

    size: int
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize: Literal["shortest", "squash", "longest"] = "shortest"
    resize_to: int | None = None
    resample: Resample = "bicubic"

    def __post_init__(self):
        for side in (self.size, self.resize_to or self.size):
            if not 1 <= side <= MOST_SIDE:
                raise UserError(f"pictures are to be scaled to {side} pixels; expected 1 to {MOST_SIDE}")

    def __call__(self, image: Image.Image) -> np.ndarray:
        """uint8 [size, size, 3] of any PIL image."""
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
    # rajpurkarlab/CheXzero: 101.48761 and 83.43944 of 255. Its code scales twice, to 320 pixels and from there.
    "chexzero": {"mean": (0.39799063,) * 3, "std": (0.32721349,) * 3, "resize": "longest"},
}
"""What encoders ask for whose files do not say it: of `Preprocess`, beside the size."""
