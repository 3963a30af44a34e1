"""Saliency maps of a concept bottleneck: which patches raise a label's log-probability, or a descriptor's cosine."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.tasks.concepts.explanation import ExplainedImage
from ecor_jax.tasks.explanation import SaliencyMap, mapped_view
from ecor_jax.tasks.named_maps import named_maps


class MappedModel(nnx.Module):
    """A vision tower and a bottleneck. exclusive: whether the labels are exclusive classes."""

    def __init__(self, model: Model, bottleneck: Bottleneck, exclusive: bool):
        self.vision, self.bottleneck, self.exclusive = model.clip.vision, bottleneck, exclusive
        self.mean, self.std = model.preprocess.mean, model.preprocess.std


def with_maps(
    images: Sequence[ExplainedImage], model: Model, bottleneck: Bottleneck, labels: Sequence[str], exclusive: bool
) -> list[ExplainedImage]:
    """Returns explained images with maps of their answers, and of the descriptors that the page shows unfolded.

    labels: names of the bottleneck's outputs.
    """
    views = [model.preprocess(image.image) for image in images]
    of_labels = [{answer.label: labels.index(answer.label) for answer in image.answers} for image in images]
    of_descriptors = [_descriptors(image, len(labels)) for image in images]
    named = [
        {("label", name): n for name, n in own.items()} | {("descriptor", name): n for name, n in others.items()}
        for own, others in zip(of_labels, of_descriptors, strict=True)
    ]
    mapped, patch_size = MappedModel(model, bottleneck, exclusive), model.clip.config.vision.patch_size
    units = {"label": "nats", "descriptor": "cosine"}
    found = []
    for image, view, own in zip(images, views, named_maps(numbered_maps, mapped, views, named), strict=True):
        maps: dict[str, dict[str, SaliencyMap]] = {kind: {} for kind in units}
        for (kind, name), values in own.items():
            maps[kind][name] = SaliencyMap(values, units[kind])
        shown = mapped_view(view, patch_size)
        found.append(
            dataclasses.replace(image, view=shown, label_maps=maps["label"], descriptor_maps=maps["descriptor"])
        )
    return found


def _descriptors(image: ExplainedImage, first: int) -> dict[str, int]:
    """Returns the numbers of the descriptors that the page shows unfolded, from `first` on, by "GROUP: DESCRIPTOR"."""
    names = [f"{evidence.group}: {evidence.descriptor}" for evidence in image.answers[0].evidence]
    numbers = {name: first + number for number, name in enumerate(names)}
    shown = [
        f"{piece.group}: {piece.descriptor}"
        for answer in image.answers
        if not image.folded(answer)
        for kind in answer.shown.kinds.values()
        for piece in kind
    ]
    return {name: numbers[name] for name in shown}


def numbered_maps(model: MappedModel, batch: dict[str, Array]) -> Float[Array, "batch n rows columns"]:
    """Returns the maps of labels and descriptors, as `named_maps` numbers them: first the labels."""

    def values(embeddings: Float[Array, "batch embed"]) -> Float[Array, "batch n"]:
        concepts = model.bottleneck(embeddings)
        logs = jax.nn.log_softmax(concepts.output) if model.exclusive else jax.nn.log_sigmoid(concepts.output)
        return jnp.take_along_axis(jnp.concatenate([logs, concepts.cosines], axis=1), batch["number"], axis=1)

    return saliency(model.vision, normalise_pixels(batch["image"], model.mean, model.std), values)
