"""Visual prompt tuning for the joint distribution of categories and rationales (ECOR, DROR)."""

import grain
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, UInt8

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.model import unit
from ecor_jax.clip.prompts import Prompt, VisualPrompts
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.joint import Bank, Banks
from ecor_jax.losses import candidate_loss, softmax_contrastive_loss
from ecor_jax.tasks.rationale.methods import Method
from ecor_jax.tasks.rationale.options import RationaleLoss
from ecor_jax.training.step import Batch, Metrics


class RationaleModel(nnx.Module):
    """A frozen vision tower with visual prompts (or none), and the text bank of a method."""

    def __init__(self, model: Model, prompts: VisualPrompts | None, banks: Banks):
        self.vision = model.clip.vision
        self.prompts = prompts
        # The pretrained temperature is part of both softmaxes; it is not trained (DROR's code).
        self.scale = Bank(model.clip.scale())
        self.outer_bank = None if banks.outer is None else Bank(banks.outer)
        self.pair_bank = Bank(banks.pair)
        self.mean, self.std = model.preprocess.mean, model.preprocess.std

    def embed(self, images: UInt8[Array, "batch size size 3"]) -> Float[Array, "batch embed"]:
        """Unit embeddings of preprocessed images."""
        return unit(self.vision(normalise_pixels(images, self.mean, self.std), self.prompts))

    def banks(self) -> Banks:
        """The text embeddings as `ecor_jax.joint` takes them."""
        return Banks(None if self.outer_bank is None else self.outer_bank[...], self.pair_bank[...])


class RationaleLearner:
    """Prompts trained on {"image", "category", "rationales"} batches; everything else is frozen."""

    trainable = Prompt

    def __init__(
        self,
        model: RationaleModel,
        method: Method,
        batches: grain.IterDataset,
        options: RationaleLoss,
    ):
        self.model, self.method, self.batches, self.options = model, method, batches, options

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """L(I, first prompt) + L(I, both | first), ECOR section III; for 'pairs' the second term alone, over all."""
        assert isinstance(model, RationaleModel)
        images, banks, scale = model.embed(batch["image"]), model.banks(), model.scale[...]
        rationale = self._gold_rationale(images, banks, batch, key)
        if self.method.order == "category_first":
            outer, inner = batch["category"], rationale
        else:
            outer, inner = rationale, batch["category"]
        asked = batch["rationales"].any(axis=1)
        if self.options.candidates == "batch":
            terms = _batch_terms(images, banks, scale, outer, inner, asked)
        else:
            terms = _vocabulary_terms(images, banks, scale, outer, inner)
        count = jnp.sum(asked, dtype=jnp.float32)
        weights = {"outer": self.options.outer_weight, "pair": self.options.pair_weight}
        sums = {name: jnp.sum(values, where=asked) for name, values in terms.items()}
        loss = sum(weights[name] * total for name, total in sums.items()) / jnp.maximum(count, 1)
        return jnp.asarray(loss), {f"{name}_loss": (total, count) for name, total in sums.items()}

    def _gold_rationale(
        self, images: Float[Array, "batch embed"], banks: Banks, batch: Batch, key: Array
    ) -> Int[Array, "batch"]:
        """The rationale each image is asked for, one of its gold ones."""
        gold = batch["rationales"]
        if self.options.gold == "draw":
            return jax.random.categorical(key, jnp.where(gold, 0.0, -jnp.inf))
        scores = self._rationale_scores(jax.lax.stop_gradient(images), banks, batch["category"])
        return jnp.argmax(jnp.where(gold, scores, -jnp.inf), axis=1)

    def _rationale_scores(
        self, images: Float[Array, "batch embed"], banks: Banks, category: Int[Array, "batch"]
    ) -> Float[Array, "batch R"]:
        """How well each rationale fits, given the gold category where the prompts name one."""
        if self.method.order == "rationale_first":
            assert banks.outer is not None
            return images @ banks.outer.T
        if self.method.order == "category_first":
            rows = banks.pair[category] if self.method.conditional else banks.pair
        else:
            rows = jnp.moveaxis(banks.pair, 1, 0)[category]
        return jnp.sum(images[:, None] * rows, axis=-1)


def _vocabulary_terms(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    outer: Int[Array, "batch"],
    inner: Int[Array, "batch"],
) -> dict[str, Float[Array, "batch"]]:
    """Cross-entropies over all candidates: B x (O + I) logits where the pairs would be B x (O I)."""
    if banks.outer is None:
        logits = jnp.einsum("bd,oid->boi", images, banks.pair).reshape(len(images), -1)
        return {"pair": candidate_loss(logits * scale, outer * banks.pair.shape[1] + inner)}
    rows = banks.pair if len(banks.pair) == 1 else banks.pair[outer]
    pair_logits = jnp.sum(images[:, None] * rows, axis=-1)
    return {
        "outer": candidate_loss(images @ banks.outer.T * scale, outer),
        "pair": candidate_loss(pair_logits * scale, inner),
    }


def _batch_terms(
    images: Float[Array, "batch embed"],
    banks: Banks,
    scale: Float[Array, ""],
    outer: Int[Array, "batch"],
    inner: Int[Array, "batch"],
    asked: Bool[Array, "batch"],
) -> dict[str, Float[Array, "batch"]]:
    """InfoNCE among the images that are `asked` and their gold texts; the values of the others mean nothing."""
    both = asked[:, None] & asked

    def term(texts: Float[Array, "batch embed"], ids: Int[Array, "batch"]) -> Float[Array, "batch"]:
        # An image that is not asked is nobody's candidate; itself as its positive keeps its value finite.
        positives = (ids[:, None] == ids) & both | jnp.eye(len(ids), dtype=bool)
        return softmax_contrastive_loss(jnp.where(both, images @ texts.T * scale, -1e9), positives)

    conditional = len(banks.pair) > 1
    texts = banks.pair[outer if conditional else 0, inner]
    terms = {"pair": term(texts, outer * banks.pair.shape[1] + inner if conditional else inner)}
    return terms if banks.outer is None else {"outer": term(banks.outer[outer], outer), **terms}
