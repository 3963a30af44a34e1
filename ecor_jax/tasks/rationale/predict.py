"""A method's answers for every image of a set."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.features.text_bank import embed_texts
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.rationale.doubly_right import Outcomes, rates
from ecor_jax.tasks.rationale.joint import Banks, TopPairs, likeliest, top_pairs, top_pairs_of
from ecor_jax.tasks.rationale.methods import Method, categories_and_rationales, outer_prompts, words_of
from ecor_jax.tasks.rationale.model import PromptedTower, RationaleModel

MANY = 2**16
"""Pairs that are encoded a candidate at a time at most."""
KEPT = 256
"""Candidates whose pairs' embeddings stay in memory."""


class Predictions(NamedTuple):
    """Answers and gold of N images.

    categories, rationales, probabilities: of the top-k pairs, the best first.
    category, rationale: the likeliest one by its marginal probability, and that probability; None if not asked for.
    """

    categories: Int[np.ndarray, "N k"]
    rationales: Int[np.ndarray, "N k"]
    probabilities: Float[np.ndarray, "N k"]
    category: Int[np.ndarray, "N"] | None
    category_confidence: Float[np.ndarray, "N"] | None
    rationale: Int[np.ndarray, "N"] | None
    rationale_confidence: Float[np.ndarray, "N"] | None
    gold_category: Int[np.ndarray, "N"]
    gold_rationales: Bool[np.ndarray, "N R"]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one method did on the test images."""

    predictions: Predictions
    outcomes: Outcomes

    @property
    def rates(self) -> dict[str, float | int]:
        """As results.json has them."""
        return rates(self.outcomes.outcome)


def predict(
    model: RationaleModel,
    method: Method,
    batches: Iterable[dict[str, Any]],
    *,
    top_k: int,
    mesh: Mesh,
    total: int,
    name: str = "evaluate",
    calibration: bool = True,
) -> Predictions:
    """Runs `model` over padded evaluation batches (with "mask") of `total` images.

    calibration: whether to look for the likeliest category and rationale by themselves, which takes all pairs.
    Where batches have no labels, the gold category is -1, and there are no columns of gold rationales.
    """
    pairs, alone, gold = map_batches(Answer(top_k, calibration), model, batches, mesh, total=total, name=name)
    return _predictions(method, pairs, alone, gold, name)


def predict_without_bank(
    model: Model,
    prompts: VisualPrompts | None,
    method: Method,
    vocabulary: Vocabulary,
    batches: Iterable[dict[str, Any]],
    *,
    top_k: int,
    mesh: Mesh,
    total: int,
    name: str,
) -> Predictions | None:
    """`predict` without calibration, of a method that factorises, where pictures ask for few of the pairs.

    The pairs of an outer candidate are encoded when its turn comes, and kept on disk for the next picture. None if a
    picture asks for more than MANY pairs: a bank of all, whose prompts share what they begin with, is then cheaper.
    """
    (first, outer), (second, inner) = words_of(method, vocabulary).items()

    @functools.lru_cache(maxsize=KEPT)
    def texts_of(number: int) -> Float[np.ndarray, "inner embed"]:
        texts = [method.pair.format(**{first: outer[number], second: word}) for word in inner]
        return embed_texts(model, texts).astype(model.clip.vision.dtype)

    bank = jnp.asarray(embed_texts(model, outer_prompts(method, vocabulary)))
    images, gold = map_batches(_embed, PromptedTower(model, prompts), batches, mesh, total=total, name=name)
    scale = model.clip.scale()
    found, most = [], -(-MANY // len(inner))
    for image in images:
        found.append(top_pairs_of(jnp.asarray(image), bank, scale, top_k, texts_of, most))
        if found[-1] is None:
            logging.info("%s: more than %d candidates have to be looked at; all pairs are encoded", name, most)
            return None
    pairs = jax.tree.map(lambda *columns: np.concatenate(columns), *found)
    return _predictions(method, pairs, (), gold, name)


class Embedded(NamedTuple):
    """What batches of images become for the methods that share a tower: unit embeddings, and the gold labels."""

    embedding: Float[np.ndarray, "N embed"]
    category: Int[np.ndarray, "N"]
    rationales: Bool[np.ndarray, "N R"]

    def batches(self, size: int, process_index: int, process_count: int) -> Iterator[dict[str, np.ndarray]]:
        """This process's shares of padded batches, as of `pipeline.eval_batches`, with embeddings for images."""
        share = size // process_count
        for start in range(0, len(self.embedding), size):
            begin = start + process_index * share
            columns = {name: column[begin : begin + share] for name, column in self._asdict().items()}
            columns["mask"] = np.ones(len(columns["embedding"]), bool)
            missing = share - len(columns["mask"])
            yield {
                name: np.pad(column, [(0, missing), *[(0, 0)] * (column.ndim - 1)]) for name, column in columns.items()
            }


def embed_images(model: Model, batches: Iterable[dict[str, Any]], *, mesh: Mesh, total: int, name: str) -> Embedded:
    """The images of padded, labelled evaluation batches through the tower without prompts."""
    images, gold = map_batches(_embed, PromptedTower(model, None), batches, mesh, total=total, name=name)
    return Embedded(images, *gold)


def _embed(tower: PromptedTower, batch: dict[str, Array]):
    return tower.embed(batch["image"]), _gold(batch)


def _gold(batch: dict[str, Array]) -> tuple[Array, Array]:
    if "category" in batch:
        return batch["category"], batch["rationales"]
    count = len(batch["image"])
    return jnp.full(count, -1, jnp.int32), jnp.zeros((count, 0), bool)


def _predictions(method: Method, pairs: TopPairs, alone: Any, gold: Any, name: str) -> Predictions:
    outer, inner = (alone[:2], alone[2:]) if alone else ((None, None), (None, None))
    category, rationale = (outer, inner) if method.order == "category_first" else (inner, outer)
    probabilities = np.exp(pairs.log_prob)
    columns: Any = (*categories_and_rationales(method, pairs), probabilities, *category, *rationale, *gold)
    # Where all is NaN, the search for the top pairs finds none, and gives them the probability 0.
    if not np.isfinite(probabilities).all() or not probabilities.any(axis=1).all():
        raise UserError(f"{name}: the probabilities are not finite: the weights of the model are damaged")
    return Predictions(*columns)


@dataclasses.dataclass(frozen=True)
class Answer:
    """The top pairs of a batch, of images or of embeddings, and the gold labels.

    calibration: also the likeliest outer and inner candidate.
    """

    top_k: int
    calibration: bool

    def __call__(self, model: RationaleModel, batch: dict[str, Array]):
        images = batch["embedding"] if "embedding" in batch else model.embed(batch["image"])
        return *model.over_pairs(self._of_images, images), _gold(batch)

    def _of_images(self, examples: tuple[Array], banks: Banks, scale: Array, shards: Shards):
        (images,) = examples
        pairs = top_pairs(images, banks, scale, self.top_k, shards)
        return pairs, likeliest(images, banks, scale, shards) if self.calibration else ()
