"""The joint distribution by brute force: one pair after another, in float64."""

import numpy as np

from ecor_jax.tasks.rationale.joint import Banks


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def log_joint(image: np.ndarray, banks: Banks, scale: float) -> np.ndarray:
    """log P(o, i | image), [outer, inner], one pair after another."""
    image, pair = image.astype(np.float64), np.asarray(banks.pair, np.float64)
    outer, inner = banks.sizes
    logits = np.array([[scale * (image @ pair[min(o, len(pair) - 1), i]) for i in range(inner)] for o in range(outer)])
    if banks.outer is None:
        return log_softmax(logits.reshape(-1)).reshape(outer, inner)
    prior = log_softmax(scale * np.asarray(banks.outer, np.float64) @ image)
    return np.stack([prior[o] + log_softmax(logits[o]) for o in range(outer)])
