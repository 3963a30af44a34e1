"""A method's answers for every image of a set."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.errors import UserError
from ecor_jax.joint import Banks, likeliest, top_pairs
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.rationale.methods import Method, categories_and_rationales
from ecor_jax.tasks.rationale.model import RationaleModel


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
    pairs, alone, gold = map_batches(_Answer(top_k, calibration), model, batches, mesh, total=total, name=name)
    outer, inner = (alone[:2], alone[2:]) if alone else ((None, None), (None, None))
    category, rationale = (outer, inner) if method.order == "category_first" else (inner, outer)
    probabilities = np.exp(pairs.log_prob)
    columns: Any = (*categories_and_rationales(method, pairs), probabilities, *category, *rationale, *gold)
    predictions = Predictions(*columns)
    # Where all is NaN, the search for the top pairs finds none, and gives them the probability 0.
    if not np.isfinite(probabilities).all() or not probabilities.any(axis=1).all():
        raise UserError(f"{name}: the probabilities are not finite: the weights of the model are damaged")
    return predictions


@dataclasses.dataclass(frozen=True)
class _Answer:
    """The top pairs of a batch, the likeliest outer and inner candidate if asked for, and the gold labels."""

    top_k: int
    calibration: bool

    def __call__(self, model: RationaleModel, batch: dict[str, Array]):
        answers = model.over_pairs(self._of_images, model.embed(batch["image"]))
        if "category" in batch:
            return *answers, (batch["category"], batch["rationales"])
        count = len(batch["image"])
        return *answers, (jnp.full(count, -1, jnp.int32), jnp.zeros((count, 0), bool))

    def _of_images(self, examples: tuple[Array], banks: Banks, scale: Array, shards: Shards):
        (images,) = examples
        pairs = top_pairs(images, banks, scale, self.top_k, shards)
        return pairs, likeliest(images, banks, scale, shards) if self.calibration else ()
