"""A tower with its last block apart is the same tower."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.split import SplitVision

CONFIG = preset("tiny/16-8")


@pytest.fixture(scope="module")
def tower():
    return Clip(CONFIG, rngs=nnx.Rngs(0)).vision


def test_embeds_as_the_tower_it_is_made_of(tower):
    images = jax.random.normal(jax.random.key(0), (5, 16, 16, 3))
    np.testing.assert_allclose(SplitVision(tower)(images), tower(images), rtol=0, atol=1e-6)


def test_put_together_again_it_is_the_same_to_the_bit(tower):
    before = jax.tree.map(np.asarray, nnx.state(tower))
    split = SplitVision(tower)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(split.whole()), before)
    assert split.whole().transformer.layers == CONFIG.vision.layers
    # Every parameter is in one part once; a change of it leaves the tower alone.
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module))) for module in (split, tower)]
    assert sizes[0] == sizes[1]
    split.last.mlp_out.bias[...] += 1
    split.trunk.projection.kernel[...] += 1
    jax.tree.map(np.testing.assert_array_equal, nnx.state(tower), before)


def test_the_last_block_works_for_one_token(tower):
    """The MLP of a block is 2/3 of its weights; all but one token's share of it is saved."""
    split = SplitVision(tower)
    images = jnp.zeros((8, 16, 16, 3))

    def flops(module):
        graph, state = nnx.split(module)
        compiled = jax.jit(lambda state, x: nnx.merge(graph, state)(x)).lower(state, images).compile()
        return compiled.cost_analysis()["flops"]

    width, mlp, tokens = CONFIG.vision.width, CONFIG.vision.mlp_width, CONFIG.vision.patches + 1
    saved = 8 * (tokens - 1) * 2 * 2 * width * mlp
    # XLA counts a scan's body once, whatever its length.
    body = flops(tower)
    assert flops(split) < 2 * body - 0.9 * saved
