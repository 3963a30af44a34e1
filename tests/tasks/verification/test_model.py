"""Faces told apart: which parameters a step changes, what it costs, its loss by slow NumPy, and its statistics."""

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.clip.config import VisionConfig, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.config.options import read
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.errors import UserError
from ecor_jax.tasks.verification import margins
from ecor_jax.tasks.verification.model import PARTS, FaceModel, Margin, VerificationLearner
from ecor_jax.training.loop import train
from ecor_jax.training.options import Training
from tests.tasks.steps import arrays_of, begin

pytestmark = pytest.mark.usefixtures("strict_dtypes")

IDENTITIES, BATCH, CONCEPTS, SIZE = 5, 8, 7, 6
NAMES = ("adaface", "arcface", "cosface")


def make_face(output: Any = "aggregated", width: int = 4, vision: VisionConfig | None = None) -> FaceModel:
    """A face model of random weights, the caller's own; `width` 0 leaves the adapter out."""
    return nnx.clone(_face(output, width, vision))


@functools.cache
def _face(output: Any, width: int, vision: VisionConfig | None) -> FaceModel:
    config = preset("tiny/16-8")
    config = config if vision is None else dataclasses.replace(config, vision=vision)
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(CONCEPTS, config.embed_dim)).astype(np.float32)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    bottleneck = Bottleneck(
        bank,
        (0, 0, 1, 1, 1, 2, 2),
        scale=10.0,
        size=SIZE,
        init="orthogonal",
        use_bias=True,
        adapter=Adapter(config.embed_dim, width, alpha=0.5, rngs=nnx.Rngs(3)) if width else None,
        rngs=nnx.Rngs(1),
    )
    tower = Clip(config, rngs=nnx.Rngs(0)).vision
    return FaceModel(tower, bottleneck, Preprocess(config.vision.image_size), output)


def make_task(
    tuned: Any = ("aggregation",), margin: Margin | None = None, face: FaceModel | None = None, **options
) -> VerificationLearner:
    given: dict[str, Any] = {"identities": IDENTITIES, "batches": None, "batch_size": BATCH, "rngs": nnx.Rngs(2)}
    return VerificationLearner(face or make_face(), tuned=tuned, margin=margin or Margin(), **given | options)


def pictures(identities: int = IDENTITIES, count: int = BATCH, size: int = 16) -> dict[str, np.ndarray]:
    """Noise of its own for every identity."""
    rng = np.random.default_rng(1)
    labels = np.arange(count, dtype=np.int32) % identities
    bases = rng.integers(0, 220, (identities, size, size, 3))
    images = bases[labels] + rng.integers(0, 30, (count, size, size, 3))
    return {"image": images.astype(np.uint8), "label": labels}


def batch_of(**options) -> dict[str, jax.Array]:
    return {name: jnp.asarray(rows) for name, rows in pictures(**options).items()}


STATISTICS = {"norm_mean", "norm_std"}
# What each part is, said once more: where its parameters lie, and how many arrays they are.
PLACES = {
    "aggregation": ("face/bottleneck/aggregation/", 2),
    "adapter": ("face/bottleneck/adapter/", 2),
    "last_mlp": ("face/vision/transformer/last/mlp_", 4),
    "last_block": ("face/vision/transformer/last/", 16),
    "projection": ("face/vision/projection/", 1),
    "encoder": ("face/vision/", 40),
}


@functools.cache
def parameters() -> set[str]:
    return {*arrays_of(nnx.to_pure_dict(nnx.state(make_task().model, nnx.Param)))}


def parameters_of(*parts: str) -> set[str]:
    """The paths of the parameters of these parts, and of the centres, which are always trained."""
    return {path for path in parameters() if path.startswith(("centres", *(PLACES[part][0] for part in parts)))}


def test_the_parts_are_all_looked_at():
    # A CLIP has no attention pooling.
    assert PLACES.keys() == PARTS.keys() - {"pool"} and parameters_of(*PLACES) == parameters()
    for part, (_, count) in PLACES.items():
        assert len(parameters_of(part)) == 1 + count


@pytest.mark.parametrize(
    "tuned",
    [*((part,) for part in PLACES), (), ("aggregation", "last_mlp", "adapter"), ("last_mlp", "last_block")],
    ids="+".join,
)
def test_steps_change_the_named_parts_and_leave_all_else_bit_identical(tuned):
    task = make_task(tuned)
    before = arrays_of(nnx.to_pure_dict(nnx.state(task.model)))
    graph, step, state, frozen = begin(task, optax.sgd(0.5, momentum=0.9))
    moments = [leaf.shape for leaf in jax.tree.leaves(state.optimizer)]
    assert moments == [leaf.shape for leaf in jax.tree.leaves(state.tuned)]
    for _ in range(2):
        state, metrics = step(state, frozen, batch_of())
    assert step._cache_size() == 1
    assert math.isfinite(float(metrics["loss"][0]))
    expected = parameters_of(*tuned)
    assert arrays_of(state.tuned).keys() == expected
    assert arrays_of(state.statistics).keys() == STATISTICS
    after = arrays_of(nnx.to_pure_dict(nnx.state(nnx.merge(graph, state.tuned, state.statistics, frozen))))
    assert after.keys() == before.keys()
    changed = {name for name, old in before.items() if old.tobytes() != after[name].tobytes()}
    # A bias of the key moves all scores of a query alike: it has no gradient but rounding.
    idle = {name for name in expected if name.endswith("key/bias")}
    assert changed - idle == expected - idle | STATISTICS


@pytest.mark.parametrize(
    ("output", "tuned", "size"),
    [("features", "adapter", 16), ("features", "projection", 16), ("activations", "last_mlp", CONCEPTS)],
)
def test_faces_without_the_aggregation_are_trained_as_well(output, tuned, size):
    face = make_face(output=output)
    task = make_task((tuned,), face=face)
    assert face.size == size and task.model.centres.shape == (IDENTITIES, size)
    _, step, state, frozen = begin(task, optax.sgd(0.5))
    before = arrays_of(state.tuned)
    state, _ = step(state, frozen, batch_of())
    assert all((before[name] != after).any() for name, after in arrays_of(state.tuned).items())


@pytest.mark.parametrize("output", ["features", "activations"])
def test_what_stands_for_a_face(output):
    face, whole = make_face(output=output), make_face()
    concepts = nnx.jit(FaceModel.concepts)(face, batch_of()["image"])
    np.testing.assert_array_equal(face.represent(concepts), getattr(concepts, output))
    np.testing.assert_array_equal(whole.represent(concepts), concepts.output)


# Cost


@pytest.fixture(scope="module")
def operations():
    """Of the compiled step, by part; a tower whose matrix products outweigh all else."""
    vision = VisionConfig(image_size=32, patch_size=8, width=64, layers=3, heads=2, mlp_width=256)
    batch = batch_of(size=32)

    def count(part: str) -> float:
        _, step, state, frozen = begin(make_task((part,), face=make_face(vision=vision)), optax.sgd(1e-2))
        return step.lower(state, frozen, batch).compile().cost_analysis()["flops"]

    return {part: count(part) for part in ("aggregation", "last_mlp", "last_block", "encoder")}


def test_what_is_not_tuned_is_not_differentiated(operations):
    order = [operations[part] for part in ("aggregation", "last_mlp", "last_block", "encoder")]
    assert order == sorted(order) and len(set(order)) == 4


def test_the_last_mlp_costs_the_gradients_of_one_token(operations):
    # Weights' gradients of both matrices, and what passes back through the second, for the CLS token of each image.
    extra = operations["last_mlp"] - operations["aggregation"]
    product = 2 * BATCH * 64 * 256
    assert 3 * product < extra < 5 * product
    # A backward pass costs twice a forward pass; a scan's body, two blocks, is counted once.
    assert operations["encoder"] > 2.4 * operations["aggregation"]


# Learning


@pytest.mark.parametrize("name", NAMES)
def test_a_few_faces_are_learnt_by_heart(name):
    margin = {"adaface": 0.5, "arcface": 0.5, "cosface": 0.35}[name]
    task = make_task(("aggregation", "last_mlp", "adapter"), Margin(name, margin))
    _, step, state, frozen = begin(task, optax.adam(1e-2))
    losses, recognised = [], []
    for _ in range(120):
        state, metrics = step(state, frozen, batch_of())
        losses.append(float(metrics["loss"][0]))
        recognised.append(float(metrics["recognised"][0]) / float(metrics["recognised"][1]))
    assert np.mean(losses[-5:]) < 0.2 * losses[0]
    assert recognised[-1] == 1.0 and recognised[0] < 1.0


# The loss, by loops


def embeddings_of(task, batch) -> np.ndarray:
    represent = nnx.jit(lambda face, images: face.represent(face.concepts(images)))
    return np.asarray(represent(task.model.face, batch["image"]), np.float64)


def slow_target(name, cosine, norm, mean, std):
    """The own cosine with the margin of 0.5."""
    angle = math.acos(min(max(cosine, -0.999), 0.999))
    if name == "cosface":
        return math.cos(angle) - 0.5
    z = min(max((min(max(norm, 1e-3), 100) - mean) / (std + 1e-3) * 0.333, -1), 1) if name == "adaface" else -1
    return math.cos(min(max(angle - 0.5 * z, 1e-3), math.pi - 1e-3)) - 0.5 * (1 + z)


def slow_loss(name, embeddings, centres, labels, classes, scale, before=(20, 100)):
    """The mean loss, the number of recognised, and the statistics after a rate of 0.25. Centres of `classes` alone."""
    norms = [math.sqrt(sum(row**2)) for row in embeddings]
    mean, std = 0.75 * before[0] + 0.25 * np.mean(norms), 0.75 * before[1] + 0.25 * np.std(norms, ddof=1)
    losses, right = [], 0
    for row, norm, label in zip(embeddings, norms, labels, strict=True):
        cosines = {c: row @ centres[c] / norm / math.sqrt(sum(centres[c] ** 2)) for c in classes}
        right += max(cosines, key=lambda c: cosines[c]) == label
        logits = {c: scale * min(max(cosine, -0.999), 0.999) for c, cosine in cosines.items()}
        logits[label] = scale * slow_target(name, cosines[label], norm, mean, std)
        losses.append(math.log(sum(math.exp(value) for value in logits.values())) - logits[label])
    return np.mean(losses), right, (mean, std), norms


@pytest.mark.optimized
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shards", [1, 4])
def test_the_loss_is_the_one_of_the_loops(name, shards):
    """With four shards three rows of centres are padding."""
    task, batch = make_task(margin=Margin(name, 0.5, rate=0.25, scale=16.0), shards=shards), batch_of()
    centres = 5 * np.asarray(task.model.centres[...], np.float64)  # their lengths do not matter
    task.model.centres[...] = jnp.asarray(centres, jnp.float32)
    assert centres.shape == ({1: 5, 4: 8}[shards], SIZE)
    embeddings, labels = embeddings_of(task, batch), pictures()["label"]
    # Statistics near the norms, so that it matters that they move first.
    lengths = np.linalg.norm(embeddings, axis=1)
    before = float(lengths.mean() * 1.1), float(lengths.std())
    task.model.norm_mean[...], task.model.norm_std[...] = map(jnp.float32, before)
    expected, right, after, norms = slow_loss(name, embeddings, centres, labels, range(IDENTITIES), 16, before)
    loss, metrics = task.loss(task.model, batch, jax.random.key(0))
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert metrics.keys() == {"recognised", "norm", "own_cosine"}
    assert {float(count) for _, count in metrics.values()} == {BATCH}
    assert float(metrics["recognised"][0]) == right
    assert float(metrics["norm"][0]) == pytest.approx(sum(norms), rel=1e-5)
    found = float(task.model.norm_mean[...]), float(task.model.norm_std[...])
    assert found == pytest.approx(after if name == "adaface" else before, rel=1e-4)


@pytest.mark.parametrize("shards", [1, 4])
def test_the_sampled_loss_is_the_one_of_the_loops_over_the_drawn_identities(shards):
    """Forty identities, eight of each range of ten or twenty of all."""
    labels = np.array([0, 9, 10, 39, 39, 20, 3, 31], np.int32)
    batch = batch_of() | {"label": jnp.asarray(labels)}
    margin = Margin("adaface", rate=0.25, scale=16.0, sampled=0.8 if shards == 4 else 0.5)
    task = make_task(margin=margin, identities=40, shards=shards)
    key = jax.random.key(7)
    rows = np.asarray(margins.sampled_classes(key, jnp.asarray(labels), 40, task.sampled or 0, shards))
    drawn = (rows + (40 // shards) * np.arange(shards)[:, None]).ravel().tolist()
    assert len(drawn) == {1: 20, 4: 32}[shards]
    centres = np.asarray(task.model.centres[...], np.float64)
    expected, right, *_ = slow_loss("adaface", embeddings_of(task, batch), centres, labels, drawn, 16)
    loss, metrics = task.loss(task.model, batch, key)
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert float(metrics["recognised"][0]) == right
    other, _ = task.loss(task.model, batch, jax.random.key(8))
    assert float(other) != float(loss)


def test_faces_of_no_length_have_finite_gradients():
    task = make_task(("aggregation", "last_mlp"), Margin("adaface"))
    task.model.face.bottleneck.aggregation.kernel[...] = jnp.zeros((CONCEPTS, SIZE))
    _, step, state, frozen = begin(task, optax.sgd(1e-2))
    state, metrics = step(state, frozen, batch_of())
    assert float(metrics["norm"][0]) == 0
    assert math.isfinite(float(metrics["loss"][0])) and math.isfinite(float(metrics["gradient_norm"][0]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.tuned, state.statistics)))


def test_centres_start_as_directions_of_their_own():
    task = make_task(rngs=nnx.Rngs(5))
    centres = np.asarray(task.model.centres[...])
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)
    assert (centres > 0).any() and (centres < 0).any()
    assert len(np.unique(centres)) == centres.size
    assert (centres != np.asarray(make_task().model.centres[...])).all()


# Statistics, from step to step and through checkpoints


def test_statistics_start_as_in_adafaces_code_and_follow_the_norms():
    task, batch = make_task(margin=Margin(rate=0.1)), batch_of()
    norms = np.linalg.norm(embeddings_of(task, batch), axis=1)
    assert (float(task.model.norm_mean[...]), float(task.model.norm_std[...])) == (20, 100)
    # A rate of zero leaves the model as it is, so that the norms of all three steps are these.
    _, step, state, frozen = begin(task, optax.sgd(0.0))
    mean, std = 20.0, 100.0
    for _ in range(3):
        state, _ = step(state, frozen, batch)
        mean, std = 0.9 * mean + 0.1 * norms.mean(), 0.9 * std + 0.1 * norms.std(ddof=1)
        found = float(state.statistics["norm_mean"]), float(state.statistics["norm_std"])
        assert found == pytest.approx((mean, std), rel=1e-5)


def stream() -> TrainBatches:
    rows = pictures(24, 24)
    order = grain.MapDataset.range(24).seed(3).shuffle().repeat()
    examples = order.map(lambda row: {name: values[row] for name, values in rows.items()})
    return TrainBatches(examples, BATCH)


def config(steps: int) -> Training:
    optimizer = {"name": "adamw", "learning_rate": 0.01, "warmup_steps": 0, "schedule": "constant", "b2": 0.99}
    options = {"steps": steps, "seed": 5, "log_every": 1, "checkpoint_every": 2, "optimizer": optimizer}
    return read(Training, options | {"parallel": {"model": 2}})


def trained(steps: int, workdir: Path) -> tuple[VerificationLearner, dict[str, np.ndarray]]:
    tuned, margin = ("aggregation", "last_mlp"), Margin(rate=0.3, sampled=0.7)
    task = make_task(tuned, margin, batches=stream(), identities=24, shards=2)
    # jax.random.key is made from an int of Python's, optax multiplies floats by it.
    with jax.numpy_dtype_promotion("standard"):
        return task, arrays_of(nnx.to_pure_dict(nnx.state(train(task, config(steps), workdir, "faces"))))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Four steps in one go: folder, task and model."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, *trained(4, workdir)


def saved(workdir: Path, step: int) -> dict[str, np.ndarray]:
    with ocp.StandardCheckpointer() as checkpointer:
        return arrays_of(checkpointer.restore((workdir / "checkpoints" / "faces" / str(step) / "state").absolute()))


def test_statistics_are_moved_in_the_model_that_is_returned_and_part_of_the_checkpoint(whole):
    workdir, task, model = whole
    assert (float(task.model.norm_mean[...]), float(task.model.norm_std[...])) == (20, 100)
    assert model["norm_mean"] < 10 and model["norm_std"] < 30
    stored, earlier = saved(workdir, 4), saved(workdir, 2)
    for name in STATISTICS:
        np.testing.assert_array_equal(stored[f"statistics/{name}"], model[name], strict=True)
        assert stored[f"statistics/{name}"] < earlier[f"statistics/{name}"]
    # No frozen weights are.
    tuned = {name.removeprefix("tuned/") for name in stored if name.startswith("tuned/")}
    assert tuned == parameters_of("aggregation", "last_mlp")


def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(whole, tmp_path):
    first = trained(2, tmp_path)[1]
    second = trained(4, tmp_path)[1]
    for name, wanted in whole[2].items():
        np.testing.assert_array_equal(second[name], wanted, err_msg=name, strict=True)
    assert first["norm_mean"] != second["norm_mean"]
    one, other = saved(tmp_path, 4), saved(whole[0], 4)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name, strict=True)
    assert losses(tmp_path) == losses(whole[0])


def losses(workdir: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


# Errors


@pytest.mark.parametrize(
    ("tuned", "face", "message"),
    [
        (("aggregation", "x", "y"), {}, r"names 'x', 'y'; expected some of aggregation, adapter, last_mlp"),
        (("pool",), {}, "names pool, which this image encoder does not have"),
        (("",), {}, "names ''; expected"),
        (("adapter",), {"width": 0}, r"names 'adapter', but bottleneck\.adapter\.width is 0"),
        (("aggregation",), {"output": "features"}, "names aggregation, which bottleneck.output=features leaves out"),
        (("aggregation",), {"output": "activations"}, "names aggregation, which bottleneck.output=activations"),
    ],
)
def test_parts_that_cannot_be_tuned_are_named(tuned, face, message):
    with pytest.raises(UserError, match=r"bottleneck\.tuned " + message):
        make_task(tuned, face=make_face(**face))


def test_an_unknown_output_is_refused():
    with pytest.raises(UserError, match=r"output is 'logits'; expected one of features, activations, agg"):
        make_face(output="logits")


@pytest.mark.parametrize(("shards", "sampled", "left"), [(1, 0.1, 4), (1, 0.19, 8), (4, 0.3, 3), (4, 0.7, 7)])
def test_a_sample_has_room_for_all_identities_of_a_batch(shards, sampled, left):
    def make(batch_size):
        return make_task((), Margin(sampled=sampled), identities=40, batch_size=batch_size, shards=shards)

    each = 40 // shards
    with pytest.raises(
        UserError, match=f"leaves {left} of {each} identities a device; expected at least .* {left + 1},"
    ):
        make(left + 1)
    assert make(left).sampled == left


def test_where_all_of_a_device_are_taken_a_batch_may_be_larger():
    assert make_task((), Margin(sampled=0.99), identities=40, batch_size=64, shards=4).sampled == 10
