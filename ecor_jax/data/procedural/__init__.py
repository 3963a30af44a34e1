"""The built-in image set: small drawings, rendered on demand, whose visible parts are their rationales."""

import numpy as np

from ecor_jax.data.procedural.objects import KINDS, vocabulary
from ecor_jax.data.procedural.painting import paint, part_mask
from ecor_jax.data.procedural.scene import STYLES, Scene, Style, sample_scene, without
from ecor_jax.data.records import Record, Source
from ecor_jax.errors import UserError

__all__ = ["Procedural", "Style", "vocabulary"]


class Procedural(Source):
    """A source of `count` drawings, each a pure function of (style, seed, index): every call returns the same bits.

    `style` is "pretrain" (painted objects on plain backgrounds), "target" (the same palette on cluttered backgrounds)
    or "shifted" (other pens, palettes and backgrounds, with blur and noise). Classes alternate in a fixed cycle, so any
    stretch of images is balanced.

    Raises:
      UserError: for a negative count or seed, an unknown style, or a size below 16 pixels.
      IndexError: on access outside 0 <= index < count.
    """

    def __init__(self, count: int, *, style: Style, seed: int, size: int = 64):
        if style not in STYLES:
            raise UserError(f"procedural style {style!r}: expected one of {', '.join(STYLES)}")
        if count < 0 or seed < 0 or size < 16:
            raise UserError(f"procedural set: count {count}, seed {seed}, size {size}: expected at least 0, 0 and 16")
        self.seed, self.size = seed, size
        self.style: Style = style
        self.origin = "the built-in pictures"
        self.categories = tuple(KINDS[index % len(KINDS)].name for index in range(count))

    def __getitem__(self, index: int) -> Record:
        """Returns image `index`, decoded as uint8 [size, size, 3], with its class and the rationales that are drawn."""
        if not 0 <= index < len(self):
            raise IndexError(f"procedural picture {index}: expected 0 <= index < {len(self)}")
        return self._drawn(index, sample_scene(self.style, self.seed, index))

    def without(self, index: int, rationale: str) -> Record:
        """Returns image `index` without the part that is named `rationale`: all other parts and pixels stay.

        Raises UserError if the image does not show this part.
        """
        return self._drawn(index, without(sample_scene(self.style, self.seed, index), rationale))

    def mask(self, index: int, rationale: str) -> np.ndarray:
        """Returns the pixels of image `index` where the part named `rationale` is visible, bool [size, size].

        Raises UserError if the image does not show this part.
        """
        return part_mask(sample_scene(self.style, self.seed, index), rationale, self.size)

    def _drawn(self, index: int, scene: Scene) -> Record:
        image, name = paint(scene, self.size), f"{self.style}-{index}"
        return Record(image=image, category=scene.kind.name, rationales=scene.rationales, name=name)
