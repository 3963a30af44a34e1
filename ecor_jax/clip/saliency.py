"""Saliency maps of a vision tower: which patches of a picture raise a log-probability; attention rollout."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.vision import VisionTower


def saliency(
    tower: VisionTower,
    images: Float[Array, "batch size size 3"],
    log_probabilities: Callable[[Float[Array, "batch embed"]], Float[Array, "batch n"]],
    prompts: VisualPrompts | None = None,
) -> Float[Array, "batch n rows columns"]:
    """Computes maps over the patches of normalised images, in nats, one for each of n log-probabilities of an image.

    The values of patch j in head h of attention l are scaled by s[l, j, h], which is 1. The map at j is the sum over
    the attentions of all blocks, and of the pool if there is one, of the mean over heads of
    max(0, d log_probability / d s[l, j, h]). The derivative is attention times its gradient, summed over queries, as in
    Chefer et al. 2021, equation 5, which drops negative products before that sum; here they are dropped after it. So no
    attention weights are needed: any attention kernel, visual prompts and attention pooling are supported.

    log_probabilities: of each image, computed from its unnormalised embedding, independently of the other images.
    """
    vision = tower.config.vision
    attentions = vision.layers + (tower.pool is not None)
    side = vision.image_size // vision.patch_size
    ones = jnp.ones((attentions, len(images), side**2, vision.heads), jnp.float32)
    embeddings, backward = jax.vjp(lambda scale: tower(images, prompts, value_scale=scale), ones)
    values, backward_of_head = jax.vjp(log_probabilities, embeddings)

    def of_one(cotangent: Float[Array, "batch n"]) -> Float[Array, "batch patches"]:
        (gradient,) = backward(*backward_of_head(cotangent))
        return jnp.maximum(gradient, 0).mean(axis=-1).sum(axis=0)

    chosen = jnp.broadcast_to(jnp.eye(values.shape[1])[:, None], (values.shape[1], *values.shape))
    return jax.lax.map(of_one, chosen).swapaxes(0, 1).reshape(*values.shape, side, side)


def attention_rollout(
    tower: VisionTower, images: Float[Array, "batch size size 3"], prompts: VisualPrompts | None = None
) -> Float[Array, "batch rows columns"]:
    """Computes attention rollout (Abnar and Zuidema 2020, equation 1) from the output to the patches.

    It is the product over the blocks of (A + 1) / 2, where A is the mean of the attention weights over the heads: what
    the output attends to, whatever is asked. Of CLIP it is the row of CLS, of SigLIP the pool's attention. Prompts are
    tokens of no patch: a block that gets new ones receives nothing of the picture through them. Which block gets which
    prompts is as in `VisionTower`.
    """
    transformer = tower.transformer
    x = tower.embed_patches(images, prompts)
    batch, length, width = x.shape
    flow = jnp.broadcast_to(jnp.eye(length), (batch, length, length))  # of each token from the input tokens
    tokens = {} if prompts is None else dict(zip(prompts.layers, prompts.tokens[...].astype(x.dtype), strict=True))
    for number in range(transformer.layers):
        if number in tokens:
            own = tower.pre_norm(tokens[number]) if number == 0 else tokens[number]
            x = jnp.concatenate([x[:, :length], jnp.broadcast_to(own, (batch, *own.shape))], axis=1)
            flow = jnp.pad(flow[:, :length], ((0, 0), (0, len(own)), (0, 0)))
        block = transformer.block(number)
        normed = block.ln_1(x)
        weights = block.attention.weights(normed, block.attention.keys_and_values(normed))
        flow = (weights.mean(axis=1) @ flow + flow) / 2
        x = block(x, causal=False)
    if tower.pool is None:
        found = flow[:, 0, 1:]
    else:
        x = tower.ln_post(x[:, :length])
        attention = tower.pool.attention
        probe = jnp.broadcast_to(tower.pool.probe[...].astype(x.dtype), (batch, 1, width))
        found = (attention.weights(probe, attention.keys_and_values(x)).mean(axis=1) @ flow[:, :length])[:, 0]
    side = tower.config.vision.image_size // tower.config.vision.patch_size
    return found.reshape(batch, side, side)
