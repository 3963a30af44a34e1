"""Saliency maps against finite differences, with every kind of prompts and pooling; attention rollout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip, unit
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.saliency import attention_rollout, saliency

PROMPTS = {"none": None, "shallow": (0,), "middle": (1,), "deep": (0, 1)}
IMAGES = np.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(np.float32)


def tower_and_prompts(name: str, prompts: str):
    config, layers = preset(name), PROMPTS[prompts]
    tower = Clip(config, rngs=nnx.Rngs(0)).vision
    return tower, None if layers is None else VisualPrompts(config.vision, 3, layers, rngs=nnx.Rngs(2))


@pytest.mark.parametrize(
    "name, prompts",
    [("tiny/16-8", "middle"), ("tiny/16-8", "deep"), ("tiny/siglip-16-8", "shallow")],
)
def test_the_maps_against_finite_differences(name, prompts):
    tower, tokens = tower_and_prompts(name, prompts)
    vision = tower.config.vision
    texts = unit(jax.random.normal(jax.random.key(3), (5, tower.config.embed_dim)))

    def log_probabilities(embeddings):
        return jax.nn.log_softmax(20 * unit(embeddings) @ texts.T)[:, 1:3]

    found = jax.jit(lambda images: saliency(tower, images, log_probabilities, tokens))(IMAGES)
    assert found.shape == (2, 2, 2, 2)
    attentions, step = vision.layers + (tower.pool is not None), 2e-2
    ones = np.ones((attentions, 2, 4, vision.heads), np.float32)
    asked = list(np.ndindex(attentions, 4, vision.heads))
    scales = np.repeat(ones[None], 2 * len(asked), axis=0)
    for number, (layer, patch, head) in enumerate(asked):
        scales[2 * number : 2 * number + 2, layer, :, patch, head] += np.array([[step], [-step]])
    embed = jax.jit(lambda scale: tower(jnp.asarray(IMAGES), tokens, value_scale=scale))
    np.testing.assert_allclose(embed(ones), tower(jnp.asarray(IMAGES), tokens), atol=1e-6)
    values = np.array([log_probabilities(embed(scale)) for scale in scales], np.float64)
    derivatives = (values[::2] - values[1::2]) / (2 * step)
    expected = np.zeros((2, 2, 4))
    for (_, patch, _), derivative in zip(asked, derivatives, strict=True):
        expected[:, :, patch] += np.maximum(derivative, 0) / vision.heads
    np.testing.assert_allclose(found.reshape(2, 2, 4), expected, atol=1e-3 * expected.max())
    assert expected.max() > 1e-3


@pytest.mark.parametrize("name", ["tiny/16-8", "tiny/siglip-16-8"])
def test_rollout_of_attention_that_is_uniform_is_uniform(name):
    tower, _ = tower_and_prompts(name, "none")
    for part in (tower.transformer.blocks, tower.transformer.last, *([tower.pool] if tower.pool else [])):
        query = part.attention.query
        query.kernel[...], query.bias[...] = jnp.zeros_like(query.kernel[...]), jnp.zeros_like(query.bias[...])
    # A block keeps half of a token, and spreads the other half over all tokens, of which CLS is one.
    tokens = 4 if tower.pool else 5
    expected = 1 / 4 if tower.pool else (1 - 0.5**tower.config.vision.layers) / tokens
    np.testing.assert_allclose(attention_rollout(tower, jnp.asarray(IMAGES)), np.full((2, 2, 2), expected), rtol=1e-5)


def test_rollout_of_the_attention_weights_of_transformers(transformers_clip, clip_of):
    torch = pytest.importorskip("torch")
    config = preset("tiny/16-8")
    reference = transformers_clip(config)
    reference.set_attn_implementation("eager")
    weights = {name: tensor.detach().numpy() for name, tensor in reference.state_dict().items()}
    with torch.no_grad():
        seen = reference.vision_model(torch.tensor(IMAGES.transpose(0, 3, 1, 2)), output_attentions=True).attentions
    flow = np.eye(5)
    for attention in seen:
        flow = (attention.double().numpy().mean(axis=1) + np.eye(5)) / 2 @ flow
    found = attention_rollout(clip_of(config, weights).vision, jnp.asarray(IMAGES))
    np.testing.assert_allclose(found.reshape(2, 4), flow[:, 0, 1:], rtol=1e-4)


@pytest.mark.parametrize("prompts", ["shallow", "middle", "deep"])
def test_prompts_pass_on_what_they_took_from_the_picture_until_others_replace_them(prompts):
    """Against products of whole attention matrices, in which a prompt begins with nothing of the picture."""
    tower, tokens = tower_and_prompts("tiny/16-8", prompts)
    assert tokens is not None and tower.config.vision.layers == 2
    x, flow = tower.embed_patches(jnp.asarray(IMAGES), tokens), np.eye(5)[None]
    for layer in range(2):
        if layer in tokens.layers:
            own = tokens.tokens[...][tokens.layers.index(layer)]
            own = tower.pre_norm(own) if layer == 0 else own
            x = jnp.concatenate([x[:, :5], jnp.broadcast_to(own, (2, *own.shape))], axis=1)
            flow = np.concatenate([np.broadcast_to(flow[:, :5], (2, 5, 5)), np.zeros((2, 3, 5))], axis=1)
        block = tower.transformer.block(layer)
        query, key = (
            np.asarray(part(block.ln_1(x)), np.float64).reshape(2, x.shape[1], block.attention.heads, -1)
            for part in (block.attention.query, block.attention.key)
        )
        logits = np.einsum("bthd,bshd->bhts", query, key) / query.shape[-1] ** 0.5
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        attention = (weights / weights.sum(axis=-1, keepdims=True)).mean(axis=1)
        flow = (attention + np.eye(x.shape[1])) / 2 @ flow
        x = block(x, causal=False)
    found = attention_rollout(tower, jnp.asarray(IMAGES), tokens)
    np.testing.assert_allclose(found.reshape(2, 4), flow[:, 0, 1:], rtol=1e-4)
