"""A method's answers for every image of a set."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int
from tqdm import tqdm

from ecor_jax.errors import UserError
from ecor_jax.joint import marginals, top_pairs
from ecor_jax.parallel import mesh as meshes
from ecor_jax.tasks.rationale.methods import Method, categories_and_rationales
from ecor_jax.tasks.rationale.model import RationaleModel


class Predictions(NamedTuple):
    """Answers and gold of N images.

    categories, rationales, probabilities: of the top-k pairs, the best first.
    category, rationale: the likeliest one by its marginal probability, and that probability.
    """

    categories: Int[np.ndarray, "N k"]
    rationales: Int[np.ndarray, "N k"]
    probabilities: Float[np.ndarray, "N k"]
    category: Int[np.ndarray, "N"]
    category_confidence: Float[np.ndarray, "N"]
    rationale: Int[np.ndarray, "N"]
    rationale_confidence: Float[np.ndarray, "N"]
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
) -> Predictions:
    """Runs `model` over padded evaluation batches (with "mask") of `total` images."""
    graph, state = nnx.split(model)
    state = meshes.place(state, mesh)

    @jax.jit
    def answer(state: nnx.State, images: Array):
        model: RationaleModel = nnx.merge(graph, state)
        embeddings, banks, scale = model.embed(images), model.banks(), model.scale[...]
        pairs = top_pairs(embeddings, banks, scale, top_k)
        outer, inner = marginals(embeddings, banks, scale)
        best = [(jnp.argmax(p, axis=1), jnp.max(p, axis=1)) for p in (outer, inner)]
        return pairs, best

    parts = []
    with tqdm(total=total, desc=name, unit="image", mininterval=1) as bar:
        for batch in batches:
            placed = meshes.global_batch(batch, mesh)
            gold = placed["category"], placed["rationales"], placed["mask"]
            answers = multihost_utils.process_allgather((answer(state, placed["image"]), gold), tiled=True)
            (pairs, (outer, inner)), (category, rationales, mask) = answers
            first, second = (outer, inner) if method.order == "category_first" else (inner, outer)
            columns = (*categories_and_rationales(method, pairs), np.exp(pairs.log_prob), *first, *second)
            parts.append([np.asarray(column)[mask] for column in (*columns, category, rationales)])
            bar.update(int(mask.sum()))
    predictions = Predictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if not np.isfinite(predictions.probabilities).all():
        raise UserError(f"{name}: the probabilities are not finite: the weights of the model are damaged")
    return predictions
