"""The sparse softmax regression against scikit-learn's, and its pruned layers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ecor_jax.bottleneck.sparse import L1_SHARE, LAST, PATH, layers_by_effective, path


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    """Scores of 90 examples: of 8 concepts, class n has more of concepts n and n + 3; concept 7 is always the same."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(90) % 3)
    scores = rng.normal(size=(90, 8))
    for shift in (0, 3):
        scores[np.arange(90), labels + shift] += 1.0
    scores[:, 7] = 0.5
    return (0.1 * scores + 0.3).astype(np.float32), labels


def loss_of(weight, bias, inputs, labels, penalty: float) -> float:
    logits = inputs @ weight + bias
    logits -= logits.max(axis=1, keepdims=True)
    likelihood = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))
    norms = L1_SHARE * np.abs(weight).sum() + (1 - L1_SHARE) / 2 * (weight**2).sum()
    return float(-likelihood.mean() + penalty * norms)


def test_the_path_reaches_the_minimum_of_each_penalty(problem):
    scores, labels = problem
    layers = list(path(scores, labels, 3))
    assert len(layers) == PATH and layers[0].effective == 0
    deviation = np.where(scores.std(axis=0) > 0, scores.std(axis=0), 1)
    inputs = ((scores - scores.mean(axis=0)) / deviation).astype(np.float64)
    gradient = inputs.T @ (np.eye(3)[labels] - 1 / 3) / 90
    highest = np.abs(gradient).max() / L1_SHARE
    for place in (10, 25, 49):
        penalty = highest * LAST ** (place / (PATH - 1))
        model = LogisticRegression(l1_ratio=L1_SHARE, C=1 / (90 * penalty), solver="saga", tol=1e-7, max_iter=50_000)
        model.fit(inputs, labels)
        theirs = loss_of(model.coef_.T, model.intercept_, inputs, labels, penalty)
        ours = loss_of(layers[place].weight.astype(np.float64), layers[place].bias, inputs, labels, penalty)
        assert ours == pytest.approx(theirs, abs=2e-5)
        np.testing.assert_allclose(layers[place].weight, model.coef_.T, atol=0.01)
    assert (layers[-1].weight[7] == 0).all()


def test_layers_have_at_most_the_effective_concepts_asked_for(problem):
    scores, labels = problem
    layers = layers_by_effective(scores, labels, 3, (1, 2, 30))
    for count, layer in layers.items():
        assert layer.effective <= count
    assert layers[1].effective == 1 and layers[2].effective == 2
    right = {count: np.mean(np.argmax(layer(scores), axis=1) == labels) for count, layer in layers.items()}
    assert right[30] > 0.7 > right[1] > 1 / 3


def test_pruning_keeps_the_largest_of_all_classes(problem):
    *_, layer = path(*problem, 3)
    kept = layer.pruned(2).weight
    assert np.count_nonzero(kept) == 6
    assert np.abs(kept[kept != 0]).min() >= np.abs(layer.weight[kept == 0]).max()
