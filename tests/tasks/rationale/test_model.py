"""The loss of prompt tuning against slow NumPy, for every order of the factors and every option."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleLoss, RationaleModel
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale
from tests.tasks.rationale.brute import log_softmax
from tests.tasks.steps import gradients_of, unit_rows

C, R, B = 3, 4, 6
ORDERS = {
    "rationale_first": "ecor",
    "category_first": "ecor_reversed",
    "pairs": "dror",
    "independent": "ecor_independent",
}
# Rows 4 (no gold rationale) and 5 (masked) are not asked; rows 0 and 1 share class and rationale.
CATEGORY = np.array([1, 1, 0, 2, 2, 0], np.int32)
GOLD = np.array([[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
SINGLE = np.array([[0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
ASKED = np.array([0, 1, 2, 3])


class Given(RationaleModel):
    """Takes embeddings in the place of images, so that no tower is compiled where only the loss is looked at."""

    def embed(self, images):
        return images


def make_task(clip, order: str, kind: type[RationaleModel] = Given, **options) -> tuple[RationaleLearner, Banks]:
    rng, embed = np.random.default_rng(0), clip.clip.config.embed_dim
    first, second = (C, R) if order == "category_first" else (R, C)
    outer = None if order == "pairs" else unit_rows(rng, first, embed)
    pair = unit_rows(rng, 1 if order == "independent" else first, second, embed)
    banks = Banks(None if outer is None else jnp.asarray(outer), jnp.asarray(pair))
    prompts = VisualPrompts(clip.clip.config.vision, 2, (0,), rngs=nnx.Rngs(1))
    batches: Any = None
    return RationaleLearner(
        kind(clip, prompts, banks), METHODS[ORDERS[order]], batches, RationaleLoss(**options)
    ), banks


EMBEDDINGS = unit_rows(np.random.default_rng(2), B, 16)
PIXELS = np.random.default_rng(1).integers(0, 256, (B, 16, 16, 3)).astype(np.uint8)


def make_batch(gold=GOLD, image=EMBEDDINGS) -> dict[str, jax.Array]:
    arrays = {"image": image, "category": CATEGORY, "rationales": gold}
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def cross_entropy(logits, target) -> float:
    return -float(log_softmax(np.asarray(logits, np.float64))[target])


def info_nce(images, texts, same, scale) -> list[float]:
    """The mean of image-to-text and text-to-image, the target even over equal texts."""
    logits = [[scale * float(image @ text) for text in texts] for image in images]
    values = []
    for i in range(len(images)):
        chosen = [j for j in range(len(texts)) if same(i, j)]
        rows = [cross_entropy(logits[i], j) for j in chosen]
        columns = [cross_entropy([line[i] for line in logits], j) for j in chosen]
        values.append((sum(rows) + sum(columns)) / 2 / len(chosen))
    return values


def slow_terms(order, candidates, images, banks, scale, category, rationale) -> dict[str, list[float]]:
    """Each image's two terms, from the definition: what is asked first, then the other given it."""
    pair = np.asarray(banks.pair, np.float64)
    by_category = order == "category_first"
    first, second = (category, rationale) if by_category else (rationale, category)

    def given(outer: int):
        return pair[0] if order == "independent" else pair[outer]

    rows = range(len(images))
    if candidates == "batch":
        texts = [given(first[i])[second[i]] for i in rows]

        def same(i, j):
            return second[i] == second[j] and (order == "independent" or first[i] == first[j])

        terms = {"pair": info_nce(images, texts, same, scale)}
        if order != "pairs":
            texts = [np.asarray(banks.outer[first[i]], np.float64) for i in rows]
            terms["outer"] = info_nce(images, texts, lambda i, j: first[i] == first[j], scale)
        return terms
    if order == "pairs":
        everything = [(o, i) for o in range(R) for i in range(C)]
        logits = [[scale * image @ pair[o, i] for o, i in everything] for image in images]
        return {"pair": [cross_entropy(logits[i], everything.index((first[i], second[i]))) for i in rows]}
    return {
        "outer": [
            cross_entropy([scale * images[i] @ t for t in np.asarray(banks.outer, np.float64)], first[i]) for i in rows
        ],
        "pair": [cross_entropy([scale * images[i] @ t for t in given(first[i])], second[i]) for i in rows],
    }


def pseudo_labels(order, banks) -> list[int]:
    """DROR's: the gold rationale that fits the image best, with the gold class where the prompt names one."""
    pair, labels = np.asarray(banks.pair, np.float64), []
    for image, category, gold in zip(EMBEDDINGS.astype(np.float64), CATEGORY, GOLD, strict=True):

        def fit(r, image=image, category=category):
            if order == "category_first":
                return image @ pair[category, r]
            if order == "pairs":
                return image @ pair[r, category]
            return image @ np.asarray(banks.outer[r], np.float64)

        labels.append(max(np.flatnonzero(gold), key=fit, default=0))
    return labels


def loss_and_metrics(task, batch, seed=0):
    return jax.jit(lambda batch: task.loss(task.model, batch, jax.random.key(seed)))(batch)


@pytest.mark.optimized
@pytest.mark.parametrize(
    ("order", "candidates", "gold"), [*itertools.product(ORDERS, ("vocabulary", "batch"), ("draw", "pseudo"))]
)
def test_the_loss_equals_a_slow_one_of_the_asked_images_alone(clip, order, candidates, gold):
    task, banks = make_task(clip, order, candidates=candidates, gold=gold, outer_weight=0.5, pair_weight=2.0)
    # Where it is drawn there is one to draw; which one of several is tested below.
    batch = make_batch(SINGLE if gold == "draw" else GOLD)
    rationale = np.argmax(SINGLE, axis=1) if gold == "draw" else np.array(pseudo_labels(order, banks))
    images, scale = EMBEDDINGS.astype(np.float64), float(clip.clip.scale())
    terms = slow_terms(order, candidates, images[ASKED], banks, scale, CATEGORY[ASKED], rationale[ASKED])
    loss, metrics = loss_and_metrics(task, batch)
    assert set(metrics) == {f"{name}_loss" for name in terms}
    for name, values in terms.items():
        total, count = metrics[f"{name}_loss"]
        assert float(count) == 4
        assert float(total) == pytest.approx(sum(values), rel=2e-5)
    expected = sum({"outer": 0.5, "pair": 2.0}[name] * np.mean(values) for name, values in terms.items())
    assert float(loss) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("candidates", ["vocabulary", "batch"])
def test_gradients_are_finite_and_come_from_asked_images_only(clip, candidates):
    task, _ = make_task(clip, "rationale_first", RationaleModel, candidates=candidates)
    batch = make_batch(SINGLE, PIXELS)
    others = dict(batch)  # other pictures and another class where nothing is asked
    others["image"] = batch["image"].at[4:].set(255 - batch["image"][4:])
    others["category"] = batch["category"].at[4:].set(1)
    nothing = batch | {"rationales": jnp.zeros_like(batch["rationales"])}
    one, other, none = (gradients_of(task, given)["prompts/tokens"] for given in (batch, others, nothing))
    assert np.isfinite(one).all() and np.abs(one).max() > 0
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(none, 0)


def test_the_drawn_rationale_is_a_gold_one_and_each_as_often(clip):
    task, _ = make_task(clip, "rationale_first")
    images = jnp.zeros((B, 16))
    keys = jax.random.split(jax.random.key(3), 3000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: task._gold_rationale(task.model, images, make_batch(), key)))(keys))
    for row in np.flatnonzero(GOLD.any(axis=1)):
        counts = np.bincount(drawn[:, row], minlength=R)
        assert counts[~GOLD[row]].sum() == 0
        share = 1 / GOLD[row].sum()
        # Within five standard deviations of an even draw.
        np.testing.assert_allclose(counts[GOLD[row]] / 3000, share, atol=5 * (share * (1 - share) / 3000) ** 0.5)
    # Each image has a draw of its own.
    pairs = np.bincount(drawn[:, 2] * R + drawn[:, 3], minlength=R * R).reshape(R, R)[:2, 1:] / 3000
    np.testing.assert_allclose(pairs, 1 / 6, atol=0.04)


def test_a_step_draws_anew_with_its_key_and_the_same_with_the_same(clip):
    task, _ = make_task(clip, "rationale_first")
    run = jax.jit(lambda key: task.loss(task.model, make_batch(), key)[0])
    losses = [float(run(jax.random.key(seed))) for seed in (0, 0, 1, 2, 3)]
    assert losses[0] == losses[1]
    assert len(set(losses)) > 2


def test_embeddings_are_unit_and_need_no_prompts(clip):
    task, banks = make_task(clip, "pairs", RationaleModel)
    bare = RationaleModel(clip, None, Banks(None, jnp.asarray(banks.pair)))
    embed = nnx.jit(lambda model, images: model.embed(images))
    prompted, plain = (np.asarray(embed(one, jnp.asarray(PIXELS))) for one in (task.model, bare))
    for rows in (prompted, plain):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert np.abs(prompted - plain).max() > 1e-3


def test_batches_of_pairs_need_a_prompt_of_each():
    options = RationaleOptions(method=("ecor", "cci_tuned"), loss=RationaleLoss(candidates="batch"))
    with pytest.raises(UserError, match=r"loss\.candidates is 'batch', which needs a prompt .*; cci_tuned has none"):
        Rationale(options, training=True)
