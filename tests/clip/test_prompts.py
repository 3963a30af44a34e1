"""Visual prompts: where the tokens stand, from which layer on, and how they begin."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.errors import UserError


def of_four_layers(name, **options):
    config = preset(name)
    return dataclasses.replace(config, vision=dataclasses.replace(config.vision, layers=4, **options))


CONFIG = of_four_layers("tiny/16-8")
SIGLIP = of_four_layers("tiny/siglip-16-8", image_size=18)  # whose last pixels are not read
COUNT = 3


def lively(tower):
    """Biases, norms and weights that a mistake cannot hide behind: none is 0 or 1, none is small."""
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + 0.2 * rng.normal(size=leaf.shape).astype(np.float32), nnx.state(tower))
    nnx.update(tower, moved)
    return tower


@pytest.fixture(scope="module")
def tower():
    return lively(Clip(CONFIG, rngs=nnx.Rngs(0)).vision)


def random_images(size: int):
    return jnp.asarray(np.random.default_rng(1).normal(size=(2, size, size, 3)), jnp.float32)


@pytest.fixture(scope="module")
def images():
    return random_images(16)


def prompts_of(config, layers, seed=2, **options) -> VisualPrompts:
    return VisualPrompts(config.vision, **({"count": COUNT, "layers": layers, "rngs": nnx.Rngs(seed)} | options))


embed = nnx.jit(lambda tower, images, prompts: tower(images, prompts))


def as_dict(prompts: VisualPrompts) -> dict[int, np.ndarray]:
    return dict(zip(prompts.layers, np.asarray(prompts.tokens[...]), strict=True))


@pytest.mark.parametrize("layers", [(0,), (0, 1, 2, 3), (0, 2), (1, 2), (1, 3), (3,)], ids=str)
def test_prompted_embeddings_equal_a_plain_loop(tower, images, slow_vision, layers):
    prompts = prompts_of(CONFIG, layers, initialisation="normal")
    expected = [slow_vision(tower, CONFIG, image, prompts=as_dict(prompts)) for image in images]
    np.testing.assert_allclose(embed(tower, images, prompts), expected, atol=2e-5)


@pytest.mark.parametrize("layers", [None, (0,), (0, 1, 2, 3), (1, 3)], ids=str)
def test_a_tower_without_cls_pools_its_patches_alone(slow_vision, layers):
    tower, images = lively(Clip(SIGLIP, rngs=nnx.Rngs(0)).vision), random_images(18)
    prompts = layers and prompts_of(SIGLIP, layers, initialisation="normal")
    expected = [slow_vision(tower, SIGLIP, image, prompts=prompts and as_dict(prompts)) for image in images]
    np.testing.assert_allclose(embed(tower, images, prompts), expected, atol=5e-5)
    kept = jnp.array([[0, 3], [2, 1]])
    expected = [slow_vision(tower, SIGLIP, image, kept=one) for image, one in zip(images, kept.tolist(), strict=True)]
    np.testing.assert_allclose(tower(images, kept_patches=kept), expected, atol=5e-5)


@pytest.mark.slow
def test_a_frame_is_added_to_the_picture_and_nothing_else_of_it_changes(tower, images):
    prompts, without = prompts_of(CONFIG, (0,), border=3), prompts_of(CONFIG, (0,))
    assert prompts.border.shape == (16**2 - 10**2, 3)
    framed = np.array(images)
    pixels = iter(np.asarray(prompts.border[...]))
    for row in range(16):
        for column in range(16):
            if not (3 <= row < 13 and 3 <= column < 13):
                framed[:, row, column] += next(pixels)
    np.testing.assert_array_equal(prompts.framed(images), framed)
    assert without.border is None and without.framed(images) is images
    np.testing.assert_array_equal(without.tokens[...], prompts.tokens[...])
    np.testing.assert_allclose(embed(tower, images, prompts), embed(tower, framed, without), atol=1e-6)
    gradient = nnx.grad(lambda prompts: tower(images, prompts).sum())(prompts)
    assert np.abs(gradient["border"][...]).max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "prompts.count is 0; expected at least 1"),
        ({"border": -1}, "prompts.border is -1; expected less than half of the 16 pixels"),
        ({"border": 8}, "prompts.border is 8; expected less than half of the 16 pixels"),
        ({"border": 100}, "prompts.border is 100; expected less than half of the 16 pixels"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        prompts_of(CONFIG, (0,), **options)


def test_initialisation_of_vpt_is_uniform_within_its_bound():
    # Jia et al. 2022, section 3.2: xavier uniform for 3 x patch x patch inputs and the width as outputs.
    vision = dataclasses.replace(CONFIG.vision, width=512, patch_size=16, image_size=16, heads=8)
    tokens = np.asarray(VisualPrompts(vision, 20, (0,), initialisation="vpt", rngs=nnx.Rngs(0)).tokens[...])
    bound = (6 / (3 * 16 * 16 + 512)) ** 0.5
    assert 0.99 * bound < np.abs(tokens).max() <= bound
    assert tokens.std() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert abs(tokens.mean()) < bound / 50


def test_layers_and_tokens_begin_differently_and_alike_for_one_seed():
    one, same, other = (np.asarray(prompts_of(CONFIG, (0, 1), seed).tokens[...]) for seed in (0, 0, 1))
    assert len(np.unique(one.reshape(-1, CONFIG.vision.width), axis=0)) == 2 * COUNT
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("text", "layers"),
    [("shallow", (0,)), ("deep", (0, 1, 2, 3)), ("0,2", (0, 2)), ("3", (3,)), (" 1, 2 ", (1, 2))],
)
def test_layers_by_name_or_number(text, layers):
    assert prompt_layers(text, 4) == layers


@pytest.mark.parametrize("text", ["", "all", "0,4", "-1", "2,1", "1,1", "0,,1", "1.5"])
def test_other_layers_are_refused(text):
    with pytest.raises(UserError, match=r"prompts\.layers is .* ascending numbers from 0 to 3"):
        prompt_layers(text, 4)
