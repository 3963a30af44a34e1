"""Measures of concept bottlenecks with a linear layer: contributing concepts, and interventions on concepts."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

POLICIES = ("random", "uncertain", "contribution")
"""The orders in which `interventions` corrects the concepts of an example."""


def contributing_concepts(
    scores: Float[np.ndarray, "N concepts"], weight: Float[np.ndarray, "concepts classes"], share: float = 0.95
) -> Float[np.ndarray, "N"]:
    """Counts the concepts whose contributions |score x weight| to a logit, largest first, make `share` of their sum.

    The number of contributing concepts (NCC) is the mean over classes and examples (M-CBM, "Learning Concept Bottleneck
    Models from Mechanistic Explanations", 2026); this is the mean over classes. A logit without contributions has 0.
    """
    counts = np.zeros(len(scores))
    for column in weight.T:  # all classes at once would not fit into memory
        sizes = -np.sort(-np.abs(scores * column), axis=1)
        total = sizes.sum(axis=1, dtype=np.float64, keepdims=True)
        # The last of the cumulative sums may differ from the total by rounding.
        reached = np.cumsum(sizes, axis=1, dtype=np.float64) >= share * total * (1 - 1e-12)
        counts += np.where(total[:, 0] > 0, np.argmax(reached, axis=1) + 1, 0)
    return counts / weight.shape[1]


def interventions(
    scores: Float[np.ndarray, "N concepts"],
    truth: Bool[np.ndarray, "N concepts"],
    levels: Float[np.ndarray, "absent_and_present concepts"],
    weight: Float[np.ndarray, "concepts classes"],
    bias: Float[np.ndarray, "classes"],
    counts: Sequence[int],
    seed: int,
) -> Mapping[str, Mapping[int, Int[np.ndarray, "N"]]]:
    """Returns the answers after the first n concepts of each example are set to the truth, by policy and n of `counts`.

    levels: the score of each concept that an intervention sets where it is absent, and where it is present;
      NaN: interventions do not change it, and it comes last.
    'random': in a random order of its own for each example. 'uncertain': nearest to the middle of the levels first, in
    units of their distance (UCP of Shin et al. 2023). 'contribution': largest |contribution| to the logit of the answer
    before any intervention first, against the middle of the levels (CCTP of Shin et al. 2023).
    """
    known = np.isfinite(levels).all(axis=0)
    low, high = np.where(known, levels, 0)
    middle, distance = (low + high) / 2, np.maximum(np.abs(high - low), 1e-12)
    answer = np.argmax(scores @ weight + bias, axis=1)
    ranks = {
        "random": np.random.default_rng(seed).random(scores.shape),
        "uncertain": np.abs(scores - middle) / distance,
        "contribution": -np.abs((scores - middle) * weight.T[answer]),
    }
    true = np.where(known, np.where(truth, high, low), scores)
    found: dict[str, dict[int, np.ndarray]] = {policy: {} for policy in POLICIES}
    for policy in POLICIES:
        order = np.argsort(np.where(known, ranks[policy], np.inf), axis=1, kind="stable")
        place = np.argsort(order, axis=1, kind="stable")
        for count in counts:
            corrected = np.where(place < count, true, scores)
            found[policy][count] = np.argmax(corrected @ weight + bias, axis=1)
    return found
