"""Losses as pure functions on arrays. Every one returns a loss per example; the caller takes the mean."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def candidate_loss(logits: Float[Array, "batch candidates"], target: Int[Array, "batch"]) -> Float[Array, "batch"]:
    """Cross-entropy of the gold candidate among all: `-log softmax(logits)[target]`.

    ECOR's L_CLIP over a whole vocabulary: of rationales, P(r|I), and of classes given the gold rationale,
    P(c|r,I) (arXiv 2404.12839, section III); DROR's loss over all pairs (arXiv 2212.06202, section 4).
    """
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probs, target[:, None], axis=1)[:, 0]


def softmax_contrastive_loss(
    logits: Float[Array, "images texts"], positives: Bool[Array, "images texts"]
) -> Float[Array, "images"]:
    """Symmetric InfoNCE over a batch (Radford et al. 2021, figure 3), with any number of positives per row.

    The target is uniform over a row's positives (UniCL, Yang et al. 2022, equation 3): equal texts in a batch are
    never each other's negatives. With the identity as `positives` it is CLIP's loss. Image i's value is the mean
    of row i's and column i's cross-entropy; every row and column needs at least one positive.
    """

    def one_way(logits, positives):
        share = positives.astype(logits.dtype) / jnp.sum(positives, axis=1, keepdims=True, dtype=logits.dtype)
        return -jnp.sum(share * jax.nn.log_softmax(logits), axis=1)

    return (one_way(logits, positives) + one_way(logits.T, positives.T)) / 2


def sigmoid_contrastive_loss(
    logits: Float[Array, "images texts"], positives: Bool[Array, "images texts"]
) -> Float[Array, "images"]:
    """Pairwise sigmoid loss (SigLIP, Zhai et al. 2023, equation 1): each pair is a match or not, on its own.

    `logits` carry the learned scale and bias. Image i's value is the sum over its row.
    """
    signs = jnp.where(positives, 1.0, -1.0)
    return -jnp.sum(jax.nn.log_sigmoid(signs * logits), axis=1)
