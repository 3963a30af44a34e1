"""The sparse positive decomposition against scikit-learn's Lasso."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from ecor_jax.bottleneck.decomposition import decompose
from tests.tasks.steps import unit_rows


@pytest.mark.parametrize("penalty", [0.05, 0.2])
def test_the_weights_are_those_of_a_positive_lasso(penalty):
    rng = np.random.default_rng(0)
    bank, features, mean = unit_rows(rng, 20, 12), 3 * unit_rows(rng, 5, 12), 0.1 * unit_rows(rng, 12)
    weights, cosines = decompose(features, bank, mean, penalty)
    words = bank - bank.mean(axis=0)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    images = features / 3 - mean
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    for row, image in enumerate(images):
        lasso = Lasso(alpha=penalty / 12, positive=True, fit_intercept=False, tol=1e-9, max_iter=100_000)
        lasso.fit(words.T.astype(np.float64), image.astype(np.float64))
        np.testing.assert_allclose(weights[row], lasso.coef_, atol=2e-3)
        built = lasso.coef_ @ words
        assert cosines[row] == pytest.approx(built @ image / np.linalg.norm(built), abs=2e-3)
    assert (weights >= 0).all() and (weights == 0).any()


def test_a_word_is_its_own_decomposition_and_a_high_penalty_leaves_none():
    rng = np.random.default_rng(1)
    bank = unit_rows(rng, 10, 16)
    weights, cosines = decompose(bank[:3], bank, bank.mean(axis=0), 0.01)
    np.testing.assert_array_equal(np.argmax(weights, axis=1), [0, 1, 2])
    assert (cosines > 0.99).all()
    weights, cosines = decompose(bank[:3], bank, bank.mean(axis=0), 1.0)
    assert not weights.any() and not cosines.any()
