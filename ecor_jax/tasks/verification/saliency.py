"""Saliency maps of faces: which patches raise the log-probability of a descriptor within its group."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from ecor_jax.bottleneck.head import group_log_softmax
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.tasks.explanation import SaliencyMap, mapped_view
from ecor_jax.tasks.named_maps import named_maps
from ecor_jax.tasks.verification.explanation import ExplainedPair
from ecor_jax.tasks.verification.model import FaceModel


def with_maps(pairs: Sequence[ExplainedPair], face: FaceModel, preprocess: Preprocess) -> list[ExplainedPair]:
    """Returns explained pairs with a map of each descriptor that the page shows, for both pictures.

    The maps are of the pictures as they are, without their mirror images, with which the activations are averaged.
    """
    sides = [side for pair in pairs for side in (pair.first, pair.second)]
    views, named = [preprocess(side.image) for side in sides], []
    for pair in pairs:
        numbers = {f"{concept.group}: {concept.descriptor}": n for n, concept in enumerate(pair.concepts)}
        shown = [f"{group.group}: {concept.descriptor}" for group in pair.shown for concept in group.concepts]
        named += [{name: numbers[name] for name in shown}] * 2
    patch_size = face.vision.config.vision.patch_size
    mapped = [
        dataclasses.replace(
            side,
            view=mapped_view(view, patch_size),
            saliency={name: SaliencyMap(values) for name, values in own.items()},
        )
        for side, view, own in zip(sides, views, named_maps(descriptor_maps, face, views, named), strict=True)
    ]
    return [
        dataclasses.replace(pair, first=mapped[2 * number], second=mapped[2 * number + 1])
        for number, pair in enumerate(pairs)
    ]


def descriptor_maps(face: FaceModel, batch: dict[str, Array]) -> Float[Array, "batch n rows columns"]:
    """Returns the maps of n descriptors of each image, as `named_maps` numbers them."""
    groups = face.bottleneck.groups
    assert groups is not None

    def log_probabilities(embeddings: Float[Array, "batch embed"]) -> Float[Array, "batch n"]:
        scores = face.bottleneck.scale * face.bottleneck(embeddings).cosines
        logs = group_log_softmax(scores, jnp.array(groups), max(groups) + 1)
        return jnp.take_along_axis(logs, batch["number"], axis=1)

    return saliency(face.vision, normalise_pixels(batch["image"], face.mean, face.std), log_probabilities)
