"""Training losses as pure functions on arrays. Each returns one value per example; the caller takes the mean."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def candidate_loss(logits: Float[Array, "batch candidates"], target: Int[Array, "batch"]) -> Float[Array, "batch"]:
    """Computes the cross-entropy of the gold candidate among all candidates: `-log softmax(logits)[target]`.

    This is ECOR's L_CLIP over a complete vocabulary, of rationales, P(r|I), or of classes given the gold rationale,
    P(c|r,I) (arXiv 2404.12839, section III), and DROR's loss over all pairs (arXiv 2212.06202, section 4).
    """
    log_probs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probs, target[:, None], axis=1)[:, 0]


def softmax_contrastive_loss(
    logits: Float[Array, "images texts"], positives: Bool[Array, "images texts"]
) -> Float[Array, "images"]:
    """Computes symmetric InfoNCE over a batch (Radford et al. 2021, figure 3), with any number of positives per row.

    The target is uniform over a row's positives (UniCL, Yang et al. 2022, equation 3), so that equal texts in a batch
    are not negatives of each other. With the identity as `positives` it is CLIP's loss. The value of image i is the
    mean of the cross-entropies of row i and column i. Every row and column needs at least one positive.
    """

    def one_way(logits, positives):
        share = positives.astype(logits.dtype) / jnp.sum(positives, axis=1, keepdims=True, dtype=logits.dtype)
        return -jnp.sum(share * jax.nn.log_softmax(logits), axis=1)

    return (one_way(logits, positives) + one_way(logits.T, positives.T)) / 2


def sigmoid_contrastive_loss(
    logits: Float[Array, "images texts"], positives: Bool[Array, "images texts"]
) -> Float[Array, "images"]:
    """Computes the pairwise sigmoid loss (SigLIP, Zhai et al. 2023, equation 1), a binary loss for each pair.

    `logits` include the learned scale and bias. The value of image i is the sum over its row.
    """
    signs = jnp.where(positives, 1.0, -1.0)
    return -jnp.sum(jax.nn.log_sigmoid(signs * logits), axis=1)


def concept_loss(
    cosines: Float[Array, "batch concepts"], present: Bool[Array, "batch concepts"], push_absent: bool
) -> Float[Array, "batch"]:
    """Computes the mean absolute difference of concept scores and their targets (arXiv 2411.04008, section 3.2).

    The target of a present concept is the largest score of its image. The target of an absent concept is its own score,
    so it gets no gradient; with `push_absent` it is the smallest score of the image, which lowers absent concepts.
    Targets are constants. The loss of an image without present concepts is 0, because it has no target.
    """
    scores = jax.lax.stop_gradient(cosines)
    absent = jnp.min(scores, axis=1, keepdims=True) if push_absent else scores
    target = jnp.where(present, jnp.max(scores, axis=1, keepdims=True), absent)
    distance = cosines - target
    # JAX's derivative of |x| at 0 is 1, not 0, which would move scores that equal their target.
    distance = jnp.where(distance == 0, 0.0, jnp.abs(distance))
    return jnp.where(jnp.any(present, axis=1), jnp.mean(distance, axis=1), 0.0)


def multi_label_loss(
    logits: Float[Array, "batch findings"],
    target: Float[Array, "batch findings"],
    positive_weight: Float[Array, "findings"],
) -> Float[Array, "batch"]:
    """Computes the mean binary cross-entropy of `sigmoid(logits)` over the findings whose target is known (not NaN).

    The terms of positive targets are multiplied by `positive_weight`.
    """
    known = ~jnp.isnan(target)
    target = jnp.where(known, target, 0.0)
    positive, negative = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    losses = -(positive_weight[None] * target * positive + (1 - target) * negative)
    return jnp.sum(jnp.where(known, losses, 0.0), axis=1) / jnp.maximum(jnp.sum(known, axis=1, dtype=logits.dtype), 1.0)
