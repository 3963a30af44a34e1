"""Faithfulness tests: pure functions that remove concepts from pairs, to measure how much the decision depends on them.

activations: [pairs, concepts] of the first and of the second picture. An embedding is `activations @ weight + bias`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Activations = Float[np.ndarray, "pairs concepts"]


class Head(NamedTuple):
    """The linear layer of a bottleneck: the aggregation matrix W and its bias (zeros if it has none)."""

    weight: Float[np.ndarray, "concepts size"]
    bias: Float[np.ndarray, "size"]


def similarity(first: Activations, second: Activations, head: Head) -> Float[np.ndarray, "pairs"]:
    """Computes the cosines of the embeddings; 0 if an embedding is zero."""
    e1, e2 = (a.astype(np.float64) @ head.weight + head.bias for a in (first, second))
    norms = np.linalg.norm(e1, axis=1) * np.linalg.norm(e2, axis=1)
    return np.sum(e1 * e2, axis=1) / np.where(norms > 0, norms, 1)


def strongest_only(activations: Activations, count: int) -> Activations:
    """Keeps each picture's `count` largest activations and sets the others to zero; of equal ones it keeps the first.

    Used to plot accuracy against `count`, the number of effective concepts (NEC, Srivastava et al. 2024; that work
    removes weights, this function activations).
    """
    order = np.argsort(-activations, axis=1, kind="stable")[:, :count]
    kept = np.zeros_like(activations)
    np.put_along_axis(kept, order, np.take_along_axis(activations, order, axis=1), axis=1)
    return kept


def deletion(
    first: Activations, second: Activations, shares: Activations, head: Head, counts: tuple[int, ...], seed: int
) -> dict[str, list[float]]:
    """Computes the mean similarity after setting `counts` concepts of each pair to zero in both pictures.

    'by share' deletes those with the largest `shares` (`bottleneck.head.similarity_shares`) first, 'at random' deletes
    in random order. For faithful explanations 'by share' falls faster (the deletion test of Petsiuk et al. 2018).
    """
    by_share = np.argsort(-shares, axis=1, kind="stable")
    at_random = np.random.default_rng(seed).permuted(np.tile(np.arange(shares.shape[1]), (len(shares), 1)), axis=1)

    def after(order: np.ndarray, count: int) -> float:
        kept = np.ones_like(first)
        np.put_along_axis(kept, order[:, :count], 0, axis=1)
        return float(similarity(first * kept, second * kept, head).mean())

    orders = {"by share": by_share, "at random": at_random}
    return {name: [after(order, count) for count in counts] for name, order in orders.items()}
