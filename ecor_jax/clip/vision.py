"""CLIP's vision transformer."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.transformer import Transformer, linear


def normalise_pixels(
    images: UInt8[Array, "batch size size 3"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Array, "batch size size 3"]:
    """Bytes to the floats a tower takes: `(x / 255 - mean) / std` for each colour channel."""
    return (images.astype(jnp.float32) / 255 - jnp.array(mean, jnp.float32)) / jnp.array(std, jnp.float32)


class VisionTower(nnx.Module):
    """Images to unnormalised embeddings: patches, ln_pre, blocks, ln_post of the CLS token, projection."""

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        vision, eps = config.vision, config.layer_norm_eps
        scale = vision.width**-0.5
        self.patch_size, self.dtype = vision.patch_size, dtype
        # A convolution whose stride is its size is one matrix product over (row, column, channel).
        pixels = 3 * vision.patch_size**2
        self.patch_embedding = linear(pixels, vision.width, use_bias=False, dtype=dtype, rngs=rngs)
        self.class_embedding = nnx.Param(scale * rngs.params.normal((vision.width,)))
        self.position_embedding = nnx.Param(scale * rngs.params.normal((1 + vision.patches, vision.width)))
        self.ln_pre = nnx.LayerNorm(vision.width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.transformer = Transformer(vision, config.activation, eps, causal=False, dtype=dtype, rngs=rngs)
        self.ln_post = nnx.LayerNorm(vision.width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.projection = linear(vision.width, config.embed_dim, use_bias=False, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        images: Float[Array, "batch size size 3"],
        prompts: VisualPrompts | None = None,
        kept_patches: Int[Array, "batch kept"] | None = None,
    ) -> Float[Array, "batch embed"]:
        """Embeds normalised images, with `prompts` among the tokens if given.

        `kept_patches`: the patches (by number, row by row) to look at, all others are dropped (FLIP, Li et al.
        2023); None keeps all.
        """
        return self.project(self.tokens(images, prompts, kept_patches))

    def tokens(
        self,
        images: Float[Array, "batch size size 3"],
        prompts: VisualPrompts | None = None,
        kept_patches: Int[Array, "batch kept"] | None = None,
    ) -> Float[Array, "batch tokens width"]:
        """What comes out of the last block, CLS first; arguments as of the whole."""
        x = self.patch_embedding(self._patches(images))
        x = x + self.position_embedding[1:].astype(self.dtype)
        if kept_patches is not None:
            x = jnp.take_along_axis(x, kept_patches[:, :, None], axis=1)
        cls = (self.class_embedding + self.position_embedding[0]).astype(self.dtype)
        x = jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, cls.size)), x], axis=1)
        return self.transformer(self.ln_pre(x)) if prompts is None else self._prompted(x, prompts)

    def project(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch embed"]:
        """The embedding, from the CLS token."""
        return self.projection(self.ln_post(tokens[:, 0])).astype(jnp.float32)

    def _prompted(self, x: Float[Array, "batch tokens width"], prompts: VisualPrompts):
        first, slots = prompts.layers[0], prompts.slots(x.shape[1] - 1)
        if first == 0:
            x = self.ln_pre(prompts.insert(x))
        else:
            x = prompts.insert(self.transformer(self.ln_pre(x), stop=first))
        if len(prompts.layers) == 1:
            return self.transformer(x, start=first)
        fill, replace = prompts.schedule(self.transformer.layers)
        return self.transformer(x, start=first, slots=slots, fill=fill, replace=replace)

    def _patches(self, images: Float[Array, "batch size size 3"]) -> Float[Array, "batch patches pixels"]:
        batch, size, p = images.shape[0], images.shape[1], self.patch_size
        grid = images.astype(self.dtype).reshape(batch, size // p, p, size // p, p, 3)
        return jnp.transpose(grid, (0, 1, 3, 2, 4, 5)).reshape(batch, (size // p) ** 2, -1)


def random_patches(key: Array, batch: int, patches: int, kept: int) -> Int[Array, "batch kept"]:
    """`kept` of `patches` patch numbers for each image, without repetition."""
    return jax.lax.top_k(jax.random.uniform(key, (batch, patches)), kept)[1]
