"""A vision tower whose last block stands apart from the stack, so that it, or its MLP alone, can be tuned."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ecor_jax.clip.vision import VisionTower


class SplitVision(nnx.Module):
    """The same function as the tower it is made of, whose arrays it shares.

    The last block is run for the CLS token alone, the only one that is projected: its MLP, and what is
    differentiated of it, costs one token instead of all.
    """

    def __init__(self, tower: VisionTower):
        self.trunk = nnx.clone(tower)
        graph, stack = nnx.split(tower.transformer.blocks)
        self.trunk.transformer.blocks = nnx.merge(graph, jax.tree.map(lambda leaf: leaf[:-1], stack))
        self.trunk.transformer.layers -= 1
        self.last = tower.transformer.last()

    def __call__(self, images: Float[Array, "batch size size 3"]) -> Float[Array, "batch embed"]:
        """Embeds normalised images."""
        return self.trunk.project(self.last(self.trunk.tokens(images), causal=False, first=1))

    def whole(self) -> VisionTower:
        """An ordinary tower with these weights."""
        tower = nnx.clone(self.trunk)
        graph, stack = nnx.split(self.trunk.transformer.blocks)
        last = nnx.state(self.last)
        stack = jax.tree.map(lambda leaves, leaf: jnp.concatenate([leaves, leaf[None]]), stack, last)
        tower.transformer.blocks = nnx.merge(graph, stack)
        tower.transformer.layers += 1
        return tower
