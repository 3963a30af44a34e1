"""The models of the rationale task, and the loss that tunes their visual prompts (ECOR, DROR)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, UInt8

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.config import VisionConfig
from ecor_jax.clip.model import Bank, unit
from ecor_jax.clip.prompts import Prompt, VisualPrompts, prompt_layers
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.losses import candidate_loss, softmax_contrastive_loss
from ecor_jax.parallel.shards import Shards, over_shards
from ecor_jax.tasks.rationale.joint import (
    Banks,
    Condition,
    conditional_logits,
    cosines,
    pair_embeddings,
    pairs_log_total,
)
from ecor_jax.tasks.rationale.methods import Method
from ecor_jax.tasks.rationale.options import RationaleLoss, RationaleOptions
from ecor_jax.training.step import Batch, Metrics


class PromptedTower(nnx.Module):
    """A frozen vision tower with visual prompts, or without them."""

    def __init__(self, model: Model, prompts: VisualPrompts | None):
        self.vision = model.clip.vision
        self.prompts = prompts
        self.mean, self.std = model.preprocess.mean, model.preprocess.std

    def embed(self, images: UInt8[Array, "batch size size 3"]) -> Float[Array, "batch embed"]:
        """Computes unit embeddings of preprocessed images."""
        return unit(self.vision(normalise_pixels(images, self.mean, self.std), self.prompts))


class RationaleModel(PromptedTower):
    """A vision tower with the text banks of a method.

    mesh: its axis `model` shards the columns of the bank of pairs (`parallel.shards.split_columns`); None for one
    device. candidates: the number of inner candidates; columns beyond it are padding.
    """

    def __init__(
        self,
        model: Model,
        prompts: VisualPrompts | None,
        banks: Banks,
        mesh: Mesh | None = None,
        candidates: int | None = None,
    ):
        super().__init__(model, prompts)
        # The softmaxes of both factors use the pretrained temperature, which is not trained (as in DROR's code).
        self.scale = Bank(model.clip.scale())
        self.outer_bank = None if banks.outer is None else Bank(banks.outer)
        self.pair_bank = Bank(banks.pair)
        self.condition: Condition = banks.condition
        self.mesh, self.candidates = mesh, candidates or banks.pair.shape[1]

    def shard_map_pairs(self, fn: Callable[..., Any], *examples: Any) -> Any:
        """Calls `fn(examples, banks, scale, shards)` for all examples; each device has a shard of inner candidates."""

        def of_shards(examples: Any, pair: Array, whole: Any, shards: Shards) -> Any:
            outer, scale = whole
            return fn(examples, Banks(outer, pair, self.condition), scale, shards)

        outer = None if self.outer_bank is None else self.outer_bank[...]
        whole = outer, self.scale[...]
        return over_shards(of_shards, self.mesh, self.candidates, examples, self.pair_bank[...], whole)


class RationaleLearner:
    """Trains visual prompts on {"image", "category", "rationales"} batches; all other parameters are frozen."""

    trainable = Prompt

    def __init__(self, model: RationaleModel, method: Method, batches: TrainBatches, options: RationaleLoss):
        self.model, self.method, self.batches, self.options = model, method, batches, options

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Computes L(I, outer) + L(I, pair | outer), weighted (ECOR, section III); 'pairs' has the second term only."""
        assert isinstance(model, RationaleModel)
        images = model.embed(batch["image"])
        rationale = self._gold_rationale(model, images, batch, key)
        if self.method.order == "category_first":
            outer, inner = batch["category"], rationale
        else:
            outer, inner = rationale, batch["category"]
        asked = batch["rationales"].any(axis=1)
        if self.options.candidates == "batch":
            terms = _batch_terms(model, images, outer, inner, asked)
        else:
            terms = _vocabulary_terms(model, images, outer, inner)
        count = jnp.sum(asked, dtype=jnp.float32)
        weights = {"outer": self.options.outer_weight, "pair": self.options.pair_weight}
        sums = {name: jnp.sum(values, where=asked) for name, values in terms.items()}
        loss = sum(weights[name] * total for name, total in sums.items()) / jnp.maximum(count, 1)
        return jnp.asarray(loss), {f"{name}_loss": (total, count) for name, total in sums.items()}

    def _gold_rationale(
        self, model: RationaleModel, images: Float[Array, "batch embed"], batch: Batch, key: Array
    ) -> Int[Array, "batch"]:
        """Returns the target rationale of each image: a gold one, drawn at random or the most probable one."""
        gold = batch["rationales"]
        if self.options.gold == "draw":
            return jax.random.categorical(key, jnp.where(gold, 0.0, -jnp.inf))
        images = jax.lax.stop_gradient(images)
        if self.method.order == "rationale_first":
            assert model.outer_bank is not None
            return jnp.argmax(jnp.where(gold, cosines(images, model.outer_bank[...]), -jnp.inf), axis=1)
        choose = _best_inner if self.method.order == "category_first" else _best_outer
        return model.shard_map_pairs(choose, images, batch["category"], gold)


def _best_inner(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Int[Array, "batch"]:
    """Returns the most probable gold inner candidate, given the outer one."""
    images, outer, gold = examples
    logits = conditional_logits(images, banks, scale, outer, shards)
    numbers = jnp.minimum(shards.numbers(logits.shape[1]), shards.count - 1)
    return shards.argmax(jnp.where(gold[:, numbers], logits, -jnp.inf))[0]


def _best_outer(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Int[Array, "batch"]:
    """Returns the gold outer candidate whose pair with the inner one is most probable."""
    images, inner, gold = examples
    columns = banks.pair.shape[1]
    column = inner - shards.numbers(columns)[0]
    own, column = (column >= 0) & (column < columns), jnp.clip(column, 0, columns - 1)

    def look(outer: Array) -> Float[Array, "batch"]:
        return jnp.sum(images * banks.pair[outer, column].astype(jnp.float32), axis=-1)

    cosine = jax.lax.map(look, jnp.arange(len(banks.pair)), batch_size=16).T
    best = jnp.argmax(jnp.where(gold, cosine * scale, -jnp.inf), axis=1)
    return shards.sum(jnp.where(own, best, 0))


def _vocabulary_terms(
    model: RationaleModel, images: Float[Array, "batch embed"], outer: Int[Array, "batch"], inner: Int[Array, "batch"]
) -> dict[str, Float[Array, "batch"]]:
    """Computes cross-entropies over the complete vocabulary: outer and inner candidates, or all pairs."""
    if model.outer_bank is None:
        return {"pair": model.shard_map_pairs(all_pairs_loss, images, outer, inner)}
    return {
        "outer": candidate_loss(cosines(images, model.outer_bank[...]) * model.scale[...], outer),
        "pair": model.shard_map_pairs(conditional_loss, images, outer, inner),
    }


def conditional_loss(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch"]:
    """Computes -log P(i | o, I) of gold pairs."""
    images, outer, inner = examples
    return -shards.at(shards.log_softmax(conditional_logits(images, banks, scale, outer, shards)), inner)


def all_pairs_loss(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch"]:
    """Computes -log P(o, i | I) of gold pairs, with one softmax over all pairs."""
    return pairs_log_total(examples[0], banks.pair, scale, shards) - _pair_logit(examples, banks, scale, shards)


def log_joint(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch k"]:
    """Computes log P(o, i | I) of k pairs per image.

    examples: images, and [batch, k] each: outer candidates, their rows in `banks.pair` (the candidates themselves, if
    it has all of them), inner candidates.
    """
    images, outer, row, inner = examples

    def of_one(term: Callable[..., Float[Array, "batch"]]) -> Float[Array, "batch k"]:
        return jax.lax.map(lambda pair: term((images, *pair), banks, scale, shards), (row.T, inner.T)).T

    if banks.outer is None:
        return of_one(_pair_logit) - pairs_log_total(images, banks.pair, scale, shards)[:, None]
    prior = jax.nn.log_softmax(cosines(images, banks.outer) * scale)
    return jnp.take_along_axis(prior, outer, axis=1) - of_one(conditional_loss)


def _pair_logit(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch"]:
    images, outer, inner = examples
    return jnp.sum(images * pair_embeddings(banks.pair, outer, inner, shards), axis=-1) * scale


def _pair_texts(examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch embed"]:
    del scale
    outer, inner = examples
    return pair_embeddings(banks.pair, outer, inner, shards)


def _batch_terms(
    model: RationaleModel,
    images: Float[Array, "batch embed"],
    outer: Int[Array, "batch"],
    inner: Int[Array, "batch"],
    asked: Bool[Array, "batch"],
) -> dict[str, Float[Array, "batch"]]:
    """Computes InfoNCE of images with gold rationales (`asked`) and their targets; others' values are meaningless."""
    both, scale = asked[:, None] & asked[None], model.scale[...]

    def term(texts: Float[Array, "batch embed"], ids: Int[Array, "batch"]) -> Float[Array, "batch"]:
        # Images without gold rationales are no candidates of others; as their own positives they have finite losses.
        positives = (ids[:, None] == ids[None]) & both | jnp.eye(len(ids), dtype=bool)
        return softmax_contrastive_loss(jnp.where(both, images @ texts.T * scale, -1e9), positives)

    conditional = len(model.pair_bank[...]) > 1
    texts = model.shard_map_pairs(_pair_texts, outer, inner)
    terms = {"pair": term(texts, outer * model.candidates + inner if conditional else inner)}
    if model.outer_bank is None:
        return terms
    return {"outer": term(model.outer_bank[...][outer].astype(jnp.float32), outer), **terms}


def fresh_prompts(options: RationaleOptions, vision: VisionConfig) -> VisualPrompts:
    """Creates the initial prompts that the options describe, for a vision tower."""
    prompts, rngs = options.prompts, nnx.Rngs(options.seed)
    layers = prompt_layers(prompts.layers, vision.layers)
    return VisualPrompts(
        vision, prompts.count, layers, initialisation=prompts.initialisation, border=prompts.border, rngs=rngs
    )
