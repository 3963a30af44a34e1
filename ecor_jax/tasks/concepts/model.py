"""Trains heads on frozen features with cross-entropy and the concept loss (arXiv 2411.04008, section 3.2)."""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.errors import UserError
from ecor_jax.losses import candidate_loss, concept_loss, multi_label_loss
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.training.step import Batch, Metrics


@dataclasses.dataclass(frozen=True)
class HeadLoss:
    """The cross-entropy plus `concept_weight` (2 in the paper) times the concept loss.

    single_label: whether the classes are exclusive (softmax), or labels are binary (sigmoid).
    weights: of the classes, or of the positives of each label. push_absent: see `losses.concept_loss`.
    """

    single_label: bool
    weights: Float[np.ndarray, "classes"]
    concept_weight: float = 2.0
    push_absent: bool = False

    def __post_init__(self):
        if not 0 <= self.concept_weight < math.inf:
            raise UserError(f"loss.concept_weight is {self.concept_weight}; expected a finite number of at least 0")


class ConceptsLearner:
    """Trains a head on {"features", "target", "present"} batches; the features are those of frozen encoders.

    target: float [classes], 1 for present; a one-hot row for exclusive classes, NaN for unknown labels.
    present: bool [concepts].
    """

    trainable = nnx.Param

    def __init__(self, head: Bottleneck | BlackBox, batches: TrainBatches, loss: HeadLoss):
        self.model, self.batches, self.settings = head, batches, loss

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        settings, count = self.settings, jnp.float32(len(batch["target"]))
        if isinstance(model, Bottleneck):
            seen = model(batch["features"])
            logits = seen.output
            concept = jnp.mean(concept_loss(seen.cosines, batch["present"], settings.push_absent))
        else:
            assert isinstance(model, BlackBox)
            logits, concept = model(batch["features"]), jnp.float32(0)
        classification = self._classification(logits, batch["target"])
        return classification + settings.concept_weight * concept, {
            "diagnosis_loss": (classification, jnp.float32(1)),
            "concept_loss": (concept, jnp.float32(1)),
            "right": (jnp.sum(self._right(logits, batch["target"])), count),
        }

    def _classification(
        self, logits: Float[Array, "batch classes"], target: Float[Array, "batch classes"]
    ) -> Float[Array, ""]:
        weights = jnp.asarray(self.settings.weights)
        if not self.settings.single_label:
            return jnp.mean(multi_label_loss(logits, target, weights))
        own = jnp.argmax(target, axis=1)
        return jnp.sum(weights[own] * candidate_loss(logits, own)) / jnp.sum(weights[own])

    def _right(
        self, logits: Float[Array, "batch classes"], target: Float[Array, "batch classes"]
    ) -> Float[Array, "batch"]:
        if self.settings.single_label:
            return (jnp.argmax(logits, axis=1) == jnp.argmax(target, axis=1)).astype(jnp.float32)
        known = ~jnp.isnan(target)
        agree = ((logits > 0) == (target > 0.5)) & known
        return jnp.sum(agree, axis=1, dtype=jnp.float32) / jnp.maximum(jnp.sum(known, axis=1, dtype=jnp.float32), 1.0)


def class_weights(
    target: Float[np.ndarray, "N classes"], classes: Sequence[str], single_label: bool, balanced: bool
) -> Float[np.ndarray, "classes"]:
    """Returns ones; or, if `balanced`, N / (C n_c) for each of C classes, and negatives / positives for each label.

    Raises UserError, naming the class, if no picture or every picture with a known label has it.
    """
    positives, negatives = np.nansum(target, axis=0), np.nansum(1 - target, axis=0)
    for name, positive, negative in zip(classes, positives, negatives, strict=True):
        if not positive or not negative:
            raise UserError(
                f"of the pictures to train on {int(positive)} have {name!r} and {int(negative)} have not; "
                "expected some of either"
            )
    if not balanced:
        return np.ones(target.shape[1], np.float32)
    weights = len(target) / (target.shape[1] * positives) if single_label else negatives / positives
    return weights.astype(np.float32)
