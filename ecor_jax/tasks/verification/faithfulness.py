"""Do the concepts carry the decision? Tools on activations of pairs and the aggregation matrix; all pure.

activations: [pairs, concepts] of the first and of the second picture. An embedding is `activations @ weight + bias`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Activations = Float[np.ndarray, "pairs concepts"]


class Head(NamedTuple):
    """The linear end of a bottleneck: W and its bias (zeros if it has none)."""

    weight: Float[np.ndarray, "concepts size"]
    bias: Float[np.ndarray, "size"]


def similarity(first: Activations, second: Activations, head: Head) -> Float[np.ndarray, "pairs"]:
    """Cosines of the embeddings; 0 where an embedding is zero."""
    e1, e2 = (a.astype(np.float64) @ head.weight + head.bias for a in (first, second))
    norms = np.linalg.norm(e1, axis=1) * np.linalg.norm(e2, axis=1)
    return np.sum(e1 * e2, axis=1) / np.where(norms > 0, norms, 1)


def strongest_only(activations: Activations, count: int) -> Activations:
    """Each picture's `count` largest activations, the others set to zero; of equal ones the earlier stay.

    The similarity of what is left, over `count`, is the accuracy against the number of effective concepts (NEC,
    Srivastava et al. 2024, adapted: there weights are cut, here activations).
    """
    order = np.argsort(-activations, axis=1, kind="stable")[:, :count]
    kept = np.zeros_like(activations)
    np.put_along_axis(kept, order, np.take_along_axis(activations, order, axis=1), axis=1)
    return kept


def deletion(
    first: Activations, second: Activations, shares: Activations, head: Head, counts: tuple[int, ...], seed: int
) -> dict[str, list[float]]:
    """Mean similarity after `counts` concepts of each pair are set to zero in both pictures.

    'by share' deletes those with the largest of `shares` (`bottleneck.similarity_shares`) first, 'at random' any: an
    explanation that tells the truth makes the first fall faster (the deletion test of Petsiuk et al. 2018).
    """
    by_share = np.argsort(-shares, axis=1, kind="stable")
    at_random = np.random.default_rng(seed).permuted(np.tile(np.arange(shares.shape[1]), (len(shares), 1)), axis=1)

    def after(order: np.ndarray, count: int) -> float:
        kept = np.ones_like(first)
        np.put_along_axis(kept, order[:, :count], 0, axis=1)
        return float(similarity(first * kept, second * kept, head).mean())

    orders = {"by share": by_share, "at random": at_random}
    return {name: [after(order, count) for count in counts] for name, order in orders.items()}
