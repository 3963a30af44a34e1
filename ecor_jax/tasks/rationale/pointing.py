"""Whether saliency maps point at the named part of a drawing: the pointing game, and deletion and insertion curves.

The pointing game (Zhang et al. 2016) counts the drawings whose peak patch shows the part that the method names.
Deletion and insertion (Petsiuk et al. 2018) remove or show the patches in descending order of a map, and follow the
probability of the predicted pair; a removed patch has the mean colour of its picture. Attention rollout and chance are
the baselines: a random patch, and a random order.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, UInt8

from ecor_jax.clip.saliency import attention_rollout
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.metrics.bootstrap import means_with_intervals, percent_with_interval
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.tasks.batches import padded_batches
from ecor_jax.tasks.drawn_parts import patches_of
from ecor_jax.tasks.rationale.methods import Order
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.saliency import log_joints, pair_columns, pair_maps

MAPS = ("saliency", "rollout")
ORDERS = (*MAPS, "chance")
STEPS = 8
"""Number of equal steps in which deletion and insertion curves remove or show all patches."""
CURVES = 128
"""Maximum number of drawings for which the curves are computed."""


def point(model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch 2 rows columns"]:
    """Returns the maps of MAPS for one pair per image; the batch is that of `pair_maps` with k = 1."""
    pixels = normalise_pixels(batch["image"], model.mean, model.std)
    rollout = attention_rollout(model.vision, pixels, model.prompts)
    return jnp.stack([pair_maps(model, batch)[:, 0], rollout], axis=1)


def curves(model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch orders 2 levels"]:
    """Returns P(o, i | I) without the first 0, 1, ..., STEPS shares of the patches of an order, and with them alone.

    batch: that of `pair_maps` with k = 1, and "ranks", [batch, orders, patches], the place of each patch in each order.
    """
    ranks = batch["ranks"]
    patches = ranks.shape[-1]
    counts = jnp.arange(STEPS + 1) * patches // STEPS
    pairs = [batch[name] for name in ("outer", "row", "inner")]

    def probability(shown: Bool[Array, "batch patches"]) -> Float[Array, "batch"]:
        pixels = normalise_pixels(_shown_alone(batch["image"], shown), model.mean, model.std)
        return jnp.exp(log_joints(model, model.vision(pixels, model.prompts), *pairs))[:, 0]

    first = ranks[:, :, None] < counts[None, None, :, None]  # batch, orders, levels, patches
    shown = jnp.stack([~first, first], axis=2)
    flat = jnp.moveaxis(shown, 0, 3).reshape(-1, *shown.shape[:1], patches)
    return jnp.moveaxis(jax.lax.map(probability, flat).reshape(*shown.shape[1:4], -1), -1, 0)


def _shown_alone(
    images: UInt8[Array, "batch size size 3"], shown: Bool[Array, "batch patches"]
) -> UInt8[Array, "batch size size 3"]:
    """Replaces the pixels of the patches that are not shown by the mean colour of their picture."""
    batch, size = images.shape[:2]
    side = round(shown.shape[1] ** 0.5)
    mask = jnp.repeat(jnp.repeat(shown.reshape(batch, side, side), size // side, axis=1), size // side, axis=2)
    mean = jnp.round(images.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)).astype(jnp.uint8)
    return jnp.where(mask[..., None], images, mean)


@dataclasses.dataclass(frozen=True)
class PointingTest:
    """The results of `point` for the drawings that show the named part, and of `curves` for the first CURVES of them.

    shows: whether each patch shows the part. undrawn: number of drawings that do not show the named part.
    """

    maps: Float[np.ndarray, "pictures 2 rows columns"]
    curves: Float[np.ndarray, "some 3 2 levels"]
    shows: Bool[np.ndarray, "pictures rows columns"]
    undrawn: int

    @functools.cached_property
    def results(self) -> dict[str, Any]:
        """The means with 95 % bootstrap intervals over the drawings, for results.json; None without drawings.

        hits: the share whose peak patch shows the part, and for "chance" the mean share of the patches that show it.
        deletion, insertion: the area under the curve of each order, and the mean curve, of the first CURVES drawings.
        """
        patches = self.shows[0].size if len(self.shows) else 1
        shows = self.shows.reshape(-1, patches)
        peaks = self.maps.reshape(-1, len(MAPS), patches).argmax(axis=2)
        hits = np.take_along_axis(shows, peaks, axis=1).T.astype(np.float64)
        found = means_with_intervals(np.stack([*hits, shows.mean(axis=1), hits[0] - hits[1]]))
        results: dict[str, Any] = {"pictures": len(shows), "undrawn": self.undrawn}
        results["hits"] = dict(zip((*MAPS, "chance", "difference"), found, strict=True))
        values = self.curves.astype(np.float64)
        areas = (values[..., 1:] + values[..., :-1]).mean(axis=-1) / 2
        for kind, name in enumerate(("deletion", "insertion")):
            means = means_with_intervals(areas[:, :, kind].T)
            results[name] = {
                order: mean | {"curve": values[:, place, kind].mean(axis=0).tolist() if len(values) else None}
                for place, (order, mean) in enumerate(zip(ORDERS, means, strict=True))
            }
        return results


def pointing_columns(
    drawings: Procedural,
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_rationales: Bool[np.ndarray, "N R"],
    vocabulary: Vocabulary,
    order: Order,
    side: int,
) -> tuple[dict[str, np.ndarray], Bool[np.ndarray, "pictures side side"]]:
    """Returns the columns of `point` for the drawings that show the rationale of their first pair, and `shows`.

    side: number of patches in a row.
    """
    chosen = np.flatnonzero(np.take_along_axis(gold_rationales, rationales[:, :1], axis=1)[:, 0])
    columns = pair_columns(categories[chosen, :1], rationales[chosen, :1], order)
    columns["image"] = np.array([drawings[index]["image"] for index in chosen.tolist()], np.uint8)
    named = [vocabulary.rationales[column] for column in rationales[chosen, 0]]
    masks = [drawings.mask(index, text) for index, text in zip(chosen.tolist(), named, strict=True)]
    shows = np.array([patches_of(mask, side) > 0 for mask in masks], bool)
    return columns, shows.reshape(-1, side, side)


def orders_of(maps: Float[np.ndarray, "pictures 2 rows columns"]) -> Int[np.ndarray, "pictures 3 patches"]:
    """Returns the place of each patch in each of ORDERS: descending values of the maps, and a random permutation."""
    flat, random = maps.reshape(*maps.shape[:2], -1), np.random.default_rng(0)
    by_maps = np.argsort(np.argsort(-flat, axis=-1, kind="stable"), axis=-1)
    by_chance = np.array([[random.permutation(flat.shape[-1])] for _ in flat])
    return np.concatenate([by_maps, by_chance], axis=1).astype(np.int32)


def pointing_test(
    model: RationaleModel,
    order: Order,
    drawings: Procedural,
    predicted: tuple[Int[np.ndarray, "N k"], Int[np.ndarray, "N k"], Bool[np.ndarray, "N R"]],
    vocabulary: Vocabulary,
    mesh: Mesh,
    *,
    batch_size: int,
    name: str,
) -> PointingTest:
    """Runs the pointing test of a method.

    predicted: categories, rationales and gold rationales of all drawings, best pair first. name: that of the method,
    for the progress bar.
    """
    vision = model.vision.config.vision
    side = vision.image_size // vision.patch_size
    columns, shows = pointing_columns(drawings, *predicted, vocabulary, order, side)
    undrawn = len(predicted[0]) - len(shows)
    if not len(shows):
        none = np.zeros((0, len(MAPS), side, side)), np.zeros((0, len(ORDERS), 2, STEPS + 1))
        return PointingTest(*none, np.zeros((0, side, side), bool), undrawn)
    run = {"total": len(shows), "name": f"saliency maps of {name}"}
    maps = map_batches(point, model, padded_batches(columns, batch_size), mesh, **run)
    first = {name: column[:CURVES] for name, column in columns.items()} | {"ranks": orders_of(maps[:CURVES])}
    run = {"total": len(first["image"]), "name": f"deletion and insertion of {name}"}
    return PointingTest(
        maps, map_batches(curves, model, padded_batches(first, batch_size), mesh, **run), shows, undrawn
    )


def pointing_lines(tests: Mapping[str, PointingTest | None]) -> Iterator[str]:
    """Yields the lines of a table of hits and areas, in per cent with 95 % intervals; none without a test."""
    results = {name: test.results for name, test in tests.items() if test is not None}
    if results:
        header = ("peak on the named part", "area of deletion", "area of insertion")
        yield f"{'pointing':26}" + "".join(f"{name:>26}" for name in header) + f"{'count':>8}"
    for name, result in results.items():
        for order in ORDERS:
            means = result["hits"][order], result["deletion"][order], result["insertion"][order]
            yield (
                f"{f'{name}, {order}':26}"
                + "".join(f"{percent_with_interval(mean):>26}" for mean in means)
                + (f"{result['pictures']:8}")
            )
