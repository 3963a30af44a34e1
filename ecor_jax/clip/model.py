"""The dual encoder of CLIP and SigLIP: two towers and the learnt logit scale."""

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
    """A variable that is never trained: a text bank, or the logit scale of a frozen CLIP."""


class Clip(nnx.Module):
    """Contrastive image and text encoders (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023).

    Parameters are float32; the towers compute in `dtype`. Embeddings are float32 and not normalised.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        self.config = config
        self.vision = VisionTower(config, dtype=dtype, rngs=rngs)
        self.text = TextTower(config, dtype=dtype, rngs=rngs)
        # SigLIP (section 3.2) starts with a small scale and a large negative bias; otherwise the many negatives
        # dominate the first steps.
        self.logit_scale = nnx.Param(jnp.float32(math.log(10 if config.logit_bias else 1 / 0.07)))
        self.logit_bias = nnx.Param(jnp.float32(-10)) if config.logit_bias else None

    def scale(self) -> Float[Array, ""]:
        """Returns the factor on cosine similarities: exp(logit_scale), at most 100 as in OpenAI's training.

        Models with a logit bias use the learnt scale without that limit (SigLIP's is about 117). The bias cancels in a
        softmax over candidates.
        """
        scale = jnp.exp(self.logit_scale[...])
        return jnp.minimum(scale, MAX_SCALE) if self.logit_bias is None else scale


def unit(x: Float[Array, "*rows embed"]) -> Float[Array, "*rows embed"]:
    """Normalises rows to unit length; zero rows stay zero."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))
