"""Margins against the heads they come from, written as slow float64 loops over all logits; and the loss on meshes."""

import functools
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

from ecor_jax.parallel.mesh import batch_sharding, global_batch, make_mesh, place
from ecor_jax.tasks.verification import margins
from ecor_jax.tasks.verification.margins import NormStatistics
from ecor_jax.tasks.verification.model import Margin
from ecor_jax.training.step import Statistic, TrainState, make_step
from tests.tasks.verification import faces
from tests.tasks.verification.faces import NAMES, make_face, original

SIZE, IDENTITIES = 6, 9
CLASSES = jnp.arange(IDENTITIES, dtype=jnp.int32)
seeds = st.integers(0, 2**16)


def losses_of(name, cosines, norms, labels, before, classes=CLASSES, *, margin=0.5, rate=0.3, scale=64.0):
    """What `original` gives, of ours."""
    cosines, norms, labels, classes = map(jnp.asarray, (cosines, norms, labels, classes))
    own, after = margins.own_cosine(cosines, labels, classes), before
    if name == "adaface":
        after = margins.update_statistics(norms, before, rate)
        target = margins.adaface(own, norms, after, margin, 0.333)
    else:
        target = getattr(margins, name)(own, margin)
    return margins.margin_loss(cosines, labels, classes, target, scale, limit=margins.LIMITS[name]), after


def start(mean=20.0, std=100.0) -> NormStatistics:
    return NormStatistics(jnp.float32(mean), jnp.float32(std))


def example(seed, classes=IDENTITIES):
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-1, 1, (SIZE, classes)).astype(np.float32)
    norms = rng.uniform(0, 60, SIZE).astype(np.float32)
    return cosines, norms, rng.integers(0, classes, SIZE).astype(np.int32)


@settings(max_examples=30)
@given(
    seeds,
    st.sampled_from(NAMES),
    st.sampled_from([0.0, 0.35, 0.5, 1.0]),
    st.sampled_from([1.0, 30.0, 64.0]),
    st.sampled_from([100.0, 2.0]),  # of 2, AdaFace's quality is cut off at -1 and 1
)
def test_losses_are_those_of_the_original_heads(seed, name, margin, scale, std):
    options = {"margin": margin, "scale": scale, "rate": 0.1}
    expected, buffers = original(name, *example(seed), (20.0, std), **options)
    losses, after = losses_of(name, *example(seed), start(std=std), **options)
    np.testing.assert_allclose(losses, expected, rtol=2e-5, atol=2e-6 * scale)
    np.testing.assert_allclose(after, buffers, rtol=1e-5)


def test_hand_worked_values_with_the_defaults_of_the_papers():
    cosine = jnp.array([0.6])
    for norm, logit in ((30.0, -0.283352), (10.0, 8.866089), (20.0, 6.4)):
        assert 64 * float(margins.adaface(cosine, jnp.array([norm]), start(20, 5))[0]) == pytest.approx(logit, abs=2e-5)
    assert float(margins.arcface(cosine)[0]) == pytest.approx(math.cos(math.acos(0.6) + 0.5), abs=1e-6)
    assert float(margins.cosface(cosine)[0]) == pytest.approx(0.25, abs=1e-6)
    # Two classes, cosines .6 and .1 to the wrong one: log(1 + e^(16 (.1 - .25))), by hand.
    loss = margins.margin_loss(
        jnp.array([[0.1, 0.6]]), jnp.array([1]), jnp.array([0, 1]), margins.cosface(cosine), scale=16.0, limit=1e-4
    )
    assert float(loss[0]) == pytest.approx(math.log1p(math.exp(-2.4)), rel=1e-5)


EDGES = (-1.0, 1.0, -0.999, 0.999, 0.9999, 0.9995, 0.0, 1.0000001)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", [0.0, 1e-3, 20.0, 100.0, 1000.0])
@pytest.mark.parametrize("before", [(20.0, 100.0), (20.0, 0.0), (0.0, 0.0)])
def test_values_and_gradients_are_finite_at_the_edges(name, norm, before):
    """Every pair of an own and another cosine; all norms equal, so that their deviation is 0."""
    own, other = (np.array(side, np.float32) for side in zip(*[(a, b) for a in EDGES for b in EDGES], strict=True))
    cosines = np.stack([own, other], axis=1)
    labels, classes = np.zeros(len(own), np.int32), np.arange(2, dtype=np.int32)
    norms = np.full(len(own), norm, np.float32)
    slopes, value = slopes_and_losses(name, cosines, norms, labels, classes, start(*before))
    assert np.isfinite(value).all()
    assert all(np.isfinite(slope).all() for slope in slopes)
    np.testing.assert_array_equal(slopes[1], 0)  # none passes to norms, nor so to their statistics
    inside = (np.abs(own) < 0.5) & (np.abs(other) < 0.5)
    assert (np.abs(slopes[0][inside]) > 1e-3).all()


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.grad, argnums=(1, 2), has_aux=True)
def slopes_and_losses(name, cosines, norms, labels, classes, before):
    losses, after = losses_of(name, cosines, norms, labels, before, classes)
    return jnp.sum(losses) + jnp.sum(jnp.stack(after)), losses


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_original_heads(name):
    """Central differences of the slow loops, AdaFace's buffers as they are after the step; zero beyond the limit."""
    cosines, norms, labels = example(3)
    cosines = cosines * np.float32(0.6)
    beyond = [(0, labels[0]), (1, labels[1]), (2, (labels[2] + 1) % IDENTITIES)]
    for entry, cosine in zip(beyond, (0.99995, -0.99995, 0.99995), strict=True):
        cosines[entry] = cosine

    def slow(cosines):
        return sum(original(name, cosines, norms, labels, (20.0, 100.0), margin=0.5, rate=0.3, scale=8.0)[0])

    def ours(cosines):
        return jnp.sum(losses_of(name, cosines, norms, labels, start(), scale=8.0)[0])

    expected = np.zeros(cosines.shape)
    for entry in np.ndindex(*cosines.shape):
        step = np.zeros(cosines.shape)
        step[entry] = 1e-5
        expected[entry] = (slow(cosines + step) - slow(cosines - step)) / 2e-5
    slopes = jax.jit(jax.grad(ours))(jnp.asarray(cosines))
    np.testing.assert_allclose(slopes, expected, rtol=1e-3, atol=1e-4)
    assert all(slopes[entry] == 0 for entry in beyond) and np.abs(expected).max() > 1


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.floats(0, 200, width=32), min_size=1, max_size=5), min_size=1, max_size=4),
    st.sampled_from([0.01, 0.3, 1.0]),
)
def test_statistics_are_moving_averages_of_numpys(batches, rate):
    """A batch of one has no deviation, and leaves the average of it as it is."""
    found, mean, std = start(), 20.0, 100.0
    for batch in batches:
        found = margins.update_statistics(jnp.asarray(np.array(batch, np.float32)), found, rate)
        safe = np.clip(np.array(batch, np.float64), 1e-3, 100)
        mean = rate * safe.mean() + (1 - rate) * mean
        std = rate * safe.std(ddof=1) + (1 - rate) * std if len(batch) > 1 else std
    np.testing.assert_allclose(found, [mean, std], rtol=1e-4, atol=1e-4)


@settings(max_examples=15)
@given(seeds, st.sampled_from(NAMES))
def test_padding_takes_no_part(seed, name):
    """Columns of class -1 in any place, with any cosine."""
    cosines, norms, labels = example(seed)
    rng = np.random.default_rng(seed + 1)
    order = rng.permutation(IDENTITIES + 4)
    classes = np.concatenate([CLASSES, np.full(4, -1, np.int32)])[order]
    wide = np.concatenate([cosines, rng.choice([-1, 0, 1], (SIZE, 4)).astype(np.float32)], axis=1)[:, order]
    expected, _ = losses_of(name, cosines, norms, labels, start())
    found, _ = losses_of(name, wide, norms, labels, start(), classes)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    slope = slopes_and_losses(name, wide, norms, labels, classes, start())[0][0]
    narrow = slopes_and_losses(name, cosines, norms, labels, CLASSES, start())[0][0]
    np.testing.assert_array_equal(slope[:, classes < 0], 0)
    np.testing.assert_allclose(slope[:, classes >= 0], narrow[:, order[order < IDENTITIES]], rtol=1e-4, atol=1e-4)


# Partial FC

CASES = [(40, 12, 1), (40, 6, 4), (24, 3, 8), (16, 16, 1)]


@pytest.mark.parametrize(("classes", "count", "shards"), CASES)
def test_sampled_classes_hold_the_present_ones(classes, count, shards):
    """All of a range may be of one shard: `count` labels of it at most."""
    each = classes // shards
    for seed in range(20):
        rng = np.random.default_rng(seed)
        low = each * rng.integers(0, shards)
        labels = rng.integers(*((low, low + each) if seed % 2 else (0, classes)), min(count, each))
        found = np.asarray(margins.sampled_classes(jax.random.key(seed), jnp.asarray(labels), classes, count, shards))
        assert found.shape == (shards, count)
        # Ascending, so none twice; and numbers within their range.
        assert (np.diff(found, axis=1) > 0).all()
        assert found.min() >= 0 and found.max() < each
        everywhere = found + each * np.arange(shards)[:, None]
        assert set(labels.tolist()) <= set(everywhere.ravel().tolist())


def test_the_others_are_drawn_evenly_and_anew():
    labels = jnp.array([3, 3, 17])  # one of each range
    draws = 2000
    keys = jax.random.split(jax.random.key(0), draws)
    found = np.asarray(jax.jit(jax.vmap(lambda key: margins.sampled_classes(key, labels, 20, 4, 2)))(keys))
    counts = np.zeros(20)
    for shard in range(2):
        counts[10 * shard : 10 * shard + 10] = np.bincount(found[:, shard].ravel(), minlength=10)
    assert counts[3] == counts[17] == draws
    others = np.delete(counts, [3, 17])
    chance = 3 / 9
    # Five standard deviations of a binomial.
    assert np.abs(others - draws * chance).max() < 5 * math.sqrt(draws * chance * (1 - chance))
    # The two ranges are drawn apart from each other.
    assert np.mean(found[:, 0] == found[:, 1]) < 0.6
    assert len({tuple(row.ravel()) for row in found}) > 200


# Meshes: sizes that occur nowhere else, so that an array is known by its shape. Three rows of centres are padding.

BATCH, MANY, ROWS, EMBED = 24, 32669, 32672, 10
OPTIMIZER = optax.sgd(0.1, momentum=0.9)
SAMPLED = [1.0, 0.25]


def make_task(shards: int, sampled: float, mesh: Any = None):
    # Flat, so that every centre that takes part gets a gradient.
    margin, face = Margin("adaface", sampled=sampled, rate=0.5, scale=4.0), make_face(size=EMBED, adapter=0)
    return faces.make_task(margin=margin, face=face, identities=MANY, batch_size=BATCH, shards=shards, mesh=mesh)


def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "image": rng.integers(0, 256, (BATCH, 16, 16, 3)).astype(np.uint8),
        "label": np.concatenate([[0, MANY - 1, 5, 5], rng.integers(0, MANY, BATCH - 4)]).astype(np.int32),
    }


def take_step(task, put, batch):
    """The compiled step, and what it gives; `put` places a part of the model."""
    graph, tuned, norms, frozen = nnx.split(task.model, task.trainable, Statistic, ...)
    tuned, norms = nnx.to_pure_dict(put(tuned)), nnx.to_pure_dict(put(norms))
    state = TrainState(tuned, norms, OPTIMIZER.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    arguments = state, put(frozen), batch
    program = jax.jit(make_step(task, graph, OPTIMIZER)).lower(*arguments).compile()
    return program, *program(*arguments)


def on_mesh(shape, sampled):
    mesh = make_mesh(shape[1])
    assert mesh.devices.shape == shape
    return take_step(make_task(shape[1], sampled, mesh), lambda part: place(part, mesh), global_batch(batch(), mesh))


@pytest.fixture(scope="module", params=[(2, 4), (1, 8)], ids=["2x4", "1x8"])
def shape(request) -> tuple[int, int]:
    return request.param


@pytest.fixture(scope="module", params=SAMPLED, ids=["all", "sampled"])
def both(request, shape):
    """One step on a mesh and the same on one device."""
    with jax.numpy_dtype_promotion("strict"):
        one = jax.devices()[0]
        alone = take_step(
            make_task(shape[1], request.param),
            lambda part: jax.device_put(part, one),
            jax.device_put(batch(), one),
        )
        return on_mesh(shape, request.param), alone, request.param


COLLECTIVE = re.compile(
    r"= (?P<shapes>.*?) (?P<kind>all-gather|all-to-all|ragged-all-to-all|collective-permute|collective-broadcast"
    r"|all-reduce|reduce-scatter)(?:-start)?\("
)


def transfers(program) -> list[tuple[list[tuple[int, ...]], str]]:
    """(shapes of the results, line) of everything that goes from device to device."""
    found = []
    for line in program.as_text().splitlines():
        if match := COLLECTIVE.search(line):
            dimensions = re.findall(r"\w+\[([\d,]*)\]", match["shapes"])
            shapes = [tuple(int(size) for size in sizes.split(",") if size) for sizes in dimensions]
            found.append((shapes, line.strip()))
    return found


def too_large(program, model: int, most: int) -> list[str]:
    """Lines that move more than `most` numbers. The gradients of a device's own centres may be summed."""
    own = (ROWS // model, EMBED)
    return [
        line
        for shapes, line in transfers(program)
        if sum(math.prod(shape) for shape in shapes if shape != own or "all-reduce" not in line) > most
    ]


WHOLE = PartitionSpec()


@pytest.mark.parametrize("placed", [WHOLE, PartitionSpec(("data", "model"))], ids=["whole", "by example"])
def test_a_transfer_of_logits_would_be_seen(placed):
    """What the next test looks for, where it is: logits made on a mesh and wanted otherwise."""
    mesh = make_mesh(4)
    embeddings = jax.device_put(np.ones((BATCH, EMBED), np.float32), batch_sharding(mesh))
    centres = jax.device_put(np.ones((ROWS, EMBED), np.float32), NamedSharding(mesh, PartitionSpec("model")))
    wanted = NamedSharding(mesh, placed)
    program = jax.jit(lambda e, c: e @ c.T, out_shardings=wanted).lower(embeddings, centres).compile()
    assert too_large(program, 4, ROWS)


def test_logits_stay_on_the_device_that_made_them(both, shape):
    (program, *_), (alone, *_), sampled = both
    assert any("all-reduce" in line for _, line in transfers(program))  # else nothing was looked at
    # Sums, and gradients of embeddings, for each example; where classes are drawn, the lot of each.
    most = ROWS if sampled < 1 else 2 * BATCH * EMBED
    assert too_large(program, shape[1], most) == []
    # Nor does any device hold all of them.
    logits = 4 * BATCH * int(ROWS * sampled)
    assert alone.memory_analysis().temp_size_in_bytes > logits > program.memory_analysis().temp_size_in_bytes


def test_a_step_gives_the_same_on_every_mesh(both, shape):
    (_, state, metrics), (_, expected, expected_metrics), _ = both
    for found, wanted in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-6)
    for name, (total, count) in metrics.items():
        assert float(total) == pytest.approx(float(expected_metrics[name][0]), rel=1e-4), name
        assert float(count) == float(expected_metrics[name][1])
    # It did step, and centres stay where they were put.
    before = np.asarray(make_task(shape[1], 1.0).model.centres[...])
    assert np.abs(np.asarray(state.tuned["centres"]) - before).max() > 1e-3
    for centres in (state.tuned["centres"], state.optimizer[0].trace["centres"]):
        assert {shard.data.shape for shard in centres.addressable_shards} == {(ROWS // shape[1], EMBED)}
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state.statistics))


def test_only_sampled_centres_move_and_padding_never(both):
    (_, state, _), _, sampled = both
    before = np.asarray(make_task(4, 1.0).model.centres[...])
    assert len(before) == ROWS
    moved = (np.asarray(state.tuned["centres"]) != before).any(axis=1)
    assert moved[batch()["label"]].all() and not moved[MANY:].any()
    # A few lie so far off that float32 rounds their gradients away, and three are padding.
    assert ROWS * sampled * 0.9 < moved.sum() <= ROWS * sampled
