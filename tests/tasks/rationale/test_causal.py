"""The causal test: which parts are removed, the probabilities against brute force, and what its figures say."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.encode import Encode, GoldLabels
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.rationale.causal import (
    CausalTest,
    ChangedDrawings,
    PairProbability,
    Removal,
    Removals,
    causal_lines,
    choose_removals,
)
from ecor_jax.tasks.rationale.methods import METHODS, make_banks, words_of
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.options import RationaleData, RationaleEvaluation, RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale
from tests.tasks.rationale.brute import log_joint

WORDS = vocabulary()
COUNT = 12


@pytest.fixture(scope="module")
def drawings() -> Procedural:
    return Procedural(COUNT, style="target", seed=4, size=32)


def gold_of(drawings: Procedural) -> np.ndarray:
    gold = np.zeros((COUNT, len(WORDS.rationales)), bool)
    for index in range(COUNT):
        gold[index, [WORDS.rationales.index(text) for text in drawings[index]["rationales"]]] = True
    return gold


def test_the_part_of_the_first_pair_is_removed_and_the_unnamed_one_nearest_in_area(drawings):
    gold = gold_of(drawings)
    named = np.array([np.flatnonzero(row)[:2] for row in gold])  # two drawn parts of each
    named[0, 0] = np.flatnonzero(~gold[0])[0]  # a part that drawing 0 does not show
    categories = np.full((COUNT, 2), 7)
    found = choose_removals(drawings, categories, named, gold, WORDS)
    assert found.undrawn == 1 and found.single == sum(row.sum() == 2 for row in gold[1:])
    assert len(found.chosen) == COUNT - found.undrawn - found.single > 5
    for removal in found.chosen:
        shown = drawings[removal.index]["rationales"]
        texts = {WORDS.rationales[column] for column in named[removal.index]}
        assert removal.named == WORDS.rationales[named[removal.index, 0]] and removal.category == WORDS.classes[7]
        area = drawings.mask(removal.index, removal.named).sum()
        distances = {
            text: abs(int(drawings.mask(removal.index, text).sum()) - int(area)) for text in shown if text not in texts
        }
        assert distances[removal.other] == min(distances.values())


def test_a_drawing_whose_parts_are_all_named_has_no_other_part(drawings):
    gold = gold_of(drawings)
    top = np.stack([np.resize(np.flatnonzero(row), gold.sum(axis=1).max()) for row in gold])
    assert choose_removals(drawings, np.zeros_like(top), top, gold, WORDS) == Removals((), 0, COUNT)


@pytest.mark.parametrize(
    "method, shards", [pytest.param("ecor", 1, marks=pytest.mark.slow), ("ecor_reversed", 2), ("clip", 2)]
)
def test_probabilities_of_the_pair_and_of_its_rationale(clip, drawings, method, shards):
    shown = [drawings[index]["rationales"] for index in range(3)]
    removals = [Removal(index, WORDS.classes[30 + index], parts[0], parts[1]) for index, parts in enumerate(shown)]
    changed = ChangedDrawings(drawings, removals)
    for index in range(9):
        number, kind = index // 3, index % 3
        expected = drawings.without(number, shown[number][kind - 1]) if kind else drawings[number]
        np.testing.assert_array_equal(changed[index]["image"], expected["image"])
    recipe, mesh = METHODS[method], make_mesh(shards)
    banks, inner = make_banks(recipe, clip, WORDS), len(words_of(recipe, WORDS)["r" if "reversed" in method else "c"])
    prompts = VisualPrompts(clip.clip.config.vision, 2, (0,), rngs=nnx.Rngs(0))
    model = RationaleModel(clip, prompts, make_banks(recipe, clip, WORDS, mesh), mesh, inner)
    encode = Encode(clip.preprocess, GoldLabels(WORDS))
    batches = list(eval_batches(changed, encode, batch_size=8))
    probabilities = map_batches(PairProbability(recipe.order), model, batches, mesh, total=9, name="test")
    assert probabilities.shape == (9, 2)
    for index in (0, 4, 8):
        pixels = encode(changed[index], np.random.default_rng(0))["image"]
        image = np.asarray(model.embed(jnp.asarray(pixels)[None]))[0]
        joint = np.exp(log_joint(image, banks, float(model.scale[...])))
        joint = joint.T if recipe.order == "category_first" else joint
        removal = removals[index // 3]
        r, c = WORDS.rationales.index(removal.named), WORDS.classes.index(removal.category)
        np.testing.assert_allclose(probabilities[index], [joint[r].sum(), joint[r, c]], rtol=2e-4)


def test_figures_are_means_over_the_drawings_and_their_difference_is_paired():
    rng = np.random.default_rng(0)
    before = rng.uniform(0.5, 0.9, (200, 2))
    probabilities = np.stack([before, before - 0.4, before - rng.uniform(0, 0.1, (200, 2))], axis=1)
    removals = Removals((), undrawn=3, single=2)
    result = CausalTest(removals, probabilities.astype(np.float32)).results
    assert (result["pictures"], result["undrawn"], result["single"]) == (200, 3, 2)
    for what in ("rationale", "pair"):
        figures = result[what]
        assert figures["named"]["value"] == pytest.approx(0.4, abs=1e-6)
        assert figures["before"]["value"] == pytest.approx(0.7, abs=0.02)
        np.testing.assert_allclose(figures["named"]["interval"], [0.4, 0.4], atol=1e-6)
        low, high = figures["difference"]["interval"]
        # The pairs differ by 0.3 to 0.4 uniformly, so the standard error of their mean is 0.1 / sqrt(12 * 200) = 0.002.
        assert low < figures["difference"]["value"] < high and high - low == pytest.approx(4 * 0.00204, rel=0.2)
    lines = list(causal_lines({"ecor": CausalTest(removals, probabilities), "clip": None}))
    assert len(lines) == 3 and "40.0 (40.0 to 40.0)" in lines[1]
    none = CausalTest(removals, np.zeros((0, 3, 2), np.float32))
    assert none.results["pair"]["named"] == {"value": None, "interval": None}
    assert list(causal_lines({"ecor": none}))[1].split() == ["ecor,", "rationale", "-", "-", "0"]


def test_other_pictures_have_no_causal_test(tiny_clip, tiny_pictures):
    pictures, rationales = tiny_pictures
    data, evaluation = RationaleData(images=str(pictures), rationales=str(rationales)), RationaleEvaluation(causal=True)
    options = RationaleOptions(data=data, evaluation=evaluation)
    with pytest.raises(UserError, match=r"evaluation\.causal is set; expected the built-in drawings"):
        Rationale(options, training=False).open(str(tiny_clip))
