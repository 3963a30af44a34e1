"""Words, saliency and counterfactuals on the same built-in drawings: the part that each names, and what it is worth.

Each explanation of a method's answer, the voted category, names one part of a drawing. The drawing is made again
without that part: an explanation is the better, the further the probability of the category falls.

words: the rationale of the best pair with this category. counterfactual: the first of the fewest rationales without
which the vote changes (`counterfactual`). Both may name a part that is not drawn. The others are told what is drawn, so
that they can be compared. ranked: the best-ranked rationale of the drawn parts. saliency: the drawn part where the
map of log P(category | I) is highest on average. chance: a random drawn part.
"""

import dataclasses
import math
from collections import defaultdict

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from ecor_jax.clip.model import unit
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.batches import padded_batches
from ecor_jax.tasks.drawn_parts import (
    MOST,
    brightest_parts,
    peaks_within,
    random_parts,
    without_parts,
    worth_of_parts,
)
from ecor_jax.tasks.rationale.details import depth, removals
from ecor_jax.tasks.rationale.doubly_right import majority_vote
from ecor_jax.tasks.rationale.joint import Banks, marginals
from ecor_jax.tasks.rationale.methods import Method, Order
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import Predictions, predict


@dataclasses.dataclass(frozen=True)
class _Category:
    """A function that returns the probability of each image's category, and whether no other is more probable."""

    order: Order

    def __call__(self, model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch 2"]:
        return model.shard_map_pairs(self.of_images, model.embed(batch["image"]), batch["category"])

    def of_images(
        self, examples: tuple[Array, Array], banks: Banks, scale: Array, shards: Shards
    ) -> Float[Array, "batch 2"]:
        images, category = examples
        of_outers, of_inners = marginals(images, banks, scale, shards)
        if self.order == "category_first":
            own, best = jnp.take_along_axis(of_outers, category[:, None], axis=1)[:, 0], of_outers.max(axis=1)
        else:
            own, (_, best) = shards.at(of_inners, category), shards.argmax(of_inners)
        return jnp.stack([own, (own >= best).astype(own.dtype)], axis=1)


@dataclasses.dataclass(frozen=True)
class _Maps:
    """A function that returns the saliency map of each image's log P(category | I)."""

    order: Order

    def __call__(self, model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch rows columns"]:
        def log_category(embeddings: Float[Array, "batch embed"]) -> Float[Array, "batch 1"]:
            found = model.shard_map_pairs(_Category(self.order).of_images, unit(embeddings), batch["category"])
            return jnp.log(jnp.maximum(found[:, :1], 1e-30))

        pixels = normalise_pixels(batch["image"], model.mean, model.std)
        return saliency(model.vision, pixels, log_category, model.prompts)[:, 0]


def named_parts(
    model: RationaleModel,
    method: Method,
    drawings: Procedural,
    predicted: Predictions,
    vocabulary: Vocabulary,
    mesh: Mesh,
    *,
    batch_size: int,
    name: str,
) -> dict[str, Float[np.ndarray, "drawings"]]:
    """Returns what each of the first MOST drawings contributes (`drawn_parts.worth_of_parts`).

    predicted: the predictions for all drawings; a majority votes. name: that of the method, for the progress bars.
    """
    count = min(MOST, len(drawings))
    images = np.stack([drawings[index]["image"] for index in range(count)])
    pairs = predicted.categories[:count], predicted.rationales[:count]
    category = majority_vote(pairs[0]).astype(np.int32)
    first = np.argmax(pairs[0] == category[:, None], axis=1)
    shown = [[vocabulary.rationales[r] for r in np.flatnonzero(own)] for own in predicted.gold_rationales[:count]]
    how = {"batch_size": batch_size, "mesh": mesh}
    maps = _mapped(_Maps(method.order), model, {"image": images, "category": category}, f"maps of {name}", **how)
    ranked, removed = _ranked(model, method, vocabulary, images, pairs, name, **how)
    named = {
        "words": [vocabulary.rationales[own[place]] for own, place in zip(pairs[1], first.tolist(), strict=True)],
        "ranked": [min(own, key=order.__getitem__) for own, order in zip(shown, ranked, strict=True)],
        "saliency": brightest_parts(drawings, maps, shown),
        "counterfactual": removed,
        "chance": random_parts(shown),
    }
    changed = without_parts(drawings, named, shown)
    columns = {"image": np.stack(changed), "category": np.tile(category, 1 + len(named))}
    told = _mapped(_Category(method.order), model, columns, f"drawings without parts, {name}", **how)
    return worth_of_parts(named, shown, told, peaks_within(drawings, maps, named["words"], shown))


def _mapped(function, model: RationaleModel, columns: dict[str, np.ndarray], name: str, *, batch_size: int, mesh: Mesh):
    batches = padded_batches(columns, batch_size)
    return map_batches(function, model, batches, mesh, total=len(columns["image"]), name=name)


def _ranked(
    model: RationaleModel,
    method: Method,
    vocabulary: Vocabulary,
    images: np.ndarray,
    pairs: tuple[Int[np.ndarray, "N k"], Int[np.ndarray, "N k"]],
    name: str,
    *,
    batch_size: int,
    mesh: Mesh,
) -> tuple[list[defaultdict[str, float]], list[str]]:
    """Returns the ranks of each image's rationales, and the first rationale of its counterfactual, '' if none is known.

    Rationales beyond the ranked pairs have a rank of infinity. Where rounding makes the first pairs differ from those
    given, there is no counterfactual.
    """
    batches, k = padded_batches({"image": images}, batch_size), pairs[0].shape[1]
    over = {"mesh": mesh, "total": len(images), "name": f"ranked pairs of {name}"}
    found = predict(model, method, batches, top_k=max(depth(method, vocabulary, k), k), calibration=False, **over)
    ranks = []
    for own in found.rationales.tolist():
        ranks.append(defaultdict(lambda: math.inf))
        for place, rationale in enumerate(own):
            ranks[-1].setdefault(vocabulary.rationales[rationale], place)
    again = found.first(k)
    same = ((again.categories == pairs[0]) & (again.rationales == pairs[1])).all(axis=1).tolist()
    removed = removals(method, found, vocabulary, k)
    firsts = [
        vocabulary.rationales[own.rationales[0]] if equal and own and own.rationales else ""
        for own, equal in zip(removed, same, strict=True)
    ]
    return ranks, firsts
