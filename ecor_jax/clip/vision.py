"""The vision tower of CLIP and SigLIP: image normalisation and images to image embeddings."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.transformer import ACTIVATIONS, Attention, LayerNorm, Transformer, linear


def normalise_pixels(
    images: UInt8[Array, "batch size size 3"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Array, "batch size size 3"]:
    """Converts uint8 images to the input of a tower: `(x / 255 - mean) / std` for each colour channel."""
    centre, scale = (jnp.array(values, jnp.float32).reshape(1, 1, 1, 3) for values in (mean, std))
    return (images.astype(jnp.float32) / 255 - centre) / scale


class AttentionPool(nnx.Module):
    """Attention pooling: a learnt query (probe) attends to all tokens; then a residual MLP (SigLIP's MAP head)."""

    def __init__(self, config: ClipConfig, *, dtype, rngs: nnx.Rngs):
        vision, width = config.vision, config.vision.width
        self.probe = nnx.Param(width**-0.5 * rngs.params.normal((width,)))
        self.attention = Attention(width, vision.heads, vision.layers, dtype=dtype, rngs=rngs)
        self.ln = LayerNorm(width, epsilon=config.layer_norm_eps, dtype=dtype, rngs=rngs)
        self.mlp_in = linear(width, vision.mlp_width, (2 * width) ** -0.5, dtype=dtype, rngs=rngs)
        self.mlp_out = linear(vision.mlp_width, width, (2 * vision.layers * width) ** -0.5, dtype=dtype, rngs=rngs)
        self.activation, self.dtype = config.activation, dtype

    def __call__(
        self, x: Float[Array, "batch tokens width"], value_scale: Float[Array, "batch tokens heads"] | None = None
    ) -> Float[Array, "batch width"]:
        probe = jnp.broadcast_to(self.probe[...].astype(self.dtype), (len(x), 1, x.shape[2]))
        x = self.attention.attend(probe, self.attention.keys_and_values(x, value_scale))[:, 0]
        return x + self.mlp_out(ACTIVATIONS[self.activation](self.mlp_in(self.ln(x))))


class VisionTower(nnx.Module):
    """A vision transformer that maps images to unnormalised embeddings; `VisionConfig` sets its parts.

    CLIP: CLS token, ln_pre, blocks, ln_post of the CLS token, projection. SigLIP: blocks, ln_post of all patches, pool.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        vision, eps = config.vision, config.layer_norm_eps
        scale, has_cls = vision.width**-0.5, vision.pooling == "cls"
        self.config, self.dtype = config, dtype
        # A convolution whose stride is its kernel size is one matrix product over (row, column, channel).
        pixels = 3 * vision.patch_size**2
        self.patch_embedding = linear(pixels, vision.width, use_bias=vision.patch_bias, dtype=dtype, rngs=rngs)
        self.class_embedding = nnx.Param(scale * rngs.params.normal((vision.width,))) if has_cls else None
        self.position_embedding = nnx.Param(scale * rngs.params.normal((has_cls + vision.patches, vision.width)))
        self.ln_pre = LayerNorm(vision.width, epsilon=eps, dtype=dtype, rngs=rngs) if vision.pre_norm else None
        self.transformer = Transformer(vision, config.activation, eps, causal=False, dtype=dtype, rngs=rngs)
        self.ln_post = LayerNorm(vision.width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.pool = None if has_cls else AttentionPool(config, dtype=dtype, rngs=rngs)
        self.projection = (
            linear(vision.width, config.embed_dim, use_bias=False, dtype=dtype, rngs=rngs)
            if vision.projection
            else None
        )

    def __call__(
        self,
        images: Float[Array, "batch size size 3"],
        prompts: VisualPrompts | None = None,
        kept_patches: Int[Array, "batch kept"] | None = None,
        value_scale: Float[Array, "attentions batch patches heads"] | None = None,
    ) -> Float[Array, "batch embed"]:
        """Embeds normalised images, with `prompts` among the tokens if given.

        kept_patches: numbers of the patches to keep, counted row by row; the others are dropped (FLIP, Li et al. 2023).
        None keeps all.
        value_scale: factors on the values of the patches in the attention of each block and, if the tower has one, of
        the pool; `clip.saliency` differentiates by them.
        """
        x = self.embed_patches(images, prompts, kept_patches)
        selected = slice(1 if self.pool is None else x.shape[1])
        of_pool = None
        if value_scale is not None:
            if self.pool is not None:
                value_scale, of_pool = value_scale[:-1], value_scale[-1]
            value_scale = _padded_with_ones(value_scale, before=x.shape[1] - value_scale.shape[2])
        if prompts is None:
            x = self.transformer(x, selected=selected, value_scale=value_scale)
        else:
            x = self._prompted(x, prompts, selected, value_scale)
        x = self.ln_post(x[:, 0]) if self.pool is None else self.pool(self.ln_post(x), of_pool)
        return (x if self.projection is None else self.projection(x)).astype(jnp.float32)

    def embed_patches(
        self,
        images: Float[Array, "batch size size 3"],
        prompts: VisualPrompts | None = None,
        kept_patches: Int[Array, "batch kept"] | None = None,
    ) -> Float[Array, "batch tokens width"]:
        """Returns the input tokens of the first block without those of `prompts`: CLS, if there is one, and patches."""
        x = self.patch_embedding(self._patches(images if prompts is None else prompts.framed(images)))
        positions = self.position_embedding[...].astype(self.dtype)
        x = x + (positions if self.class_embedding is None else positions[1:])[None]
        if kept_patches is not None:
            x = jnp.take_along_axis(x, kept_patches[:, :, None], axis=1)
        if self.class_embedding is not None:
            cls = (self.class_embedding + self.position_embedding[0]).astype(self.dtype)
            x = jnp.concatenate([jnp.broadcast_to(cls, (x.shape[0], 1, cls.size)), x], axis=1)
        return self.pre_norm(x)

    def pre_norm(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows width"]:
        """Applies ln_pre, if the tower has one, as to all input tokens of the first block."""
        return x if self.ln_pre is None else self.ln_pre(x)

    def _prompted(
        self,
        x: Float[Array, "batch tokens width"],
        prompts: VisualPrompts,
        selected: slice,
        value_scale: Float[Array, "layers batch tokens heads"] | None,
    ) -> Float[Array, "batch some width"]:
        """Runs the blocks with the prompts after the other tokens; they have no position, so any place works.

        Outputs at prompts that the next layer replaces are not needed. In such layers only the keys and values of the
        prompts are computed, once for all images. Outputs at the last layer's prompts are not pooled.
        """
        length, blocks = x.shape[1], self.transformer

        def scales(start: int, stop: int, shown: int = 0) -> Float[Array, "run batch tokens heads"] | None:
            return None if value_scale is None else _padded_with_ones(value_scale[start:stop], after=shown)

        if prompts.layers[0]:
            x = blocks(x, stop=prompts.layers[0], value_scale=scales(0, prompts.layers[0]))
        for start, stop, tokens in prompts.stretches(blocks.layers):
            if start == 0:
                first = self.pre_norm(tokens[:1].astype(self.dtype))
                tokens = jnp.concatenate([first, tokens[1:].astype(self.dtype)])
            if len(tokens) == stop - start:
                x = blocks(x, start=start, stop=stop, selected=selected, beside=tokens, value_scale=scales(start, stop))
            else:
                shown = jnp.broadcast_to(tokens[0].astype(self.dtype), (len(x), *tokens.shape[1:]))
                run = {"start": start, "stop": stop, "value_scale": scales(start, stop, shown.shape[1])}
                x = blocks(jnp.concatenate([x, shown], axis=1), selected=selected, **run)[:, :length]
        return x

    def _patches(self, images: Float[Array, "batch size size 3"]) -> Float[Array, "batch patches pixels"]:
        batch, p = images.shape[0], self.config.vision.patch_size
        side = images.shape[1] // p
        grid = images[:, : side * p, : side * p].astype(self.dtype).reshape(batch, side, p, side, p, 3)
        return jnp.transpose(grid, (0, 1, 3, 2, 4, 5)).reshape(batch, side**2, -1)


def _padded_with_ones(
    scale: Float[Array, "layers batch patches heads"], before: int = 0, after: int = 0
) -> Float[Array, "layers batch tokens heads"]:
    return jnp.pad(scale, ((0, 0), (0, 0), (before, after), (0, 0)), constant_values=1)


def random_patches(key: Array, batch: int, patches: int, kept: int) -> Int[Array, "batch kept"]:
    """Draws `kept` of `patches` patch numbers for each image, without replacement."""
    return jax.lax.top_k(jax.random.uniform(key, (batch, patches)), kept)[1]
