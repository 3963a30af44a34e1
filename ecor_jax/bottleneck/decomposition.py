"""Decomposes image embeddings into few words with positive weights: SpLiCE (Bhalla et al. 2024, section 4)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ecor_jax.clip.model import unit

TOLERANCE, ITERATIONS = 1e-3, 2000
"""The search ends when the gradient mapping is nowhere above this share of the penalty, or after so many iterations."""
BATCH = 512
"""Number of images that are decomposed at once."""


def decompose(
    features: Float[np.ndarray, "N embed"],
    bank: Float[np.ndarray, "words embed"],
    mean: Float[np.ndarray, "embed"],
    penalty: float,
) -> tuple[Float[np.ndarray, "N words"], Float[np.ndarray, "N"]]:
    """Minimises |w C - z|^2 + 2 penalty |w|_1 over w >= 0 (equation 4), and returns w and the cosines of w C to z.

    z: unit features less their `mean` over other images. C: unit embeddings of the words less their own mean. Both are
    made unit vectors again, because images and texts of a CLIP lie in different cones. The cosine is 0 if w is 0.
    """
    unit_words = unit(jnp.asarray(bank))
    words = unit(unit_words - unit_words.mean(axis=0, keepdims=True))
    found = []
    for start in range(0, len(features), BATCH):
        images = unit(unit(jnp.asarray(features[start : start + BATCH])) - jnp.asarray(mean)[None])
        found.append([np.asarray(part) for part in _decompose(images, words, penalty)])
    weights, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return weights, cosines


@jax.jit
def _decompose(
    images: Float[Array, "N embed"], words: Float[Array, "words embed"], penalty: float
) -> tuple[Float[Array, "N words"], Float[Array, "N"]]:
    gram, fits = words @ words.T, images @ words.T
    size = 1 / jnp.maximum(jnp.linalg.norm(gram, ord=2), 1e-6)

    def more(state):
        return (state[0] < ITERATIONS) & (state[1] > TOLERANCE * penalty)

    def look(state):
        step, _, weights, ahead, momentum = state
        new = jnp.maximum(ahead - size * (ahead @ gram - fits + penalty), 0.0)
        following = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        residual = jnp.abs(ahead - new).max() / size
        return step + 1, residual, new, new + (momentum - 1) / following * (new - weights), following

    start = jnp.zeros_like(fits)
    begin = jnp.int32(0), jnp.float32(jnp.inf), start, start, jnp.float32(1)
    weights = jax.lax.while_loop(more, look, begin)[2]
    built = weights @ words
    return weights, jnp.sum(built * images, axis=1) / jnp.maximum(jnp.linalg.norm(built, axis=1), 1e-12)
