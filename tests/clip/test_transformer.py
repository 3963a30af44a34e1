"""What blocks begin with, and looking at a part of the patches. Parity: test_parity.py, test_prompts.py."""

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


def test_every_layer_begins_with_weights_of_its_own():
    tower = TextConfig(9, 5, width=16, layers=3, heads=4, mlp_width=40)
    fresh = Transformer(tower, "gelu", 1e-5, causal=False, dtype=jnp.float32, rngs=nnx.Rngs(0))
    kernels = np.asarray(fresh.blocks.attention.query.kernel[...])
    assert kernels.shape == (3, 16, 16)
    assert len({kernel.tobytes() for kernel in kernels}) == 3


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
