"""The scan over stacked blocks against a plain loop, and looking at a part of the patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.config import TextConfig, preset
from ecor_jax.clip.model import Clip, unit
from ecor_jax.clip.transformer import Transformer
from ecor_jax.clip.vision import random_patches

pytestmark = pytest.mark.usefixtures("strict_dtypes")

WIDTH, HEADS, LAYERS = 16, 4, 3
TOWER = TextConfig(9, 5, WIDTH, LAYERS, HEADS, mlp_width=40)


def make(activation: str, causal: bool) -> Transformer:
    transformer = Transformer(TOWER, activation, 1e-3, causal=causal, dtype=jnp.float32, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    noisy = jax.tree.map(
        lambda leaf: leaf + 0.3 * jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), nnx.state(transformer)
    )
    nnx.update(transformer, noisy)
    return transformer


tokens = np.random.default_rng(1).normal(size=(2, 5, WIDTH)).astype(np.float32)


@pytest.mark.parametrize(("activation", "causal"), [("quick_gelu", True), ("gelu", False)])
def test_the_scan_equals_a_plain_loop_over_the_blocks(slow_blocks, activation, causal):
    transformer = make(activation, causal)
    options = {"heads": HEADS, "activation": activation, "eps": 1e-3, "causal": causal}
    expected = [slow_blocks(transformer, row.astype(np.float64), **options) for row in tokens]
    np.testing.assert_allclose(nnx.jit(lambda t, x: t(x))(transformer, tokens), expected, atol=2e-5)


def test_running_some_blocks_and_then_the_rest_is_running_all():
    transformer = make("gelu", False)
    split = nnx.jit(lambda t, x: t(t(x, stop=1), start=1))
    np.testing.assert_allclose(
        split(transformer, tokens), nnx.jit(lambda t, x: t(x))(transformer, tokens), rtol=1e-5, atol=1e-5
    )


def test_every_layer_begins_with_weights_of_its_own():
    fresh = Transformer(TOWER, "gelu", 1e-5, causal=False, dtype=jnp.float32, rngs=nnx.Rngs(0))
    kernels = np.asarray(fresh.blocks.attention.query.kernel[...])
    assert kernels.shape == (LAYERS, WIDTH, WIDTH)
    assert len({kernel.tobytes() for kernel in kernels}) == LAYERS


@pytest.fixture(scope="module")
def clip():
    return Clip(preset("tiny/16-8"), rngs=nnx.Rngs(0))


images = np.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(np.float32)
look = nnx.jit(lambda tower, images, kept: tower(images, kept_patches=kept))


def test_kept_patches_are_looked_at_and_the_others_are_not(clip, slow_vision):
    kept = jnp.array([[2, 0], [3, 1]])
    expected = [slow_vision(clip.vision, clip.config, image, kept=row) for image, row in zip(images, kept, strict=True)]
    found = look(clip.vision, images, kept)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # Patch 0 of the second image is dropped, patch 3 is not.
    dropped, seen = images.copy(), images.copy()
    dropped[1, :8, :8] += 5
    seen[1, 8:, 8:] += 5
    np.testing.assert_array_equal(look(clip.vision, dropped, kept), found)
    assert np.abs(look(clip.vision, seen, kept)[1] - found[1]).max() > 1e-3


def test_random_patches_are_distinct_and_each_as_likely():
    kept = np.asarray(random_patches(jax.random.key(0), 4000, 6, 2))
    assert kept.shape == (4000, 2)
    assert (kept[:, 0] != kept[:, 1]).all()
    counts = np.bincount(kept.reshape(-1), minlength=6)
    np.testing.assert_allclose(counts / 8000, 1 / 6, atol=0.02)


def test_unit_rows_have_length_one_and_a_zero_row_stays_with_a_finite_gradient():
    rows = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    gradient = jax.grad(lambda rows: jnp.sum(unit(rows)))(rows)
    np.testing.assert_allclose(gradient[0], [0.8 * 0.2 / 5, -0.6 * 0.2 / 5], rtol=1e-4)
    assert np.isfinite(gradient).all()
