"""Learnable visual prompt tokens (VPT, Jia et al. 2022; ECOR section III-C.2; DROR)."""

from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from ecor_jax.clip.config import VisionConfig
from ecor_jax.errors import UserError


class Prompt(nnx.Param):
    """A parameter that prompt tuning trains. Its type is what separates it from the frozen CLIP."""


class VisualPrompts(nnx.Module):
    """`count` tokens for each of the chosen `layers`, shape [layers, count, width].

    layers: ascending layer numbers (see `prompt_layers`); each layer's prompts replace the previous ones.
    position: 'after_cls' (VPT: [CLS, prompts, patches]) or 'end' (DROR: [CLS, patches, prompts]).
    initialisation: 'vpt', uniform within sqrt(6 / (3 patch^2 + width)), or 'normal', standard normal (DROR).
    Prompts carry no positional embedding; those of layer 0 pass ln_pre with the patches.
    """

    def __init__(
        self,
        vision: VisionConfig,
        count: int,
        layers: tuple[int, ...],
        *,
        position: Literal["after_cls", "end"] = "after_cls",
        initialisation: Literal["vpt", "normal"] = "vpt",
        rngs: nnx.Rngs,
    ):
        self.layers = layers
        if count < 1:
            raise UserError(f"prompts.count is {count}; expected at least 1")
        if position not in ("after_cls", "end"):
            raise UserError(f"prompts.position is {position!r}; expected 'after_cls' or 'end'")
        self.count, self.position = count, position
        shape = (len(self.layers), count, vision.width)
        if initialisation == "vpt":
            bound = (6 / (3 * vision.patch_size**2 + vision.width)) ** 0.5
            tokens = rngs.params.uniform(shape, minval=-bound, maxval=bound)
        else:
            tokens = rngs.params.normal(shape)
        self.tokens = Prompt(tokens)

    def slots(self, patches: int) -> slice:
        """Where the prompts stand in the token sequence [CLS, ...]."""
        start = 1 if self.position == "after_cls" else 1 + patches
        return slice(start, start + self.count)

    def insert(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch more width"]:
        """`x` with the first prompted layer's tokens put in their place."""
        start = self.slots(x.shape[1] - 1).start
        tokens = jnp.broadcast_to(self.tokens[0].astype(x.dtype), (x.shape[0], *self.tokens.shape[1:]))
        return jnp.concatenate([x[:, :start], tokens, x[:, start:]], axis=1)

    def schedule(self, layers: int) -> tuple[Float[Array, "rest count width"], Bool[Array, "rest"]]:
        """`fill` and `replace` of Transformer for the first prompted layer and all `rest` after it."""
        first = self.layers[0]
        at = jnp.array([layer - first for layer in self.layers])
        fill = jnp.zeros((layers - first, *self.tokens.shape[1:]), self.tokens.dtype)
        replace = jnp.zeros(layers - first, bool)
        # The first layer's prompts are in the sequence already (at layer 0 ln_pre has changed them since).
        return fill.at[at].set(self.tokens[...]), replace.at[at[1:]].set(True)


def prompt_layers(layers: str, depth: int) -> tuple[int, ...]:
    """The layer numbers that 'shallow', 'deep' or '0,4,8' stand for in a tower of `depth` layers."""
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
