"""What explanations show of a picture besides its predictions: saliency maps of its pairs, and the counterfactual."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, UInt8
from PIL import Image

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.batches import padded_batches
from ecor_jax.tasks.explanation import mapped_view
from ecor_jax.tasks.rationale.counterfactual import Removal, smallest_removal
from ecor_jax.tasks.rationale.methods import Method
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import Predictions, predict
from ecor_jax.tasks.rationale.saliency import batch_size, pair_columns, saliency_maps

DEPTH = 200
"""Number of ranked pairs, beyond those that vote, in which counterfactuals are searched: enough to remove a few
rationales."""


class Detail(NamedTuple):
    """Saliency maps of a picture's pairs, of the `view`, the picture as the model sees it; and its counterfactual.

    Each is None if it was not computed.
    """

    view: Image.Image | None = None
    maps: Float[np.ndarray, "k rows columns"] | None = None
    removal: Removal | None = None


def depth(method: Method, vocabulary: Vocabulary, k: int) -> int:
    """Returns the number of ranked pairs that `removals` of k pairs that vote needs."""
    if method.order == "category_first":
        return k
    return min(k + DEPTH, len(vocabulary.classes) * len(vocabulary.rationales))


def removals(method: Method, ranked: Predictions, vocabulary: Vocabulary, k: int) -> list[Removal | None]:
    """Returns the counterfactuals of N pictures with ranked pairs, of which the first k vote.

    They are None for a method that predicts the category first (`counterfactual`).
    """
    if method.order == "category_first":
        return [None] * len(ranked.categories)
    complete = ranked.categories.shape[1] == len(vocabulary.classes) * len(vocabulary.rationales)
    pairs = zip(ranked.categories.tolist(), ranked.rationales.tolist(), strict=True)
    return [smallest_removal(*own, k, complete) for own in pairs]


def details_of(
    model: RationaleModel,
    method: Method,
    vocabulary: Vocabulary,
    images: Sequence[UInt8[np.ndarray, "size size 3"]],
    shown: Predictions,
    mesh: Mesh,
    name: str,
) -> list[Detail]:
    """Returns the details of preprocessed images.

    shown: their predictions, whose pairs the maps are of. name: that of the method.

    The ranked pairs are computed again, in other batches. Where rounding makes their first pairs differ from those
    shown, there is no counterfactual.
    """
    k = shown.categories.shape[1]
    over = {"mesh": mesh, "total": len(images), "name": f"ranked pairs of {name}"}
    batches = padded_batches({"image": np.stack(images)}, batch_size(len(images), mesh))
    ranked = predict(model, method, batches, top_k=depth(method, vocabulary, k), calibration=False, **over)
    columns = pair_columns(shown.categories, shown.rationales, method.order)
    maps = saliency_maps(model, columns | {"image": np.stack(images)}, mesh, name)
    again = ranked.first(k)
    same = (again.categories == shown.categories) & (again.rationales == shown.rationales)
    removed = removals(method, ranked, vocabulary, k)
    return [
        Detail(mapped_view(view, model.vision.config.vision.patch_size), own, removal if equal else None)
        for view, own, removal, equal in zip(images, maps, removed, same.all(axis=1).tolist(), strict=True)
    ]
