"""What blocks begin with, and looking at a part of the patches. Parity: test_parity.py, test_prompts.py."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.ad_checkpoint import print_saved_residuals

from ecor_jax.clip.config import TextConfig, preset
from ecor_jax.clip.model import Clip, unit
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.transformer import Attention, Transformer
from ecor_jax.clip.vision import random_patches
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.parallel.mesh import UNROLLED, gathered, make_mesh, unstack
from ecor_jax.training.step import use_remat


def blocks(layers: int, width: int, mlp_width: int, *, causal: bool = False) -> Transformer:
    tower = TextConfig(9, 5, width, layers, heads=4, mlp_width=mlp_width)
    return Transformer(tower, "gelu", 1e-5, causal=causal, dtype=jnp.float32, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def clip():
    return Clip(preset("tiny/16-8"), rngs=nnx.Rngs(0))


def test_every_layer_begins_with_weights_of_its_own():
    fresh = blocks(3, 16, 40)
    kernels = np.asarray(fresh.blocks.attention.query.kernel[...])
    assert kernels.shape == (2, 16, 16)
    assert len({kernel.tobytes() for kernel in (*kernels, np.asarray(fresh.last.attention.query.kernel[...]))}) == 3


@pytest.mark.parametrize("count", [0, 3])
def test_the_last_block_works_for_cls_alone_and_deep_prompts_are_keys_and_values_alone(clip, count):
    """Operations of the matrix products, counted by hand."""
    batch, (vision, embed) = 2, (clip.config.vision, clip.config.embed_dim)
    width, mlp, tokens, blocks = vision.width, vision.mlp_width, vision.patches + 1, vision.layers - 1
    prompts = VisualPrompts(vision, count, tuple(range(vision.layers)), rngs=nnx.Rngs(0)) if count else None
    graph, state = nnx.split((clip.vision, prompts))

    def look(state, images):
        tower, prompts = nnx.merge(graph, state)
        return tower(images, prompts)

    images = jnp.zeros((batch, vision.image_size, vision.image_size, 3))
    attention = 4 * batch * (tokens + count) * width
    one = 2 * batch * tokens * (4 * width**2 + 2 * width * mlp) + tokens * attention
    last = 4 * batch * tokens * width**2 + 2 * batch * (2 * width**2 + 2 * width * mlp) + attention
    outside = 2 * batch * vision.patches * 3 * vision.patch_size**2 * width + 2 * batch * width * embed
    prompted = vision.layers * 4 * count * width**2  # once for all images
    assert matrix_flops(jax.jit(look).trace(state, images).jaxpr.jaxpr) == outside + blocks * one + last + prompted


@pytest.mark.parametrize("unrolled", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_what_is_kept_for_the_gradient_of_a_frozen_tower(capsys, unrolled, again):
    """What enters a block and, unless all is computed again, its products with weights; of the last, of CLS alone."""
    tower = blocks(5, 16, 40)
    if again:
        use_remat(tower)
    with UNROLLED(unrolled):
        print_saved_residuals(lambda x: tower(x, selected=slice(1)).sum(), jnp.ones((3, 6, 16)))
    lines = [line for line in capsys.readouterr().out.splitlines() if "from a constant" not in line]
    shapes = sorted(tuple(map(int, line.split("[")[1].split("]")[0].split(","))) for line in lines)
    everywhere = [(4, 3, 6, 16)] + ([] if again else [(4, 3, 6, 16)] * 4 + [(4, 3, 6, 40)])
    last = [(3, 6, 16)] + ([] if again else [(3, 6, 16)] * 2 + [(3, 1, 16)] * 2 + [(3, 1, 40)])
    assert shapes == sorted(everywhere + last)


def test_what_is_computed_again_is_the_same(clip):
    """The gradient is that of a loop over blocks that keeps everything, but for rounding."""
    x = jax.random.normal(jax.random.key(1), (2, clip.config.vision.patches + 1, clip.config.vision.width))
    once, all_again = clip.vision.transformer, nnx.clone(clip.vision.transformer)
    use_remat(all_again)
    for tower in (once, all_again):
        with jax.disable_jit():
            kept = jax.grad(lambda x, tower=tower: (tower(x, selected=slice(1)) ** 2).sum())(x)
        np.testing.assert_allclose(kept, slow_gradient(once, x), rtol=2e-4, atol=2e-5)


def slow_gradient(tower: Transformer, x: np.ndarray) -> np.ndarray:
    """Of a plain loop over blocks that keeps everything and runs the last one for all tokens."""
    graph, stack = nnx.split(tower.blocks)

    def loss(x):
        for layer in range(tower.layers - 1):
            x = nnx.merge(graph, jax.tree.map(lambda leaf, layer=layer: leaf[layer], stack))(x, causal=False)
        return (tower.last(x, causal=False)[:, :1] ** 2).sum()

    return np.asarray(jax.grad(loss)(x))


def test_layers_that_stand_apart_are_what_a_stack_of_them_is_and_are_not_copied():
    transformer = blocks(4, 64, 256, causal=True)
    mesh = make_mesh(devices=jax.devices()[:1])
    graph, stacked = nnx.split(transformer)
    layers = unstack(stacked, mesh)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 64)), jnp.float32)
    with UNROLLED(True):
        run = jax.jit(lambda state, x: nnx.merge(graph, gathered(state, mesh))(x))
        programs = [run.lower(state, x).compile() for state in (stacked, layers)]
    whole, each = np.asarray(programs[0](stacked, x)), np.asarray(programs[1](layers, x))
    assert whole.tobytes() == each.tobytes()
    copied, used = (program.memory_analysis().temp_size_in_bytes for program in programs)
    assert copied - used > transformer.last.mlp_in.kernel[...].nbytes


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
    assert kept.shape == (4000, 2) and (kept[:, 0] != kept[:, 1]).all()
    np.testing.assert_allclose(np.bincount(kept.reshape(-1), minlength=6) / 8000, 1 / 6, atol=0.02)


def test_unit_rows_have_length_one_and_a_zero_row_stays_with_a_finite_gradient():
    rows = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    gradient = jax.grad(lambda rows: jnp.sum(unit(rows)))(rows)
    np.testing.assert_allclose(gradient[0], [0.8 * 0.2 / 5, -0.6 * 0.2 / 5], rtol=1e-4)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("capability", "dtype", "length", "kernel"),
    [
        ("9.0", jnp.bfloat16, 50, "cudnn"),
        ("9.0", jnp.bfloat16, 1, "xla"),
        ("9.0", jnp.float32, 50, "xla"),
        ("7.5", jnp.bfloat16, 50, "xla"),
        ("gfx942", jnp.bfloat16, 50, "xla"),
        (None, jnp.bfloat16, 50, None),  # as sums of products
    ],
)
def test_which_kernel_computes_attention(monkeypatch, capability, dtype, length, kernel):
    """By what devices say of themselves; none of these is here but the last, a CPU."""
    if capability is not None:
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(jax, "local_devices", lambda: [types.SimpleNamespace(compute_capability=capability)])
    asked = []
    monkeypatch.setattr(
        jax.nn, "dot_product_attention", lambda q, k, v, **given: asked.append(given["implementation"]) or q
    )
    attention = Attention(64, 1, 1, dtype=dtype, rngs=nnx.Rngs(0))
    attention(jnp.ones((2, length, 64), dtype), causal=False)
    assert asked == ([kernel] if kernel else [])
