"""Contributing concepts and interventions, against one example after another."""

import numpy as np

from ecor_jax.metrics.concepts import contributing_concepts, interventions


def test_contributing_concepts_are_the_fewest_with_the_share():
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=(6, 9)), rng.normal(size=(9, 4)) * (rng.random((9, 4)) > 0.4)
    expected = np.zeros(6)
    for row in range(6):
        for column in range(4):
            sizes = sorted((abs(scores[row, k] * weight[k, column]) for k in range(9)), reverse=True)
            count = next(n for n in range(1, 10) if sum(sizes[:n]) >= 0.95 * sum(sizes) - 1e-9)
            expected[row] += count / 4
    np.testing.assert_allclose(contributing_concepts(scores, weight), expected)


def test_one_concept_decides_alone_and_none_where_nothing_contributes():
    weight = np.array([[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(contributing_concepts(np.array([[2.0, 5.0]]), weight), [0.5])
    # All that contribute are needed for all of the sum.
    np.testing.assert_array_equal(contributing_concepts(np.ones((1, 3)), np.full((3, 1), 0.1), share=1.0), [3])


def test_interventions_set_the_first_concepts_to_the_truth():
    rng = np.random.default_rng(1)
    scores, truth = rng.normal(size=(20, 5)), rng.random((20, 5)) > 0.5
    levels = np.stack([rng.normal(size=5) - 2, rng.normal(size=5) + 2])
    levels[:, 3] = np.nan  # nobody knows what its scores mean
    weight, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    found = interventions(scores, truth, levels, weight, bias, (0, 1, 2, 4, 5), seed=0)
    for row in range(20):
        answer = int(np.argmax(scores[row] @ weight + bias))
        middle = {k: levels[:, k].mean() for k in (0, 1, 2, 4)}
        orders = {
            "uncertain": sorted(middle, key=lambda k: abs(scores[row, k] - middle[k]) / (levels[1, k] - levels[0, k])),
            "contribution": sorted(middle, key=lambda k: -abs((scores[row, k] - middle[k]) * weight[k, answer])),
        }
        for policy, order in orders.items():
            for count in (0, 1, 2, 4, 5):
                corrected = scores[row].copy()
                for k in order[:count]:
                    corrected[k] = levels[int(truth[row, k]), k]
                assert found[policy][count][row] == np.argmax(corrected @ weight + bias)
    for policy in found:  # none and all are the same in any order
        np.testing.assert_array_equal(found[policy][0], np.argmax(scores @ weight + bias, axis=1))
        np.testing.assert_array_equal(found[policy][5], found["random"][5])


def test_random_orders_differ_by_picture_and_repeat_by_seed():
    scores, truth = np.zeros((200, 4)), np.eye(4, dtype=bool)[np.arange(200) % 4]
    levels, weight = np.stack([np.zeros(4), np.ones(4)]), np.eye(4)
    first, again, other = (
        interventions(scores, truth, levels, weight, np.full(4, 0.0), (1,), seed)["random"][1] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # One of four concepts is set: a quarter of the pictures, and those of class 0, which ties decide, are right.
    assert 0.3 < np.mean(first == np.arange(200) % 4) < 0.6
