"""The model and losses of contrastive pretraining (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023)."""

import math
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from ecor_jax.clip.model import Clip, unit
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.vision import normalise_pixels, random_patches
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.errors import UserError
from ecor_jax.losses import sigmoid_contrastive_loss, softmax_contrastive_loss
from ecor_jax.training.step import Batch, Metrics


class Pretrainer(nnx.Module):
    """A CLIP in training.

    `logit_bias` is used by the sigmoid loss if the CLIP has no bias; it is not part of the saved model.
    """

    def __init__(self, clip: Clip, loss: Literal["softmax", "sigmoid"]):
        needs_bias = loss == "sigmoid" and clip.logit_bias is None
        if needs_bias:
            # SigLIP, section 3.2: this initialisation keeps the many negatives from dominating the first steps.
            clip.logit_scale[...] = jnp.float32(math.log(10))
        self.clip, self.logit_bias = clip, nnx.Param(jnp.float32(-10)) if needs_bias else None


class PretrainLearner:
    """Trains all parameters of a CLIP on {"image", "text", "group"} batches.

    Images and texts of the same `group` are positives of each other.
    kept_patches: number of random patches of an image that a step encodes (FLIP, Li et al. 2023); None for all.
    """

    trainable = nnx.Param

    def __init__(
        self,
        clip: Clip,
        batches: TrainBatches,
        preprocess: Preprocess,
        *,
        loss: Literal["softmax", "sigmoid"] = "softmax",
        kept_patches: int | None = None,
    ):
        if loss not in ("softmax", "sigmoid"):
            raise UserError(f"loss is {loss!r}; expected 'softmax' or 'sigmoid'")
        patches = clip.config.vision.patches
        if kept_patches is not None and not 0 < kept_patches <= patches:
            raise UserError(f"kept_patches is {kept_patches}; the tower has {patches} patches")
        self.model = Pretrainer(clip, loss)
        self.batches, self.preprocess = batches, preprocess
        self.kind, self.kept_patches = loss, kept_patches

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        assert isinstance(model, Pretrainer)
        clip = model.clip
        pixels = normalise_pixels(batch["image"], self.preprocess.mean, self.preprocess.std)
        kept = None
        if self.kept_patches is not None:
            kept = random_patches(key, len(pixels), clip.config.vision.patches, self.kept_patches)
        images = unit(clip.vision(pixels, kept_patches=kept))
        texts = unit(clip.text(batch["text"]))
        logits = clip.scale() * images @ texts.T
        group = batch["group"]
        positives = group[:, None] == group[None]
        if self.kind == "sigmoid":
            bias = model.logit_bias if clip.logit_bias is None else clip.logit_bias
            assert bias is not None
            losses = sigmoid_contrastive_loss(logits + bias[...], positives)
        else:
            losses = softmax_contrastive_loss(logits, positives)
        count = jnp.float32(len(losses))
        return jnp.mean(losses), {"retrieval": (jnp.sum(_retrieved(logits, positives)), count)}


def _retrieved(logits: Float[Array, "images texts"], positives: Bool[Array, "images texts"]) -> Float[Array, "images"]:
    """Returns 1 for each image whose best text of the batch is a positive, else 0."""
    best = jnp.argmax(logits, axis=1)
    return jnp.take_along_axis(positives, best[:, None], axis=1)[:, 0].astype(jnp.float32)
