"""Maps and counterfactuals of a user's pictures: against all pairs at once, with fewer rationales, without a bank."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.api import load
from ecor_jax.clip.model import unit
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.explanation import mapped_view
from ecor_jax.tasks.rationale import details, explain
from ecor_jax.tasks.rationale.methods import METHODS, make_banks, words_of
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.saliency import pair_columns, saliency_maps

RATIONALES = {f"class {n}": [f"{n} long legs", f"a tail of {n} feet", "fur"] for n in range(6)}
VOCABULARY = Vocabulary.from_lists(RATIONALES)
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(3)]
CATEGORIES, RANKED = RNG.integers(0, 6, (3, 2)), RNG.integers(0, len(VOCABULARY.rationales), (3, 2))


@pytest.mark.parametrize("method, shards", [("ecor", 2), ("ecor_reversed", 1), ("clip", 2)])
def test_maps_are_those_of_the_log_probabilities_of_all_pairs(clip, method, shards):
    recipe, mesh = METHODS[method], make_mesh(shards)
    prompts = VisualPrompts(clip.clip.config.vision, 2, (0,), rngs=nnx.Rngs(0))
    _, inner = words_of(recipe, VOCABULARY).values()
    model = RationaleModel(clip, prompts, make_banks(recipe, clip, VOCABULARY, mesh), mesh, len(inner))
    columns = pair_columns(CATEGORIES, RANKED, recipe.order) | {"image": np.stack(IMAGES)}
    found = saliency_maps(model, columns, mesh, "test")
    assert found.shape == (3, 2, 2, 2) and found.min() >= 0

    banks, scale = make_banks(recipe, clip, VOCABULARY), clip.clip.scale()
    outer, inner = columns["outer"], columns["inner"]

    def of_all(embeddings):
        """The log-probabilities of the pairs, looked up among those of all pairs."""
        logits = scale * jnp.einsum("bd,oid->boi", unit(embeddings), banks.pair)
        if banks.outer is None:
            joint = jax.nn.log_softmax(logits.reshape(3, -1)).reshape(logits.shape)
        else:
            joint = jax.nn.log_softmax(scale * unit(embeddings) @ banks.outer.T)[:, :, None] + jax.nn.log_softmax(
                logits
            )
        return joint[np.arange(3)[:, None], outer, inner]

    pixels = normalise_pixels(jnp.asarray(columns["image"]), model.mean, model.std)
    expected = np.asarray(jax.jit(lambda pixels: saliency(clip.clip.vision, pixels, of_all, prompts))(pixels))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * expected.max())


def explained(clip, rationales=RATIONALES, **options):
    return load(str(clip), rationales=rationales).explain(IMAGES, **options)


def test_maps_without_a_bank_are_those_with_it(tiny_clip, monkeypatch):
    options = {"method": "ecor", "top_k": 4, "saliency": True}
    with_bank = explained(tiny_clip, **options)
    monkeypatch.setattr(explain, "MANY", 0)
    for here, there in zip(explained(tiny_clip, **options), with_bank, strict=True):
        assert here.view.size == (16, 16) and len(here.explanations[0].saliency) == 4
        maps, others = (np.stack([own.values for own in picture.explanations[0].saliency]) for picture in (here, there))
        np.testing.assert_allclose(maps, others, rtol=1e-3, atol=1e-4 * others.max())
    values = here.to_dict()["explanations"][0]["saliency"][0]
    assert values["shape"] == [2, 2] and values["unit"] == "nats" and np.shape(values["values"]) == (2, 2)
    assert values["range"] == [np.min(values["values"]), np.max(values["values"])]


def test_without_the_rationales_of_the_counterfactual_the_vote_is_another(tiny_clip):
    found = [picture.explanations[0] for picture in explained(tiny_clip, method="ecor")]
    assert any(said.counterfactual.category for said in found)
    number = max(range(3), key=lambda number: len(found[number].counterfactual.removed))
    expected = found[number].counterfactual
    fewer = {name: [text for text in texts if text not in expected.removed] for name, texts in RATIONALES.items()}
    assert all(fewer.values())
    assert explained(tiny_clip, fewer, method="ecor")[number].explanations[0].voted == expected.category


def test_no_counterfactual_where_the_category_comes_first(tiny_clip):
    assert all(own.explanations[0].counterfactual is None for own in explained(tiny_clip, method="ecor_reversed"))


def test_a_vocabulary_with_fewer_pairs_than_are_ranked_is_complete():
    ecor = METHODS["ecor"]
    assert details.depth(ecor, VOCABULARY, 5) == 6 * 13 and details.depth(METHODS["ecor_reversed"], VOCABULARY, 5) == 5


def test_the_view_is_the_part_of_the_picture_that_has_patches():
    pixels = np.arange(23 * 23 * 3, dtype=np.uint8).reshape(23, 23, 3)
    np.testing.assert_array_equal(np.asarray(mapped_view(pixels, 7)), pixels[:21, :21])
