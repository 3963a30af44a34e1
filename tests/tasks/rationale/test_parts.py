"""The parts that explanations name, and the category's probability without each, against one drawing after another."""

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.data.procedural import vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import MethodResult
from ecor_jax.tasks.drawn_parts import mean_within, patches_of
from ecor_jax.tasks.rationale.methods import METHODS, make_banks
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.options import RationaleData, RationaleEvaluation, RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale
from tests.tasks.rationale.brute import log_joint

WORDS = vocabulary()
COUNT = 9


SLOW = (pytest.param(name, marks=pytest.mark.slow) for name in ("ecor_untuned", "ecor_reversed"))


@pytest.mark.parametrize("method", ["cci", *SLOW])
def test_the_probability_falls_by_what_the_named_part_is_worth(tiny_clip, method):
    data = RationaleData(name="drawings", images="procedural", test_count=COUNT)
    options = RationaleOptions(method=(method,), data=data, evaluation=RationaleEvaluation(parts=True, batch_size=8))
    task = Rationale(options, training=False)
    task.open(str(tiny_clip))
    found = task.evaluate(method, None)
    parts, drawings, banks = found.parts, task.dataset.drawings, make_banks(METHODS[method], task.clip, WORDS)
    assert drawings is not None
    model = RationaleModel(task.clip, None, banks)
    scale = float(model.scale[...])

    def of_categories(image: np.ndarray) -> np.ndarray:
        joint = np.exp(log_joint(np.asarray(model.embed(jnp.asarray(image)[None]))[0], banks, scale))
        return joint.sum(axis=1) if method == "ecor_reversed" else joint.sum(axis=0)

    for row in range(0, COUNT, 3):
        shown, said = drawings[row]["rationales"], found.predictions.categories[row].tolist()
        category = max(dict.fromkeys(said), key=said.count)  # of as many, the best-ranked one
        words = WORDS.rationales[found.predictions.rationales[row, said.index(category)]]
        assert parts["words_drawn"][row] == (words in shown)
        before = of_categories(drawings[row]["image"])
        after = of_categories(drawings.without(row, words)["image"]) if words in shown else before
        assert parts["words_drop"][row] == pytest.approx(before[category] - after[category], abs=1e-5)
        was, still = before[category] == before.max(), after[category] == after.max()
        assert parts["words_changes"][row] == (was and not still)
        if words in shown and said[0] == category and method != "ecor_reversed":
            assert parts["ranked_agrees"][row]
    for what in ("ranked", "saliency", "chance"):
        assert parts[f"{what}_drawn"].all()
    # An explanation that names the same part has the same fall; one that names none has no fall.
    for what in ("ranked", "saliency", "counterfactual", "chance"):
        same = parts[f"{what}_agrees"] == 1
        np.testing.assert_allclose(parts[f"{what}_drop"][same], parts["words_drop"][same], atol=1e-6)
        assert not parts[f"{what}_drop"][parts[f"{what}_drawn"] == 0].any()
    if method == "ecor_reversed":  # it has no counterfactual
        assert not parts["counterfactual_drawn"].any()
    results = task.results({method: MethodResult(None, found, 1.0)})["methods"][method]
    assert results["parts"]["words_drop"] == pytest.approx(parts["words_drop"].mean())
    outcomes = task.outcomes({method: MethodResult(None, found, 1.0)})[f"methods.{method}.parts"]
    assert len(outcomes.examples) == COUNT and "hit" in outcomes.metrics


def test_the_mean_of_a_map_over_a_part():
    values, mask = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((4, 4), bool)
    assert mean_within(values, mask) == -np.inf  # nothing is visible of it
    mask[:2, :2], mask[3, 3] = True, True  # all of the first patch, a quarter of the last
    np.testing.assert_allclose(patches_of(mask, 2), [[1, 0], [0, 0.25]])
    assert mean_within(values, mask) == pytest.approx((1 + 0.25 * 4) / 1.25)


def test_other_pictures_have_no_parts(tiny_clip, tiny_pictures):
    pictures, rationales = tiny_pictures
    data = RationaleData(images=str(pictures), rationales=str(rationales))
    options = RationaleOptions(data=data, evaluation=RationaleEvaluation(parts=True))
    with pytest.raises(UserError, match=r"evaluation\.parts is set; expected the built-in drawings"):
        Rationale(options, training=False).open(str(tiny_clip))
