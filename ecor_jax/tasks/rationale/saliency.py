"""Saliency maps of pairs: which patches of a picture raise log P(category, rationale | I)."""

from collections.abc import Mapping

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from ecor_jax.clip.model import unit
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.tasks.batches import padded_batches
from ecor_jax.tasks.rationale.methods import Order
from ecor_jax.tasks.rationale.model import RationaleModel, log_joint

BATCH = 8
"""Maximum number of pictures whose maps are computed at once on one device: their activations are in memory."""


def batch_size(count: int, mesh: Mesh) -> int:
    """Returns the batch size for `count` pictures: at most BATCH, rounded up to a multiple of the devices."""
    size = min(BATCH, count)
    return size + -size % mesh.size


def saliency_maps(
    model: RationaleModel, columns: Mapping[str, np.ndarray], mesh: Mesh, name: str
) -> Float[np.ndarray, "N k rows columns"]:
    """Computes `pair_maps` of N pictures. columns: its batch, for all pictures."""
    count = len(columns["image"])
    batches = padded_batches(columns, batch_size(count, mesh))
    return map_batches(pair_maps, model, batches, mesh, total=count, name=f"saliency maps of {name}")


def pair_columns(
    categories: Int[np.ndarray, "N k"], rationales: Int[np.ndarray, "N k"], order: Order
) -> dict[str, np.ndarray]:
    """Returns the columns of `pair_maps` for k pairs of each image, with banks of all outer candidates."""
    outer, inner = (categories, rationales) if order == "category_first" else (rationales, categories)
    return {"outer": outer.astype(np.int32), "row": outer.astype(np.int32), "inner": inner.astype(np.int32)}


def pair_maps(model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch k rows columns"]:
    """Returns `clip.saliency.saliency` of log P(o, i | I) for k pairs of each image of a batch.

    batch: "image", and "outer", "row" and "inner", [batch, k] each, as in `log_joint`.
    """
    pixels = normalise_pixels(batch["image"], model.mean, model.std)
    pairs = batch["outer"], batch["row"], batch["inner"]
    return saliency(model.vision, pixels, lambda embeddings: log_joints(model, embeddings, *pairs), model.prompts)


def log_joints(
    model: RationaleModel, embeddings: Float[Array, "batch embed"], *pairs: Int[Array, "batch k"]
) -> Float[Array, "batch k"]:
    """Computes `model.log_joint` of k pairs of each image, whose embeddings are unnormalised."""
    return model.shard_map_pairs(log_joint, unit(embeddings), *pairs)
