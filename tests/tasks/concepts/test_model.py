"""Diagnosis on toy features: its loss by loops and by PyTorch, what training may change, and that it learns."""

import json
import math
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.config.options import read
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import Arrays
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.tasks.concepts.model import ConceptsLearner, HeadLoss, class_weights
from ecor_jax.training.loop import train
from ecor_jax.training.options import Training

ROWS, EMBED, CONCEPTS = 32, 8, 6
ONES = np.ones(2, np.float32)
SINGLE, SEVERAL = HeadLoss(True, ONES), HeadLoss(False, ONES)
NAMES = ("No Finding", "Effusion", "Edema")
HEADS = ("bottleneck", "linear", "mlp")
Rows = dict[str, np.ndarray]


def head(kind: str = "bottleneck", *, adapter: bool = True, size: int = 2) -> Bottleneck | BlackBox:
    if kind != "bottleneck":
        return BlackBox(EMBED, 16 if kind == "mlp" else 0, size, rngs=nnx.Rngs(0))
    bank = np.random.default_rng(1).normal(size=(CONCEPTS, EMBED)).astype(np.float32)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    own = Adapter(EMBED, 4, alpha=0.5, last_relu=False, rngs=nnx.Rngs(2)) if adapter else None
    options: dict[str, Any] = {"scale": 1.0, "size": size, "start": "orthogonal", "use_bias": True}
    return Bottleneck(bank, None, **options, adapter=own, rngs=nnx.Rngs(0))


def separable(rows: int = ROWS) -> Rows:
    """Features to one side of the origin for the first class and to the other for the second, their lengths at random.

    The first half of the concepts goes with the second class, of the rest nothing is known.
    """
    rng = np.random.default_rng(0)
    own = np.arange(rows) % 2
    direction = rng.normal(size=EMBED)
    features = np.where(own[:, None] == 1, direction, -direction) + 0.3 * rng.normal(size=(rows, EMBED))
    present = np.zeros((rows, CONCEPTS), bool)
    present[own == 1, : CONCEPTS // 2] = True
    return {
        "features": (rng.uniform(0.1, 9, (rows, 1)) * features).astype(np.float32),
        "target": np.eye(2, dtype=np.float32)[own],
        "present": present,
    }


def crossed() -> Rows:
    """Exclusive or: the sign of the first feature times that of the second tells the class; no line does."""
    rng = np.random.default_rng(3)
    signs = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])[np.arange(ROWS) % 4]
    features = 0.1 * rng.normal(size=(ROWS, EMBED))
    features[:, :2] += signs
    own = (np.arange(ROWS) % 4) // 2
    present = np.zeros((ROWS, CONCEPTS), bool)
    return {"features": features.astype(np.float32), "target": np.eye(2, dtype=np.float32)[own], "present": present}


def unknowns() -> Rows:
    """Two findings: the first is that of `separable`, the second is known of every third study alone."""
    rows = separable()
    first = rows["target"][:, 1]
    second = np.where(np.arange(ROWS) % 3 == 0, 1 - first, np.float32(np.nan))
    return rows | {"target": np.stack([first, second], axis=1).astype(np.float32)}


def stream(rows: Rows) -> grain.IterDataset:
    return train_batches(Arrays(rows, "the toys"), None, batch_size=16, seed=4)


def task_of(rows: Rows, loss: HeadLoss = SINGLE, kind: str = "bottleneck", **options) -> ConceptsLearner:
    return ConceptsLearner(head(kind, **options), stream(rows), loss)


def config(steps: int, rate: float = 0.05) -> Training:
    optimizer = {
        "name": "adamw",
        "learning_rate": rate,
        "warmup_steps": 0,
        "schedule": "constant",
        "weight_decay": 0.0,
        "momentum": 0.9,
        "b2": 0.999,
        "clip_norm": 0.0,
    }
    options = {"steps": steps, "seed": 5, "log_every": 1, "checkpoint_every": 100, "optimizer": optimizer}
    return read(Training, options | {"parallel": {"model": 1}})


def loss_of(task: ConceptsLearner, rows: Rows, model: nnx.Module | None = None):
    """The task's loss and metrics on all rows, nothing promoted in silence."""
    batch = {name: jnp.asarray(values) for name, values in rows.items()}
    with jax.numpy_dtype_promotion("strict"):
        return task.loss(task.model if model is None else model, batch, jax.random.key(0))


def gradients_of(task: ConceptsLearner, rows: Rows) -> dict[str, np.ndarray]:
    """By path; of the parameters alone."""
    graph, tuned, rest = nnx.split(task.model, task.trainable, ...)
    found = jax.grad(lambda tuned: loss_of(task, rows, nnx.merge(graph, tuned, rest))[0])(tuned)
    return {"/".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(found)}


def logits_of(model, rows: Rows) -> np.ndarray:
    found = model(jnp.asarray(rows["features"]))
    return np.asarray(found if isinstance(model, BlackBox) else found.output, np.float64)


def cosines_of(model, rows: Rows) -> np.ndarray:
    assert isinstance(model, Bottleneck)
    return np.asarray(model(jnp.asarray(rows["features"])).cosines)


def accuracy(model, rows: Rows) -> float:
    return float((logits_of(model, rows).argmax(1) == rows["target"].argmax(1)).mean())


# References


def torch_diagnosis(logits: np.ndarray, target: np.ndarray, single_label: bool, weights: np.ndarray) -> float:
    torch = pytest.importorskip("torch")
    function, given = torch.nn.functional, torch.tensor(weights, dtype=torch.float64)
    ours = torch.tensor(logits, dtype=torch.float64)
    if single_label:
        return float(function.cross_entropy(ours, torch.tensor(target.argmax(1)), weight=given))
    wanted = torch.tensor(target, dtype=torch.float64)
    return float(function.binary_cross_entropy_with_logits(ours, wanted, pos_weight=given))


def slow_concepts(cosines: np.ndarray, present: np.ndarray, push_absent: bool) -> float:
    """Mean over images of the mean distance to the largest score, and pushed, of the absent to the smallest."""
    losses = []
    for row, there in zip(cosines.astype(np.float64), present, strict=True):
        up = [row.max() - value for value, one in zip(row, there, strict=True) if one]
        down = [value - row.min() for value, one in zip(row, there, strict=True) if not one and push_absent]
        losses.append(sum(up + down) / len(row) if up else 0.0)
    return float(np.mean(losses))


# The loss


@pytest.mark.optimized
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("single_label", [True, False])
@pytest.mark.parametrize("push_absent", [True, False])
def test_the_loss_is_pytorchs_and_that_of_the_loops(kind, single_label, push_absent):
    rows, weights = separable(), np.array([0.4, 2.5], np.float32)
    task = task_of(rows, HeadLoss(single_label, weights, 2.0, push_absent), kind)
    logits = logits_of(task.model, rows)
    diagnosis = torch_diagnosis(logits, rows["target"], single_label, weights)
    concepts = 0.0
    if kind == "bottleneck":
        concepts = slow_concepts(cosines_of(task.model, rows), rows["present"], push_absent)
        assert concepts > 0.01
    loss, metrics = loss_of(task, rows)
    assert float(loss) == pytest.approx(diagnosis + 2 * concepts, rel=1e-5)
    values = {name: float(total) / float(count) for name, (total, count) in metrics.items()}
    right = logits.argmax(1) == rows["target"].argmax(1) if single_label else (logits > 0) == rows["target"]
    expected = {"diagnosis_loss": diagnosis, "concept_loss": concepts, "right": float(right.mean())}
    assert values == pytest.approx(expected, rel=1e-5)
    assert float(metrics["right"][1]) == ROWS


def test_a_weight_of_zero_leaves_the_concept_loss_out():
    rows = separable()
    with_none, other = (task_of(rows, HeadLoss(True, ONES, weight)) for weight in (0.0, 2.0))
    expected = torch_diagnosis(logits_of(with_none.model, rows), rows["target"], True, ONES)
    loss, metrics = loss_of(with_none, rows)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(metrics["concept_loss"][0]) > 0.01  # it is still told
    # Nor does it pull: which concepts are there makes no difference.
    turned = rows | {"present": ~rows["present"]}
    found, again = gradients_of(with_none, rows), gradients_of(with_none, turned)
    for name, gradient in found.items():
        np.testing.assert_array_equal(again[name], gradient, err_msg=name)
    pulled = gradients_of(other, rows), gradients_of(other, turned)
    assert np.abs(pulled[0]["adapter/down/kernel"] - pulled[1]["adapter/down/kernel"]).max() > 1e-3
    # The end of the bottleneck is behind the concepts: their loss does not reach it.
    for name in ("aggregation/kernel", "aggregation/bias"):
        np.testing.assert_allclose(pulled[0][name], found[name], rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_black_box_knows_no_concepts(kind):
    rows = separable()
    task = task_of(rows, HeadLoss(True, ONES, 1e6, True), kind)
    loss, metrics = loss_of(task, rows)
    assert float(loss) == float(metrics["diagnosis_loss"][0]) and float(metrics["concept_loss"][0]) == 0
    assert float(loss_of(task, rows | {"present": ~rows["present"]})[0]) == float(loss)


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


# Targets that are not known


@pytest.mark.parametrize("kind", HEADS)
def test_what_is_not_known_takes_no_part_and_gradients_stay_finite(kind):
    rows = unknowns()
    task = task_of(rows, HeadLoss(False, np.array([1, 3], np.float32), 0.0), kind)
    loss, metrics = loss_of(task, rows)
    logits = logits_of(task.model, rows)
    expected, right = [], []
    for row, wanted in zip(logits, rows["target"], strict=True):
        known = [(z, t, w) for z, t, w in zip(row, wanted, (1, 3), strict=True) if not math.isnan(t)]
        each = [math.log1p(math.exp(-z)) * w if t else math.log1p(math.exp(z)) for z, t, w in known]
        expected.append(sum(each) / len(each))
        right.append(sum((z > 0) == (t == 1) for z, t, _ in known) / len(known))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(metrics["right"][0]) == pytest.approx(sum(right), rel=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients_of(task, rows).values())


@pytest.mark.parametrize("kind", HEADS)
def test_a_study_of_which_nothing_is_known_has_no_gradient(kind):
    rows = separable()
    nothing = rows | {"target": np.full((ROWS, 2), np.nan, np.float32), "present": np.zeros((ROWS, CONCEPTS), bool)}
    task = task_of(rows, HeadLoss(False, ONES, 2.0, True), kind)
    loss, metrics = loss_of(task, nothing)
    assert float(loss) == 0 and float(metrics["right"][0]) == 0
    for name, gradient in gradients_of(task, nothing).items():
        np.testing.assert_array_equal(gradient, 0, err_msg=name)


@pytest.mark.parametrize("kind", HEADS)
def test_features_of_no_length_have_finite_gradients(kind):
    rows = separable()
    task = task_of(rows, SINGLE, kind)
    for gradient in gradients_of(task, rows | {"features": np.zeros((ROWS, EMBED), np.float32)}).values():
        assert np.isfinite(gradient).all()


# Training


@pytest.mark.parametrize("push_absent", [True, False])
def test_frozen_is_frozen(push_absent, tmp_path):
    task = task_of(separable(), HeadLoss(True, ONES, 2.0, push_absent))
    before = {path: np.array(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(task.model))}
    found = train(task, config(4), tmp_path, "bottleneck")
    after = {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(found))}
    assert after.keys() == before.keys()
    changed = {".".join(map(str, path)): bool((after[path] != before[path]).any()) for path in before}
    tuned = {"adapter.down.kernel", "adapter.up.kernel", "aggregation.kernel", "aggregation.bias"}
    assert changed == {name: True for name in tuned} | {"bank": False}
    np.testing.assert_array_equal(after[("bank",)], before[("bank",)], strict=True)


@pytest.mark.parametrize(("kind", "adapter"), [("bottleneck", True), ("bottleneck", False), ("linear", 0), ("mlp", 0)])
def test_a_separable_problem_is_learnt(kind, adapter, tmp_path):
    rows = separable()
    options = {"adapter": adapter} if kind == "bottleneck" else {}
    found = train(task_of(rows, SINGLE, kind, **options), config(60), tmp_path, kind)
    assert accuracy(found, rows) == 1.0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {line["run"] for line in lines} == {kind}
    assert lines[-1]["diagnosis_loss"] < 0.5 * lines[0]["diagnosis_loss"] and lines[-1]["right"] == 1.0


def test_what_no_line_separates_a_hidden_layer_learns(tmp_path):
    rows = crossed()
    for kind in ("linear", "mlp"):
        found = train(task_of(rows, SINGLE, kind), config(80), tmp_path / kind, kind)
        assert accuracy(found, rows) == 1.0 if kind == "mlp" else accuracy(found, rows) <= 0.75


@pytest.mark.parametrize("kind", HEADS)
def test_several_findings_are_learnt_where_they_are_known(kind, tmp_path):
    rows = unknowns()
    weights = class_weights(rows["target"], NAMES[:2], single_label=False, balanced=True)
    found = train(task_of(rows, HeadLoss(False, weights, 0.0), kind), config(60), tmp_path, kind)
    known = ~np.isnan(rows["target"])
    assert ((logits_of(found, rows) > 0) == (rows["target"] == 1))[known].all()
    # The second finding is the opposite of the first; so it is said of the others, too.
    assert ((logits_of(found, rows)[:, 1] > 0) == (rows["target"][:, 0] == 0)).mean() > 0.9


def test_concepts_that_are_there_move_up_and_pushed_ones_down(tmp_path):
    rows = separable()
    cosines: dict[object, np.ndarray] = {}
    for push_absent in (False, True):
        loss = HeadLoss(True, ONES, 20.0, push_absent)
        found = train(task_of(rows, loss), config(40, 0.02), tmp_path / str(push_absent), "bottleneck")
        cosines[push_absent] = cosines_of(found, rows)
    cosines["start"] = cosines_of(head(), rows)
    labelled, half = rows["present"].any(axis=1), CONCEPTS // 2
    there, absent, below = {}, {}, {}
    for name, scores in cosines.items():
        there[name], absent[name] = scores[labelled, :half].mean(), scores[labelled, half:].mean()
        below[name] = (scores[labelled].max(axis=1, keepdims=True) - scores[labelled, :half]).mean()
    assert below[False] < 0.5 * below["start"] and below[True] < 0.5 * below["start"]
    assert there[False] > there["start"] and absent[True] < min(absent[False], absent["start"])


def test_the_same_run_twice_is_the_same_and_black_boxes_see_the_same_batches(tmp_path):
    rows = separable()
    first, second = (train(task_of(rows), config(3), tmp_path / name, "one") for name in ("a", "b"))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    ours, theirs = (next(iter(task_of(rows, SINGLE, kind).batches)) for kind in ("bottleneck", "mlp"))
    np.testing.assert_array_equal(ours["features"], theirs["features"])


# Black boxes


@pytest.mark.parametrize("width", [0, 5])
def test_a_black_box_is_its_equations(width):
    ours, x = BlackBox(EMBED, width, 3, rngs=nnx.Rngs(1)), separable()["features"]
    for layer in (ours.hidden, ours.last):
        if layer is not None and layer.bias is not None:
            layer.bias[...] = jnp.linspace(-0.5, 0.5, layer.bias.shape[0])
    values = x.astype(np.float64) / np.sqrt((x.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    assert (ours.hidden is None) == (width == 0)
    for layer in (ours.hidden, ours.last):
        if layer is not None:
            assert layer.bias is not None
            values = values @ np.asarray(layer.kernel[...], np.float64) + np.asarray(layer.bias[...])
            values = np.maximum(values, 0) if layer is ours.hidden else values
    np.testing.assert_allclose(ours(jnp.asarray(x)), values, rtol=1e-4, atol=1e-6)
    # The length of a feature means nothing, as in the bottleneck.
    np.testing.assert_allclose(ours(jnp.asarray(100 * x)), values, rtol=1e-4, atol=1e-6)


# Class weights


def test_balanced_classes_weigh_the_same_in_all():
    target = np.eye(2, dtype=np.float32)[np.array([0] * 9 + [1])]
    weights = class_weights(target, NAMES[:2], single_label=True, balanced=True)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [10 / 18, 5], rtol=1e-6)
    np.testing.assert_allclose(weights * target.sum(axis=0), [5, 5], rtol=1e-6)


def test_positives_of_a_finding_weigh_what_its_negatives_do():
    target = np.array([[1, 0, 1], [0, 0, np.nan], [0, 1, 0], [0, 0, 0], [np.nan, 1, 0]], np.float32)
    weights = class_weights(target, NAMES, single_label=False, balanced=True)
    np.testing.assert_allclose(weights, [3 / 1, 3 / 2, 3 / 1], rtol=1e-6)


@pytest.mark.parametrize("single_label", [True, False])
def test_without_balance_all_weigh_one(single_label):
    weights = class_weights(separable()["target"], NAMES[:2], single_label, balanced=False)
    np.testing.assert_array_equal(weights, np.ones(2, np.float32), strict=True)


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


# Options


@pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
def test_the_weight_of_the_concept_loss_is_a_finite_number(weight):
    with pytest.raises(UserError, match=rf"loss\.concept_weight is {weight}; expected a finite number of at least 0"):
        HeadLoss(True, ONES, weight)


def test_a_hidden_layer_has_a_width():
    with pytest.raises(UserError, match=r"head\.black_box_width is -1; expected 0 \(linear\) or the width of a hidden"):
        BlackBox(EMBED, -1, 2, rngs=nnx.Rngs(0))


def test_the_workdir_tells_the_heads_apart(tmp_path):
    """Heads share a workdir: each has its own checkpoints and its own lines."""
    rows = separable()
    for kind in ("bottleneck", "linear"):
        train(task_of(rows, SINGLE, kind), config(1), tmp_path, kind)
    assert {path.name for path in Path(tmp_path / "checkpoints").iterdir()} == {"bottleneck", "linear"}
    lines = [json.loads(line)["run"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == ["bottleneck", "linear"]
