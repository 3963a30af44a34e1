"""Computes a method's predictions for all images of a set, for evaluations and explanations."""

import dataclasses
import functools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int
from tqdm import tqdm

from ecor_jax.atomic import cache_folder
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.features.text_bank import embed_texts
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.rationale.joint import Banks, TopPairs, cosines, likeliest, top_pairs, top_pairs_of
from ecor_jax.tasks.rationale.methods import Method, categories_and_rationales, outer_prompts, words_of
from ecor_jax.tasks.rationale.model import PromptedTower, RationaleModel

KEPT = 256
"""Number of outer candidates whose pair embeddings stay in memory, for the next picture."""


class Predictions(NamedTuple):
    """Predictions and gold labels of N images.

    categories, rationales, probabilities: the top-k pairs, best first.
    category, rationale: those with the largest marginal probabilities. category_confidence, rationale_confidence: these
    probabilities. All four are None if not computed.
    looked_at: the share of outer candidates that the exact search had to look at, those that are more probable than the
      k-th best pair (`joint.top_pairs`); None if the method does not factorise.
    """

    categories: Int[np.ndarray, "N k"]
    rationales: Int[np.ndarray, "N k"]
    probabilities: Float[np.ndarray, "N k"]
    category: Int[np.ndarray, "N"] | None
    category_confidence: Float[np.ndarray, "N"] | None
    rationale: Int[np.ndarray, "N"] | None
    rationale_confidence: Float[np.ndarray, "N"] | None
    looked_at: Float[np.ndarray, "N"] | None
    gold_category: Int[np.ndarray, "N"]
    gold_rationales: Bool[np.ndarray, "N R"]

    def first(self, k: int) -> "Predictions":
        """Returns the predictions with the first k pairs alone."""
        pairs = {name: getattr(self, name)[:, :k] for name in ("categories", "rationales", "probabilities")}
        return self._replace(**pairs)


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

    calibration: whether to compute the marginal probabilities of categories and rationales, which needs all pairs.
    If batches have no labels, the gold category is -1, and the gold rationales have no columns.
    """
    answers = map_batches(Answer(top_k, calibration), model, batches, mesh, total=total, name=name)
    pairs, alone, looked_at, gold = answers
    return _predictions(method, pairs, alone, looked_at, gold, name)


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
) -> Predictions:
    """Runs `predict` without calibration and without a bank of pairs, for a factorised method and few pictures.

    The pairs of an outer candidate are encoded when the search reaches it, and cached on disk.
    """
    _, inner = words_of(method, vocabulary).values()

    @functools.lru_cache(maxsize=KEPT)
    def texts_of(number: int) -> Float[np.ndarray, "inner embed"]:
        return embed_pairs_of(model, method, vocabulary, [number])[0]

    bank = jnp.asarray(embed_texts(model, outer_prompts(method, vocabulary)))
    images, gold = map_batches(_embed, PromptedTower(model, prompts), batches, mesh, total=total, name=name)
    scale = model.clip.scale()
    tqdm.write(
        f"{name}: {len(bank):,} x {len(inner):,} candidates; {len(inner):,} prompts are encoded for each of the first "
        f"that the search reaches, and kept in {cache_folder()}",
        file=sys.stderr,
    )
    found = [top_pairs_of(jnp.asarray(image), bank, scale, top_k, texts_of) for image in images]
    pairs = jax.tree.map(lambda *columns: np.concatenate(columns), *found)
    return _predictions(method, pairs, (), None, gold, name)


def embed_pairs_of(
    model: Model, method: Method, vocabulary: Vocabulary, outers: Sequence[int]
) -> Float[np.ndarray, "some inner embed"]:
    """Returns the embeddings of the pairs of some outer candidates; they are cached on disk."""
    (first, outer), (second, inner) = words_of(method, vocabulary).items()
    texts = [method.pair.format(**{first: outer[number], second: word}) for number in outers for word in inner]
    return embed_texts(model, texts).astype(model.clip.vision.dtype).reshape(len(outers), len(inner), -1)


def banks_of_named(
    model: Model, method: Method, vocabulary: Vocabulary, named: Int[np.ndarray, "N k"]
) -> tuple[Banks, Int[np.ndarray, "N k"]]:
    """Returns banks with the pairs of the N k outer candidates in `named` alone, and their rows in `pair`."""
    outers, places = np.unique(named, return_inverse=True)
    pair = embed_pairs_of(model, method, vocabulary, outers.tolist())[places.ravel()]
    bank = jnp.asarray(embed_texts(model, outer_prompts(method, vocabulary)))
    return Banks(bank, jnp.asarray(pair)), np.arange(named.size, dtype=np.int32).reshape(named.shape)


class Embedded(NamedTuple):
    """Unit embeddings and gold labels of images, for methods without visual prompts: they share them."""

    embedding: Float[np.ndarray, "N embed"]
    category: Int[np.ndarray, "N"]
    rationales: Bool[np.ndarray, "N R"]


def embed_images(model: Model, batches: Iterable[dict[str, Any]], *, mesh: Mesh, total: int, name: str) -> Embedded:
    """Embeds the images of padded, labelled evaluation batches with the tower without prompts."""
    images, gold = map_batches(_embed, PromptedTower(model, None), batches, mesh, total=total, name=name)
    return Embedded(images, *gold)


def _embed(tower: PromptedTower, batch: dict[str, Array]):
    return tower.embed(batch["image"]), _gold(batch)


def _gold(batch: dict[str, Array]) -> tuple[Array, Array]:
    if "category" in batch:
        return batch["category"], batch["rationales"]
    count = len(batch["image"])
    return jnp.full(count, -1, jnp.int32), jnp.zeros((count, 0), bool)


def _predictions(method: Method, pairs: TopPairs, alone: Any, looked_at: Any, gold: Any, name: str) -> Predictions:
    outer, inner = (alone[:2], alone[2:]) if alone else ((None, None), (None, None))
    category, rationale = (outer, inner) if method.order == "category_first" else (inner, outer)
    probabilities = np.exp(pairs.log_prob)
    columns: Any = (*categories_and_rationales(method, pairs), probabilities, *category, *rationale, looked_at, *gold)
    # If all logits are NaN, the search finds no pair, and the probabilities are 0.
    if not np.isfinite(probabilities).all() or not probabilities.any(axis=1).all():
        raise UserError(f"{name}: the probabilities are not finite: the weights of the model are damaged")
    return Predictions(*columns)


@dataclasses.dataclass(frozen=True)
class Answer:
    """A function that returns the top pairs, `Predictions.looked_at` and the gold labels of images or embeddings.

    calibration: whether to return the outer and inner candidates with the largest marginal probabilities too.
    """

    top_k: int
    calibration: bool

    def __call__(self, model: RationaleModel, batch: dict[str, Array]):
        images = batch["embedding"] if "embedding" in batch else model.embed(batch["image"])
        return *model.shard_map_pairs(self._of_images, images), _gold(batch)

    def _of_images(self, examples: tuple[Array], banks: Banks, scale: Array, shards: Shards):
        (images,) = examples
        pairs = top_pairs(images, banks, scale, self.top_k, shards)
        alone = likeliest(images, banks, scale, shards) if self.calibration else ()
        if banks.outer is None:
            return pairs, alone, None
        prior = jax.nn.log_softmax(cosines(images, banks.outer) * scale)
        return pairs, alone, jnp.mean(prior > pairs.log_prob[:, -1:], axis=1)
