"""Diagnosis on toy features: its loss by loops and by PyTorch, and that it learns."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.tasks.concepts.model import HeadLoss, class_weights
from ecor_jax.training.loop import train
from tests.tasks.concepts.heads import CONCEPTS, EMBED, HEADS, ONES, ROWS, SINGLE, Rows, head, separable, task_of
from tests.tasks.steps import gradients_of, training

NAMES = ("No Finding", "Effusion", "Edema")


def crossed() -> Rows:
    """Exclusive or: the sign of the first feature times that of the second tells the class; no line does."""
    signs = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])[np.arange(ROWS) % 4]
    features = 0.1 * np.random.default_rng(3).normal(size=(ROWS, EMBED))
    features[:, :2] += signs
    target = np.eye(2, dtype=np.float32)[(np.arange(ROWS) % 4) // 2]
    return {"features": features.astype(np.float32), "target": target, "present": np.zeros((ROWS, CONCEPTS), bool)}


def unknowns() -> Rows:
    """Two findings: the first is that of `separable`, the second is known of every third study alone."""
    rows = separable()
    first = rows["target"][:, 1]
    second = np.where(np.arange(ROWS) % 3 == 0, 1 - first, np.float32(np.nan))
    return rows | {"target": np.stack([first, second], axis=1).astype(np.float32)}


def loss_of(task, rows: Rows):
    """The task's loss and metrics on all rows, nothing promoted in silence."""
    batch = {name: jnp.asarray(values) for name, values in rows.items()}
    with jax.numpy_dtype_promotion("strict"):
        loss, metrics = task.loss(task.model, batch, jax.random.key(0))
    return float(loss), {name: float(total) / float(count) for name, (total, count) in metrics.items()}


def logits_of(model, rows: Rows) -> np.ndarray:
    found = model(jnp.asarray(rows["features"]))
    return np.asarray(found if isinstance(model, BlackBox) else found.output, np.float64)


def accuracy(model, rows: Rows) -> float:
    return float((logits_of(model, rows).argmax(1) == rows["target"].argmax(1)).mean())


def torch_diagnosis(logits: np.ndarray, target: np.ndarray, single_label: bool, weights: np.ndarray) -> float:
    torch = pytest.importorskip("torch")
    function, given = torch.nn.functional, torch.tensor(weights, dtype=torch.float64)
    ours = torch.tensor(logits, dtype=torch.float64)
    if single_label:
        return float(function.cross_entropy(ours, torch.tensor(target.argmax(1)), weight=given))
    wanted = torch.tensor(target, dtype=torch.float64)
    return float(function.binary_cross_entropy_with_logits(ours, wanted, pos_weight=given))


def slow_concepts(model, rows: Rows, push_absent: bool) -> float:
    """Mean over images of the mean distance to the largest score, and pushed, of the absent to the smallest."""
    losses = []
    cosines = np.asarray(model(jnp.asarray(rows["features"])).cosines, np.float64)
    for row, there in zip(cosines, rows["present"], strict=True):
        up = [row.max() - value for value, one in zip(row, there, strict=True) if one]
        down = [value - row.min() for value, one in zip(row, there, strict=True) if not one and push_absent]
        losses.append(sum(up + down) / len(row) if up else 0.0)
    return float(np.mean(losses))


@pytest.mark.optimized
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("single_label", [True, False])
@pytest.mark.parametrize("push_absent", [True, False])
def test_the_loss_is_pytorchs_and_that_of_the_loops(kind, single_label, push_absent):
    """A black box knows no concepts, whatever they weigh."""
    rows, weights = separable(), np.array([0.4, 2.5], np.float32)
    task = task_of(rows, HeadLoss(single_label, weights, 2.0, push_absent), kind)
    logits = logits_of(task.model, rows)
    diagnosis = torch_diagnosis(logits, rows["target"], single_label, weights)
    concepts = slow_concepts(task.model, rows, push_absent) if kind == "bottleneck" else 0.0
    assert (concepts > 0.01) == (kind == "bottleneck")
    loss, metrics = loss_of(task, rows)
    assert loss == pytest.approx(diagnosis + 2 * concepts, rel=1e-5)
    right = logits.argmax(1) == rows["target"].argmax(1) if single_label else (logits > 0) == rows["target"]
    expected = {"diagnosis_loss": diagnosis, "concept_loss": concepts, "right": right.mean()}
    assert metrics == pytest.approx(expected, rel=1e-5)


def test_a_weight_of_zero_leaves_the_concept_loss_out():
    rows = separable()
    without, other = (task_of(rows, HeadLoss(True, ONES, weight)) for weight in (0.0, 2.0))
    loss, metrics = loss_of(without, rows)
    assert loss == pytest.approx(torch_diagnosis(logits_of(without.model, rows), rows["target"], True, ONES), rel=1e-6)
    assert metrics["concept_loss"] > 0.01, "it is still told"
    # Nor does it pull: which concepts are there makes no difference.
    turned = rows | {"present": ~rows["present"]}
    found = gradients_of(without, rows)
    for name, gradient in gradients_of(without, turned).items():
        np.testing.assert_array_equal(gradient, found[name], err_msg=name)
    pulled = gradients_of(other, rows), gradients_of(other, turned)
    assert np.abs(pulled[0]["adapter/down/kernel"] - pulled[1]["adapter/down/kernel"]).max() > 1e-3
    # The end of the bottleneck is behind the concepts: their loss does not reach it.
    for name in ("aggregation/kernel", "aggregation/bias"):
        np.testing.assert_allclose(pulled[0][name], found[name], rtol=1e-5, atol=1e-7, err_msg=name)


def slow_cosines(model: Bottleneck, features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """In float64, with `kernel` for the second layer of the adapter."""
    assert model.adapter is not None
    down, bank = (np.asarray(leaf[...], np.float64) for leaf in (model.adapter.down.kernel, model.bank))
    wide = features.astype(np.float64)
    adapted = 0.5 * wide + 0.5 * np.maximum(wide @ down, 0) @ kernel
    return adapted @ bank.T / np.linalg.norm(adapted, axis=1, keepdims=True)


@pytest.mark.parametrize("push_absent", [True, False])
def test_only_what_is_present_pulls_unless_what_is_absent_is_pushed(push_absent):
    """Where the end says nothing, the gradient of the adapter is that of the concept loss, by differences."""
    rows = separable()
    task = task_of(rows, HeadLoss(True, ONES, 2.0, push_absent))
    assert isinstance(task.model, Bottleneck) and task.model.adapter is not None
    task.model.aggregation.kernel[...] = jnp.zeros((CONCEPTS, 2))
    found = gradients_of(task, rows)["adapter/up/kernel"]
    kernel = np.asarray(task.model.adapter.up.kernel[...], np.float64)
    # Targets are constants: taken at the start, and kept.
    scores = slow_cosines(task.model, rows["features"], kernel)
    target = np.where(rows["present"], scores.max(1, keepdims=True), scores.min(1, keepdims=True))
    counted = (rows["present"] | push_absent) & rows["present"].any(1, keepdims=True)
    expected = np.zeros(kernel.shape)
    for entry in np.ndindex(*kernel.shape):
        step = np.zeros(kernel.shape)
        step[entry] = 1e-6
        sides = [slow_cosines(task.model, rows["features"], kernel + sign * step) for sign in (1, -1)]
        # At the tip of |x|, where the largest and the smallest are, both sides cancel: the slope there is 0.
        distance = [2 * (np.abs(side - target) * counted).mean() for side in sides]
        expected[entry] = (distance[0] - distance[1]) / 2e-6
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", HEADS)
def test_what_is_not_known_takes_no_part_and_gradients_stay_finite(kind):
    rows = unknowns()
    task = task_of(rows, HeadLoss(False, np.array([1, 3], np.float32), 0.0), kind)
    expected, right = [], []
    for row, wanted in zip(logits_of(task.model, rows), rows["target"], strict=True):
        known = [(z, t, w) for z, t, w in zip(row, wanted, (1, 3), strict=True) if not math.isnan(t)]
        each = [math.log1p(math.exp(-z)) * w if t else math.log1p(math.exp(z)) for z, t, w in known]
        expected.append(sum(each) / len(each))
        right.append(sum((z > 0) == (t == 1) for z, t, _ in known) / len(known))
    loss, metrics = loss_of(task, rows)
    assert (loss, metrics["right"]) == (pytest.approx(np.mean(expected), rel=1e-5), pytest.approx(np.mean(right)))
    assert all(np.isfinite(gradient).all() for gradient in gradients_of(task, rows).values())


@pytest.mark.parametrize("kind", HEADS)
def test_a_study_of_which_nothing_is_known_has_no_gradient(kind):
    nothing = {"target": np.full((ROWS, 2), np.nan, np.float32), "present": np.zeros((ROWS, CONCEPTS), bool)}
    rows = separable() | nothing
    task = task_of(rows, HeadLoss(False, ONES, 2.0, True), kind)
    loss, metrics = loss_of(task, rows)
    assert loss == 0 and metrics["right"] == 0
    assert not any(gradient.any() for gradient in gradients_of(task, rows).values())


@pytest.mark.parametrize("kind", HEADS)
def test_features_of_no_length_have_finite_gradients(kind):
    rows = separable() | {"features": np.zeros((ROWS, EMBED), np.float32)}
    assert all(np.isfinite(gradient).all() for gradient in gradients_of(task_of(rows, SINGLE, kind), rows).values())


@pytest.mark.parametrize(("kind", "adapter"), [("bottleneck", True), ("bottleneck", False), ("linear", 0), ("mlp", 0)])
def test_a_separable_problem_is_learnt(kind, adapter, tmp_path):
    rows = separable()
    found = train(task_of(rows, SINGLE, kind, adapter=adapter), training(60), tmp_path, kind)
    assert accuracy(found, rows) == 1.0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {line["run"] for line in lines} == {kind}
    assert lines[-1]["diagnosis_loss"] < 0.5 * lines[0]["diagnosis_loss"] and lines[-1]["right"] == 1.0


def test_what_no_line_separates_a_hidden_layer_learns(tmp_path):
    rows = crossed()
    for kind in ("linear", "mlp"):
        found = train(task_of(rows, SINGLE, kind), training(80), tmp_path / kind, kind)
        assert accuracy(found, rows) == 1.0 if kind == "mlp" else accuracy(found, rows) <= 0.75


@pytest.mark.parametrize("kind", HEADS)
def test_several_findings_are_learnt_where_they_are_known(kind, tmp_path):
    rows = unknowns()
    weights = class_weights(rows["target"], NAMES[:2], single_label=False, balanced=True)
    found = logits_of(train(task_of(rows, HeadLoss(False, weights, 0.0), kind), training(60), tmp_path, kind), rows)
    known = ~np.isnan(rows["target"])
    assert ((found > 0) == (rows["target"] == 1))[known].all()
    # The second finding is the opposite of the first; so it is said of the others, too.
    assert ((found[:, 1] > 0) == (rows["target"][:, 0] == 0)).mean() > 0.9


def test_concepts_that_are_there_move_up_and_pushed_ones_down(tmp_path):
    rows, half = separable(), CONCEPTS // 2
    models = {"start": head()}
    for name, push_absent in (("pulled", False), ("pushed", True)):
        task = task_of(rows, HeadLoss(True, ONES, 20.0, push_absent))
        models[name] = train(task, training(40, 0.02), tmp_path / name, "bottleneck")
    there, absent, below = {}, {}, {}
    for name, model in models.items():
        scores = np.asarray(model(jnp.asarray(rows["features"])).cosines)[rows["present"].any(axis=1)]
        there[name], absent[name] = scores[:, :half].mean(), scores[:, half:].mean()
        below[name] = (scores.max(axis=1, keepdims=True) - scores[:, :half]).mean()
    assert max(below["pulled"], below["pushed"]) < 0.5 * below["start"]
    assert there["pulled"] > there["start"] and absent["pushed"] < min(absent["pulled"], absent["start"])


@pytest.mark.parametrize("width", [0, 5])
def test_a_black_box_is_its_equations(width):
    ours, x = BlackBox(EMBED, width, 3, rngs=nnx.Rngs(1)), separable()["features"]
    values = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    assert (ours.hidden is None) == (width == 0)
    for layer in (ours.hidden, ours.last):
        if layer is not None:
            assert layer.bias is not None
            layer.bias[...] = jnp.linspace(-0.5, 0.5, layer.bias.shape[0])
            values = values @ np.asarray(layer.kernel[...], np.float64) + np.asarray(layer.bias[...])
            values = np.maximum(values, 0) if layer is ours.hidden else values
    # The length of a feature means nothing, as in the bottleneck.
    for factor in (1, 100):
        np.testing.assert_allclose(ours(jnp.asarray(factor * x)), values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "single_label", "balanced", "expected"),
    [
        # Balanced classes weigh the same in all; positives of a finding weigh what its known negatives do.
        (np.eye(2)[[0] * 9 + [1]], True, True, [10 / 18, 5]),
        ([[1, 0, 1], [0, 0, math.nan], [0, 1, 0], [0, 0, 0], [math.nan, 1, 0]], False, True, [3, 3 / 2, 3]),
        (np.eye(2)[[0] * 9 + [1]], True, False, [1, 1]),
        (np.eye(2)[[0] * 9 + [1]], False, False, [1, 1]),
    ],
)
def test_weights_of_classes(target, single_label, balanced, expected):
    weights = class_weights(np.array(target, np.float32), NAMES[: len(expected)], single_label, balanced)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize(
    ("target", "single_label", "told"),
    [
        ([[1, 0], [1, 0]], True, "2 have 'No Finding' and 0 have not"),
        ([[1, 0, 0], [0, 0, 1]], True, "0 have 'Effusion' and 2 have not"),
        ([[1, 0], [0, 0]], False, "0 have 'Effusion' and 2 have not"),
        ([[1, 1], [0, 1]], False, "2 have 'Effusion' and 0 have not"),
        ([[math.nan, 1], [1, 0]], False, "1 have 'No Finding' and 0 have not"),
        ([[math.nan, 1], [math.nan, 0]], False, "0 have 'No Finding' and 0 have not"),
    ],
)
def test_a_class_that_all_or_none_have_is_refused(target, single_label, balanced, told):
    with pytest.raises(UserError) as error:
        class_weights(np.array(target, np.float32), NAMES[: len(target[0])], single_label, balanced)
    assert str(error.value) == f"of the pictures to train on {told}; expected some of either"


@pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
def test_the_weight_of_the_concept_loss_is_a_finite_number(weight):
    with pytest.raises(UserError, match=rf"loss\.concept_weight is {weight}; expected a finite number of at least 0"):
        HeadLoss(True, ONES, weight)


def test_a_hidden_layer_has_a_width():
    with pytest.raises(UserError, match=r"head\.black_box_width is -1; expected 0 \(linear\) or the width of a hidden"):
        head("mlp", width=-1)
