"""Operations are counted as the architecture says, as XLA says where there are no loops, and as often as loops go."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.parallel.mesh import make_mesh


@pytest.mark.parametrize("name, published", [("openai/ViT-B-32", 4.4e9), ("openai/ViT-L-14", 81.1e9)])
def test_a_tower_takes_what_its_architecture_says(name, published):
    config = preset(name)
    clip = nnx.eval_shape(lambda: Clip(config, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(clip.vision)
    images = jax.ShapeDtypeStruct((3, config.vision.image_size, config.vision.image_size, 3), jnp.float32)
    counted = matrix_flops(jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, images).jaxpr)
    vision = config.vision
    width, patches, tokens = vision.width, vision.patches, vision.patches + 1
    block = tokens * (4 * width**2 + 2 * width * vision.mlp_width) + 2 * tokens**2 * width
    outside = patches * 3 * vision.patch_size**2 * width + width * config.embed_dim
    # Multiplications and additions, of which papers and timm count one; and in the last block those of all tokens.
    assert outside + vision.layers * block == pytest.approx(published, rel=0.02)
    last = 2 * tokens * width**2 + 2 * width**2 + 2 * width * vision.mlp_width + 2 * tokens * width
    assert counted == 3 * 2 * (outside + (vision.layers - 1) * block + last)


def test_as_xla_counts_where_nothing_is_a_loop():
    weights = [jnp.ones((64, 64)) for _ in range(3)]

    def loss(weights, x):
        for weight in weights:
            x = jnp.tanh(x @ weight)
        return jnp.einsum("bi,ci->bc", x, x).sum()

    step = jax.jit(jax.grad(loss)).trace(weights, jnp.ones((32, 64)))
    cost = step.lower().compile().cost_analysis()
    assert matrix_flops(step.jaxpr.jaxpr) == pytest.approx(cost["flops"], rel=0.05)

    def scanned(weights, x):
        x = jax.lax.scan(lambda x, weight: (jnp.tanh(x @ weight), None), x, weights)[0]
        return jnp.einsum("bi,ci->bc", x, x).sum()

    looped = jax.jit(jax.grad(scanned)).trace(jnp.stack(weights), jnp.ones((32, 64)))
    assert matrix_flops(looped.jaxpr.jaxpr) == pytest.approx(matrix_flops(step.jaxpr.jaxpr), rel=0.15)


def test_what_every_device_does_counts_for_all():
    split = jax.shard_map(
        lambda x, y: x @ y, mesh=make_mesh(2), in_specs=(PartitionSpec("data"), PartitionSpec()),
        out_specs=PartitionSpec("data"),
    )  # fmt: skip
    jaxpr = jax.make_jaxpr(split)(jnp.ones((8, 16)), jnp.ones((16, 4)))
    # The two devices along `model` do the same.
    assert matrix_flops(jaxpr.jaxpr) == 2 * (2 * 8 * 16 * 4)
