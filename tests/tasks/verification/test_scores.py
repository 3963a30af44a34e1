"""Scores of embeddings on pairs: hand-worked, with unnormalised rows."""

import numpy as np
import pytest

from ecor_jax.data.pair_sets import PairSet
from ecor_jax.data.sources import InMemory
from ecor_jax.tasks.verification.scores import score_pairs


def pair_set(first, second, same) -> PairSet:
    arrays = (np.asarray(rows, np.int64) for rows in (first, second))
    return PairSet("hand", InMemory([], "nothing"), *arrays, np.asarray(same))


def test_two_people_told_apart():
    # Four pictures, two directions, any length: pairs of one direction are the same person.
    embeddings = np.array([[1, 0], [5, 0.1], [0, 2], [0.1, 1]], np.float32)
    pairs = pair_set([0, 0, 2, 1] * 5, [1, 2, 3, 3] * 5, [True, False, True, False] * 5)
    scores = score_pairs(embeddings, pairs)
    assert scores.folds.accuracy == scores.auc == 1
    assert (scores.pairs, scores.same) == (20, 10)
    found = scores.as_results()
    # Of all distances the first above the same ones' is that of the different pairs, 0.1 of a radian short of a right
    # angle between two directions; the protocol's is the first multiple of .01 above the same ones'.
    nearest = 2 - 2 * (embeddings[1] @ embeddings[3]) / np.linalg.norm(embeddings[1]) / np.linalg.norm(embeddings[3])
    assert found["threshold"] == pytest.approx(1 - nearest / 2)
    assert scores.folds.thresholds == pytest.approx([0.01] * 10)
    assert found["accuracy_any_threshold"] == 1
    # Ten different pairs cannot tell a FAR of 1e-3.
    assert found["tar_at_far"] == {}
    assert found["accuracy_std"] == 0


def test_the_protocol_is_blind_where_embeddings_are_close():
    """Two people whose pictures differ by a thousandth: told apart by any threshold, not by one of .01."""
    embeddings = np.array([[1, 0], [1, 1e-4], [1, 0.02], [1, 0.0201]])
    pairs = pair_set([0, 0, 2, 1] * 5, [1, 2, 3, 3] * 5, [True, False, True, False] * 5)
    scores = score_pairs(embeddings, pairs).as_results()
    assert (scores["accuracy"], scores["accuracy_any_threshold"], scores["auc"]) == (0.5, 1, 1)


def test_many_different_pairs_resolve_a_far():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(200, 3)).astype(np.float32)
    first, second = np.triu_indices(200, 1)
    scores = score_pairs(embeddings, pair_set(first, second, (first + second) % 7 == 0))
    assert list(scores.as_results()["tar_at_far"]) == ["0.001", "0.0001"]


def test_pairs_of_one_kind_have_no_curve():
    scores = score_pairs(np.eye(3, dtype=np.float32), pair_set([0] * 10, [1] * 10, [True] * 10))
    assert scores.auc is None and scores.roc is None and scores.as_results()["tar_at_far"] == {}
