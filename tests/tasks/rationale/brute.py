"""The joint distribution by brute force: one pair after another, in float64."""

import numpy as np
from scipy.optimize import nnls

from ecor_jax.tasks.rationale.joint import Banks


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def cosine_to_both(image: np.ndarray, outer: np.ndarray, text: np.ndarray, condition: str) -> float:
    """The cosine of a text to the nearest vector of the plane or cone of two others, or to their sum."""
    both = np.stack([image, outer], axis=1)
    if condition == "mean":
        nearest = image + outer
    elif condition == "plane":
        nearest = both @ np.linalg.lstsq(both, text)[0]
    else:
        nearest = both @ nnls(both, text)[0]
    if not nearest.any():  # both point away from the text
        return max(image @ text, outer @ text)
    return text @ nearest / np.linalg.norm(nearest)


def log_joint(image: np.ndarray, banks: Banks, scale: float) -> np.ndarray:
    """log P(o, i | image), [outer, inner], one pair after another."""
    image, pair = image.astype(np.float64), np.asarray(banks.pair, np.float64)
    outer, inner = banks.sizes

    def fit(o: int, i: int) -> float:
        text = pair[min(o, len(pair) - 1), i]
        if banks.condition == "prompt":
            return image @ text
        assert banks.outer is not None
        return cosine_to_both(image, np.asarray(banks.outer[o], np.float64), text, banks.condition)

    logits = np.array([[scale * fit(o, i) for i in range(inner)] for o in range(outer)])
    if banks.outer is None:
        return log_softmax(logits.reshape(-1)).reshape(outer, inner)
    prior = log_softmax(scale * np.asarray(banks.outer, np.float64) @ image)
    return np.stack([prior[o] + log_softmax(logits[o]) for o in range(outer)])
