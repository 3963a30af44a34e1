"""Exact top-k pairs and marginals against brute force over all pairs, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.parallel.mesh import batch_sharding, make_mesh
from ecor_jax.parallel.shards import Shards, over_shards, split_columns
from ecor_jax.tasks.rationale import joint
from ecor_jax.tasks.rationale.joint import Banks, TopPairs, marginals, top_pairs
from ecor_jax.tasks.rationale.model import conditional_loss
from tests.tasks.rationale.brute import log_joint, log_softmax
from tests.tasks.steps import unit_rows

CONDITIONS = ("plane", "cone", "mean")
KINDS = ("conditional", "independent", "pairs", *CONDITIONS)
# Compiled: op by op the loops compile piece by piece, which takes far longer than running them.
top = jax.jit(top_pairs, static_argnames=("k", "chunk"))
sums = jax.jit(marginals, static_argnames="chunk")


def problem(kind: str, batch: int, outer: int, inner: int, seed: int) -> tuple[np.ndarray, Banks]:
    rng = np.random.default_rng(seed)
    first = None if kind == "pairs" else unit_rows(rng, outer, 8)
    pair = unit_rows(rng, 1 if kind in ("independent", *CONDITIONS) else outer, inner, 8)
    return unit_rows(rng, batch, 8), banks_of(first, pair, kind if kind in CONDITIONS else "prompt")


def banks_of(outer, pair, condition: joint.Condition = "prompt") -> Banks:
    return Banks(None if outer is None else jnp.asarray(outer), jnp.asarray(pair), condition)


def check_top(images, banks: Banks, scale: float, k: int, chunk: int) -> None:
    compare(top(jnp.asarray(images), banks, jnp.float32(scale), k, chunk=chunk), images, banks, scale)


def compare(found: TopPairs, images, banks: Banks, scale: float) -> None:
    outer, inner, log_prob = map(np.asarray, found)
    k = outer.shape[1]
    for row, image in enumerate(images):
        joint = log_joint(image, banks, scale)
        np.testing.assert_allclose(log_prob[row], np.sort(joint.reshape(-1))[::-1][:k], atol=2e-4)
        # Each value belongs to its pair, and no pair comes twice.
        np.testing.assert_allclose(joint[outer[row], inner[row]], log_prob[row], atol=2e-4)
        assert len({*zip(outer[row], inner[row], strict=True)}) == k


# Chunks that divide the outer candidates, do not, hold them all, and hold more; k within and beyond a chunk.
SHAPES = [(7, 4, 1, 1), (7, 4, 5, 3), (7, 4, 9, 16), (7, 4, 28, 2), (5, 3, 15, 2), (1, 1, 1, 8)]


@pytest.mark.optimized
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outer", "inner", "k", "chunk"), SHAPES)
def test_top_pairs_equal_brute_force(kind, outer, inner, k, chunk):
    for seed, scale in enumerate((1.0, 14.0, 20.0, 100.0)):
        images, banks = problem(kind, 3, outer, inner, seed)
        check_top(images, banks, scale, k, chunk=chunk)


def test_the_search_goes_on_as_long_as_one_image_needs_it():
    # The first image is sure of outer 0, the second finds all alike.
    images = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    outer = np.array([[1.0, 0.0]] + [[0.0, 0.0]] * 7, np.float32)
    check_top(images, banks_of(outer, unit_rows(np.random.default_rng(0), 8, 3, 2)), 30.0, 4, chunk=1)


@pytest.mark.optimized
@pytest.mark.parametrize("kind", ["conditional", "independent", "cone"])
@pytest.mark.parametrize("model", [0, 2, 8])
def test_where_many_candidates_are_needed_all_images_look_at_them_together(kind, model, monkeypatch):
    """After the likeliest of each; on one device (0) and on meshes, whose shares of 5 columns are uneven."""
    monkeypatch.setattr(joint, "LOGITS", 3 * 16 * 5)  # three candidates at a time, so some are padding
    images, banks = problem(kind, 16, 11, 5, seed=1)
    mesh = make_mesh(model) if model else None
    pair, examples = split_columns(banks.pair, mesh), jnp.asarray(images)
    if mesh:
        examples = jax.device_put(examples, batch_sharding(mesh))

    @jax.jit
    def search(examples, pair, outer, scale):
        def of_shards(examples, pair, whole, shards):
            return top_pairs(examples, Banks(whole[0], pair, banks.condition), whole[1], 7, shards, chunk=1)

        return over_shards(of_shards, mesh, 5, examples, pair, (outer, scale))

    for scale in (1.0, 14.0, 100.0):
        compare(search(examples, pair, jnp.asarray(banks.outer), jnp.float32(scale)), images, banks, scale)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_the_loss_of_a_condition_and_its_gradient(kind):
    images, banks = problem(kind, 4, 5, 6, seed=2)
    outer, inner, scale = np.array([0, 3, 4, 1]), np.array([5, 0, 2, 2]), 9.0

    def slow(rows: np.ndarray) -> float:
        joint = [log_joint(row, banks, scale)[o, i] for row, o, i in zip(rows, outer, inner, strict=True)]
        texts = np.asarray(banks.outer, np.float64)
        prior = [log_softmax(scale * texts @ row)[o] for row, o in zip(rows, outer, strict=True)]
        return float(np.sum(prior) - np.sum(joint))

    def loss(rows):
        given = rows, jnp.asarray(outer), jnp.asarray(inner)
        return jnp.sum(conditional_loss(given, banks, jnp.float32(scale), Shards(6)))

    found, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(images))
    assert float(found) == pytest.approx(slow(images.astype(np.float64)), rel=1e-4)
    # Along the sphere of unit vectors, where the formula holds.
    rng = np.random.default_rng(0)
    for _ in range(3):
        along = rng.normal(size=images.shape)
        along -= (along * images).sum(axis=1, keepdims=True) * images

        def at(step: float, along=along) -> float:
            moved = images + step * along
            return slow(moved / np.linalg.norm(moved, axis=1, keepdims=True))

        slope = (at(1e-5) - at(-1e-5)) / 2e-5
        assert float(np.vdot(gradient, along)) == pytest.approx(slope, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_in_bfloat16_are_near(condition):
    images, banks = problem(condition, 3, 4, 5, seed=1)
    given = jnp.asarray(images), banks.outer[None], banks.pair[0]
    exact = joint.conditioned(*given, condition)
    near = joint.conditioned(given[0], given[1], given[2].astype(jnp.bfloat16), condition)
    assert near.dtype == jnp.float32
    np.testing.assert_allclose(near, exact, atol=0.03)


@pytest.mark.parametrize("chunk", [1, 2, 8])
def test_among_equal_pairs_the_one_of_the_likelier_or_earlier_outer_comes_first(chunk):
    # Cosines that floats hold exactly. Outer 2 is the likeliest, 0 and 1 are equal; of each, inner 1 and 2 are
    # equal, ahead of 0.
    image = jnp.array([[1.0, 0.0]])
    outer = jnp.array([[0.25, 0.0], [0.25, 0.5], [0.5, 0.0]])
    pair = jnp.broadcast_to(jnp.array([[0.0, 1.0], [0.5, 0.0], [0.5, 0.5]]), (3, 3, 2))
    found = top(image, Banks(outer, pair), jnp.float32(4), 9, chunk=chunk)
    assert found.outer[0].tolist() == [2, 2, 0, 0, 1, 1, 2, 0, 1]
    assert found.inner[0].tolist() == [1, 2, 1, 2, 1, 2, 0, 0, 0]
    # The k-th and the next are equal: the earlier one is taken, though the search may stop between them.
    found = top(image, Banks(outer, pair), jnp.float32(4), 3, chunk=chunk)
    assert list(zip(found.outer[0].tolist(), found.inner[0].tolist(), strict=True)) == [(2, 1), (2, 2), (0, 1)]
    # Of one softmax over all pairs, the first by number comes first.
    found = top(image, Banks(None, pair[:, :2]), jnp.float32(4), 5, chunk=chunk)
    assert found.outer[0].tolist() == [0, 1, 2, 0, 1] and found.inner[0].tolist() == [1, 1, 1, 0, 0]


def test_the_search_stops_before_outer_candidates_that_cannot_enter(monkeypatch):
    monkeypatch.setattr(joint, "GATHER_COST", 1e-3)  # each image looks by itself to the end
    images, banks = problem("conditional", 3, 40, 4, seed=3)
    k, chunk, scale = 5, 4, 40.0
    joints = np.stack([log_joint(image, banks, scale) for image in images])
    priors = np.stack([log_softmax(scale * np.asarray(banks.outer, np.float64) @ image) for image in images])
    order = np.argsort(-priors, axis=1)
    kth = np.sort(joints.reshape(3, -1), axis=1)[:, -k]
    # Whole chunks down to the last outer candidate that can still enter for some image, by P(o, i) <= P(o).
    needed = max(int(np.sum(row > bar)) for row, bar in zip(priors, kth, strict=True))
    looked = -(-needed // chunk) * chunk
    tail = set(range(40)) - set(order[:, :looked].ravel().tolist())
    assert len(tail) > 15  # or the test shows little
    poisoned = np.array(banks.pair)
    poisoned[list(tail)] = np.nan

    def found(pair) -> TopPairs:
        return top(jnp.asarray(images), banks_of(banks.outer, pair), jnp.float32(scale), k, chunk=chunk)

    whole = found(banks.pair)
    for expected, got in zip(whole, found(poisoned), strict=True):
        np.testing.assert_array_equal(expected, got)
    # The poison works: what is looked at shows.
    poisoned[order[0, 0]] = np.nan
    assert not np.array_equal(whole.log_prob, found(poisoned).log_prob)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [3, 16])
def test_marginals_equal_brute_force_and_sum_to_one(kind, chunk):
    images, banks = problem(kind, 3, 7, 4, seed=chunk)
    outer, inner = sums(jnp.asarray(images), banks, jnp.float32(20), chunk=chunk)
    joint = np.stack([np.exp(log_joint(image, banks, 20)) for image in images])
    np.testing.assert_allclose(outer, joint.sum(axis=2), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(inner, joint.sum(axis=1), rtol=1e-4, atol=1e-7)
    for sums_of in (outer, inner):
        np.testing.assert_allclose(np.sum(sums_of, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_more_pairs_than_there_are_cannot_be_asked_for(kind):
    images, banks = problem(kind, 1, 3, 2, seed=0)
    with pytest.raises(ValueError, match="top 7 of 6 pairs"):
        top_pairs(jnp.asarray(images), banks, jnp.float32(1), 7)
