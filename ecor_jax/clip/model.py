"""CLIP: the two towers and the temperature between them."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.text import TextTower
from ecor_jax.clip.vision import VisionTower

MAX_SCALE = 100.0


class Bank(nnx.Variable):
    """Text embeddings, encoded once and never trained."""


class Clip(nnx.Module):
    """Contrastive image and text encoders (Radford et al. 2021).

    Parameters are float32; `dtype` is what the towers compute in. Embeddings come out float32, unnormalised.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        self.config = config
        self.vision = VisionTower(config, dtype=dtype, rngs=rngs)
        self.text = TextTower(config, dtype=dtype, rngs=rngs)
        self.logit_scale = nnx.Param(jnp.float32(math.log(1 / 0.07)))

    def scale(self) -> Float[Array, ""]:
        """The factor on cosine similarities: exp(logit_scale), at most 100 as OpenAI trained it."""
        return jnp.minimum(jnp.exp(self.logit_scale[...]), MAX_SCALE)


def unit(x: Float[Array, "*rows embed"]) -> Float[Array, "*rows embed"]:
    """Rows scaled to length one; zero rows stay zero."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))
