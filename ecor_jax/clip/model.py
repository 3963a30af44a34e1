"""CLIP and its kin: the two towers and the temperature between them."""

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
    """Contrastive image and text encoders (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023).

    Parameters are float32; `dtype` is what the towers compute in. Embeddings come out float32, unnormalised.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        self.config = config
        self.vision = VisionTower(config, dtype=dtype, rngs=rngs)
        self.text = TextTower(config, dtype=dtype, rngs=rngs)
        # SigLIP section 3.2: a weak scale and a strong bias, or the many negatives swamp the first steps.
        self.logit_scale = nnx.Param(jnp.float32(math.log(10 if config.logit_bias else 1 / 0.07)))
        self.logit_bias = nnx.Param(jnp.float32(-10)) if config.logit_bias else None

    def scale(self) -> Float[Array, ""]:
        """The factor on cosine similarities: exp(logit_scale), at most 100 as OpenAI trained it.

        Of a model with a logit bias it is the learnt one, whatever its size (SigLIP's is about 117). In a softmax over
        candidates the bias cancels.
        """
        scale = jnp.exp(self.logit_scale[...])
        return jnp.minimum(scale, MAX_SCALE) if self.logit_bias is None else scale


def unit(x: Float[Array, "*rows embed"]) -> Float[Array, "*rows embed"]:
    """Rows scaled to length one; zero rows stay zero."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))
