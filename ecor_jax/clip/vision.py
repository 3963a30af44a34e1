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
        x = self.patch_embedding(self._patches(images))
        x = x + self.position_embedding[1:].astype(self.dtype)
        if kept_patches is not None:
            x = jnp.take_along_axis(x, kept_patches[:, :, None], axis=1)
        cls = (self.class_embedding + self.position_embedding[0]).astype(self.dtype)
        x = self.ln_pre(jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, cls.size)), x], axis=1))
        x = self.transformer(x, asked=1) if prompts is None else self._prompted(x, prompts)
        return self.projection(self.ln_post(x[:, 0])).astype(jnp.float32)

    def _prompted(self, x: Float[Array, "batch tokens width"], prompts: VisualPrompts):
        """Through the blocks with the prompts behind the others: they have no position, so any place will do.

        What comes out at prompts that the next layer replaces is of no use. There they are only looked at: their keys
        and values are computed once for all images, and nothing else of them.
        """
        length, blocks = x.shape[1], self.transformer
        if prompts.layers[0]:
            x = blocks(x, stop=prompts.layers[0])
        for start, stop, tokens in prompts.stretches(blocks.layers):
            if start == 0:
                tokens = jnp.concatenate([self.ln_pre(tokens[:1].astype(self.dtype)), tokens[1:].astype(self.dtype)])
            if len(tokens) == stop - start:
                x = blocks(x, start=start, stop=stop, asked=1, beside=tokens)
            else:
                shown = jnp.broadcast_to(tokens[0].astype(self.dtype), (len(x), *tokens.shape[1:]))
                x = blocks(jnp.concatenate([x, shown], axis=1), start=start, stop=stop, asked=1)[:, :length]
        return x

    def _patches(self, images: Float[Array, "batch size size 3"]) -> Float[Array, "batch patches pixels"]:
        batch, size, p = images.shape[0], images.shape[1], self.patch_size
        grid = images.astype(self.dtype).reshape(batch, size // p, p, size // p, p, 3)
        return jnp.transpose(grid, (0, 1, 3, 2, 4, 5)).reshape(batch, (size // p) ** 2, -1)


def random_patches(key: Array, batch: int, patches: int, kept: int) -> Int[Array, "batch kept"]:
    """`kept` of `patches` patch numbers for each image, without repetition."""
    return jax.lax.top_k(jax.random.uniform(key, (batch, patches)), kept)[1]
