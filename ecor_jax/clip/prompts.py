"""Learnable visual prompt tokens (VPT, Jia et al. 2022; ECOR section III-C.2; DROR)."""

import itertools
from collections.abc import Iterator
from typing import Literal

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ecor_jax.clip.config import VisionConfig
from ecor_jax.errors import UserError


class Prompt(nnx.Param):
    """A parameter that prompt tuning trains. Its type distinguishes it from the parameters of the frozen CLIP."""


class VisualPrompts(nnx.Module):
    """Learnable prompt tokens, `count` for each of the chosen `layers`, shape [layers, count, width].

    layers: ascending layer numbers (see `prompt_layers`); each layer's prompts replace the previous ones.
    initialisation: 'vpt', uniform within +-sqrt(6 / (3 patch^2 + width)), or 'normal', standard normal (DROR).
    border: width in pixels of a learnable frame that is added to the normalised image, initialised standard normal
      (VP's padding prompt, Bahng et al. 2022; DROR's optional pixel prompt uses 30); 0 for none.
    Prompts have no position embedding, so their place among the tokens does not matter (VPT: after CLS; DROR: at the
    end). Prompts of layer 0 pass through ln_pre with the patches.
    """

    def __init__(
        self,
        vision: VisionConfig,
        count: int,
        layers: tuple[int, ...],
        *,
        initialisation: Literal["vpt", "normal"] = "vpt",
        border: int = 0,
        rngs: nnx.Rngs,
    ):
        self.layers = layers
        if not 0 <= 2 * border < vision.image_size:
            raise UserError(
                f"prompts.border is {border}; expected less than half of the {vision.image_size} pixels of a picture"
            )
        if count < 1:
            raise UserError(f"prompts.count is {count}; expected at least 1")
        self.count = count
        shape = (len(self.layers), count, vision.width)
        if initialisation == "vpt":
            bound = (6 / (3 * vision.patch_size**2 + vision.width)) ** 0.5
            tokens = rngs.params.uniform(shape, minval=-bound, maxval=bound)
        else:
            tokens = rngs.params.normal(shape)
        self.tokens = Prompt(tokens)
        self.image_size, self.border_width = vision.image_size, border
        inner = vision.image_size - 2 * border
        pixels = vision.image_size**2 - inner**2
        self.border = Prompt(rngs.params.normal((pixels, 3))) if border else None

    def framed(self, images: Float[Array, "batch size size 3"]) -> Float[Array, "batch size size 3"]:
        """Adds the learnable frame, if any, to normalised images; its pixels are ordered row by row."""
        if self.border is None:
            return images
        inside = slice(self.border_width, -self.border_width)
        is_frame = np.ones((self.image_size, self.image_size), bool)
        is_frame[inside, inside] = False
        rows, columns = np.nonzero(is_frame)
        return images.at[:, rows, columns].add(self.border[...].astype(images.dtype))

    def stretches(self, depth: int) -> Iterator[tuple[int, int, Float[Array, "some count width"]]]:
        """Yields consecutive layer ranges of a tower of `depth` layers as (start, stop, tokens), in order.

        `tokens` has an entry for each layer, if every layer of the range has its own prompts; or one entry, if the
        prompts of the first layer stay among the tokens until the end of the range.
        """
        tokens, ends = self.tokens[...], (*self.layers[1:], depth)
        alone = [stop == start + 1 for start, stop in zip(self.layers, ends, strict=True)]
        for of_one_layer, group in itertools.groupby(range(len(self.layers)), alone.__getitem__):
            numbers = list(group)
            for first, last in [(numbers[0], numbers[-1])] if of_one_layer else zip(numbers, numbers, strict=True):
                yield self.layers[first], ends[last], tokens[first : last + 1]


def prompt_layers(layers: str, depth: int) -> tuple[int, ...]:
    """Parses 'shallow' (layer 0), 'deep' (all layers) or numbers such as '0,4,8' for a tower of `depth` layers."""
    if layers == "shallow":
        return (0,)
    if layers == "deep":
        return tuple(range(depth))
    try:
        numbers = tuple(int(number) for number in layers.split(","))
    except ValueError:
        numbers = ()
    if not numbers or list(numbers) != sorted(set(numbers)) or not 0 <= numbers[0] <= numbers[-1] < depth:
        raise UserError(
            f"prompts.layers is {layers!r}; expected 'shallow', 'deep' or ascending numbers from 0 to {depth - 1}"
        )
    return numbers
