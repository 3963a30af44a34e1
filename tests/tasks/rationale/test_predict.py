"""Answers for all pictures of a set, against the pairs of each picture alone; and what a second call costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.encode import Encode, GoldLabels
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.rationale.methods import METHODS, make_banks
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import predict
from tests.tasks.rationale.brute import log_joint, log_softmax

VOCABULARY = Vocabulary.from_lists({"cat": ["a tail", "fur"], "dog": ["fur"], "bee": ["wings"]})
COUNT, TOP = 11, 4


def source() -> InMemory:
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)
    records = [
        Record(image=picture, category=VOCABULARY.classes[number % 3], rationales=(), name=f"{number}.png")
        for number, picture in enumerate(pictures)
    ]
    return InMemory(records, "here")


def model_of(clip, method: str, seed: int = 0) -> RationaleModel:
    prompts = VisualPrompts(clip.clip.config.vision, 2, (0,), rngs=nnx.Rngs(seed))
    return RationaleModel(clip, prompts, make_banks(METHODS[method], clip, VOCABULARY))


def answers(clip, method: str, labelled: bool = True, seed: int = 0, model: RationaleModel | None = None):
    encode = Encode(clip.preprocess, GoldLabels(VOCABULARY) if labelled else None)
    batches = eval_batches(source(), encode, batch_size=8)
    model = model or model_of(clip, method, seed)
    return predict(model, METHODS[method], batches, top_k=TOP, mesh=make_mesh(), total=COUNT)


@pytest.mark.optimized
@pytest.mark.parametrize("method", ["ecor", "ecor_reversed", "clip", "cci"])
def test_the_best_pairs_of_every_picture(clip, method):
    found, model = answers(clip, method), model_of(clip, method)
    assert found.categories.shape == found.rationales.shape == found.probabilities.shape == (COUNT, TOP)
    np.testing.assert_array_equal(found.gold_category, np.arange(COUNT) % 3)
    np.testing.assert_array_equal(found.gold_rationales, VOCABULARY.gold[np.arange(COUNT) % 3])
    banks, scale = make_banks(METHODS[method], clip, VOCABULARY), float(model.scale[...])
    for number in (0, 7, 10):  # the last is in a padded batch
        image = np.asarray(model.embed(jnp.asarray(source()[number]["image"])[None]))[0]
        joint = np.exp(log_joint(image, banks, scale))
        if METHODS[method].order == "category_first":
            joint = joint.T  # rationales down, categories across
        best = np.sort(joint.ravel())[::-1][:TOP]
        np.testing.assert_allclose(found.probabilities[number], best, rtol=1e-4)
        np.testing.assert_allclose(joint[found.rationales[number], found.categories[number]], best, rtol=1e-4)
        np.testing.assert_allclose(found.category_confidence[number], joint.sum(axis=0).max(), rtol=1e-4)
        np.testing.assert_allclose(found.rationale_confidence[number], joint.sum(axis=1).max(), rtol=1e-4)
        if banks.outer is None:
            assert found.looked_at is None
        else:  # an outer candidate that is more probable than the k-th best pair may have a better one
            prior = np.exp(log_softmax(scale * np.asarray(banks.outer, np.float64) @ image))
            assert found.looked_at[number] == pytest.approx(np.mean(prior > best[-1]))
        assert found.category[number] == joint.sum(axis=0).argmax()
        assert found.rationale[number] == joint.sum(axis=1).argmax()


def test_pictures_without_labels(clip):
    found, labelled = answers(clip, "ecor", labelled=False), answers(clip, "ecor")
    np.testing.assert_array_equal(found.categories, labelled.categories)
    assert (found.gold_category == -1).all() and found.gold_rationales.shape == (COUNT, 0)


def test_a_second_call_compiles_nothing(clip):
    """Though the model is made anew, with other prompts."""
    compiled: list[str] = []

    def listen(event: str, seconds: float, **_):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        models = [model_of(clip, "ecor", seed) for seed in (0, 1, 2)]
        first = answers(clip, "ecor", model=models[0])
        compiled.clear()
        second = answers(clip, "ecor", model=models[1])
        assert compiled == []
        answers(clip, "dror", model=models[2])  # the same structure, but the method is none of the model's
        assert compiled == []
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not np.array_equal(first.probabilities, second.probabilities)


def test_weights_that_are_not_finite(clip):
    model = model_of(clip, "ecor")
    assert model.prompts is not None
    model.prompts.tokens[...] = jnp.full_like(model.prompts.tokens[...], jnp.nan)
    with pytest.raises(UserError, match="evaluate: the probabilities are not finite"):
        answers(clip, "ecor", model=model)
