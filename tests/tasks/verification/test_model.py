"""Faces told apart: the loss by slow loops, what is learnt, the statistics of norms, and what cannot be tuned."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ecor_jax.errors import UserError
from ecor_jax.tasks.verification import margins
from ecor_jax.tasks.verification.model import FaceModel, Margin
from tests.tasks.steps import begin
from tests.tasks.verification.faces import (
    BATCH,
    CONCEPTS,
    IDENTITIES,
    NAMES,
    SIZE,
    batch_of,
    make_face,
    make_task,
    original,
    pictures,
)


@pytest.mark.parametrize("output", ["features", "activations", "aggregated"])
def test_what_stands_for_a_face(output):
    face = make_face(output=output)
    concepts = nnx.jit(FaceModel.concepts)(face, batch_of()["image"])
    expected = concepts.output if output == "aggregated" else getattr(concepts, output)
    np.testing.assert_array_equal(face.represent(concepts), expected)
    assert face.size == expected.shape[1]
    assert make_task((), face=face).model.centres.shape == (IDENTITIES, face.size)


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


def embeddings_of(task, batch) -> np.ndarray:
    represent = nnx.jit(lambda face, images: face.represent(face.concepts(images)))
    return np.asarray(represent(task.model.face, batch["image"]), np.float64)


def slow_loss(name, embeddings, centres, labels, classes, before=(20, 100)):
    """The mean loss, the number of recognised, the statistics after it, the norms. Centres of `classes` alone."""
    norms, own = np.linalg.norm(embeddings, axis=1), [classes.index(label) for label in labels]
    centres = np.asarray(centres, np.float64)[classes]
    cosines = embeddings @ centres.T / np.outer(norms, np.linalg.norm(centres, axis=1))
    losses, after = original(name, cosines, norms, own, before, margin=0.5, rate=0.25, scale=16.0)
    return np.mean(losses), sum(cosines.argmax(axis=1) == own), after, norms


@pytest.mark.optimized
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shards", [1, 4])
def test_the_loss_is_the_one_of_the_loops(name, shards):
    """With four shards three rows of centres are padding."""
    task, batch = make_task(margin=Margin(name, 0.5, rate=0.25, scale=16.0), shards=shards), batch_of()
    centres = 5 * task.model.centres[...]  # their lengths do not matter
    task.model.centres[...] = centres
    assert centres.shape == ({1: 5, 4: 8}[shards], SIZE)
    embeddings, labels = embeddings_of(task, batch), pictures()["label"]
    # Statistics near the norms, so that it matters that they move first.
    lengths = np.linalg.norm(embeddings, axis=1)
    before = float(lengths.mean() * 1.1), float(lengths.std())
    task.model.norm_mean[...], task.model.norm_std[...] = map(jnp.float32, before)
    expected, right, after, norms = slow_loss(name, embeddings, centres, labels, [*range(IDENTITIES)], before)
    loss, metrics = task.loss(task.model, batch, jax.random.key(0))
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert metrics.keys() == {"recognised", "norm", "own_cosine"}
    assert {float(count) for _, count in metrics.values()} == {BATCH}
    assert float(metrics["recognised"][0]) == right
    assert float(metrics["norm"][0]) == pytest.approx(sum(norms), rel=1e-5)
    found = float(task.model.norm_mean[...]), float(task.model.norm_std[...])
    assert found == pytest.approx(after, rel=1e-4)


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.slow), 4])
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
    expected, right, *_ = slow_loss("adaface", embeddings_of(task, batch), task.model.centres[...], labels, drawn)
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


@pytest.mark.parametrize(
    ("tuned", "face", "message"),
    [
        (("aggregation", "x", "y"), {}, r"tuned names 'x', 'y'; expected some of aggregation, adapter, last_mlp"),
        (("pool",), {}, "tuned names pool, which this image encoder does not have"),
        (("",), {}, "tuned names ''; expected"),
        (("adapter",), {"adapter": 0}, r"tuned names 'adapter', but bottleneck\.adapter\.width is 0"),
        (("aggregation",), {"output": "features"}, "tuned names aggregation, which bottleneck.output=features leaves"),
        (("aggregation",), {"output": "activations"}, "tuned names aggregation, which bottleneck.output=activations"),
        ((), {"output": "logits"}, "output is 'logits'; expected one of features, activations, agg"),
    ],
)
def test_parts_and_outputs_that_cannot_be_are_named(tuned, face, message):
    with pytest.raises(UserError, match=message):
        make_task(tuned, face=make_face(**face))


@pytest.mark.parametrize(("shards", "sampled", "left"), [(1, 0.1, 4), (1, 0.19, 8), (4, 0.3, 3), (4, 0.7, 7)])
def test_a_sample_has_room_for_all_identities_of_a_batch(shards, sampled, left):
    """Where all of a device are taken a batch may be larger."""
    given, each = {"identities": 40, "shards": shards}, 40 // shards
    message = f"leaves {left} of {each} identities a device; expected at least .* {left + 1},"
    with pytest.raises(UserError, match=message):
        make_task((), Margin(sampled=sampled), batch_size=left + 1, **given)
    assert make_task((), Margin(sampled=sampled), batch_size=left, **given).sampled == left
    assert make_task((), Margin(sampled=0.99), batch_size=64, **given).sampled == each
