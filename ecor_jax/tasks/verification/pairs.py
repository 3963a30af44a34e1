"""Computes embeddings and activations of faces and explains pairs of them, for evaluations, reports and explainers."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck.directory import SavedBottleneck
from ecor_jax.bottleneck.head import intervene, similarity_shares
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError
from ecor_jax.tasks.verification.explanation import Concept, ExplainedPair, Intervention, Side
from ecor_jax.tasks.verification.faithfulness import Head, similarity
from ecor_jax.tasks.verification.model import FaceModel


@dataclasses.dataclass(frozen=True)
class Seen:
    """Values of N pictures, averaged with their mirror images (insightface's sums have the same direction)."""

    embeddings: Float[np.ndarray, "N size"]
    activations: Float[np.ndarray, "N concepts"]


def check_faces(saved: SavedBottleneck) -> None:
    """Raises UserError for a bottleneck that classifies findings."""
    if saved.findings is not None:
        raise UserError(f"{saved.model.path} tells {', '.join(saved.findings.names)}; expected a model for faces")


def face_model(saved: SavedBottleneck) -> FaceModel:
    """Returns the face model of a saved bottleneck."""
    return FaceModel(saved.model.clip.vision, saved.bottleneck, saved.model.preprocess, saved.output)


def see(face: FaceModel, features: Float[np.ndarray, "N 2 embed"]) -> Seen:
    """Computes embeddings and activations from features of the pictures and their mirror images."""
    graph, state = nnx.split(face)

    @jax.jit
    def both(state: nnx.State, features):
        model: FaceModel = nnx.merge(graph, state)
        concepts = model.bottleneck(features.reshape(-1, features.shape[-1]))
        seen = model.represent(concepts), concepts.activations
        return [jnp.mean(rows.reshape(len(features), 2, -1), axis=1) for rows in seen]

    embeddings, activations = both(state, jnp.asarray(features))
    return Seen(np.asarray(embeddings), np.asarray(activations))


def head_of(face: FaceModel) -> Head | None:
    """Returns the linear layer between activations and embedding; None if the embedding bypasses the concepts."""
    if face.output == "features":
        return None
    if face.output == "activations":
        concepts = len(face.bottleneck.bank[...])
        return Head(np.eye(concepts, dtype=np.float32), np.zeros(concepts, np.float32))
    return Head(*face.bottleneck.linear())


TOP_INTERVENTIONS = 3
READING = (
    "Shares are relative: in each picture the concepts of a group add up to 100%. A large share says that the picture "
    "fits this concept better than the others of its group, not that the concept is there, nor how sure that is.",
    "Shares near the even spread say next to nothing, whatever their order. They are written with as many digits as "
    "it takes to tell the pictures apart, which does not make a small difference a sure one.",
    "What the concepts add is exact: all of it, with the bias where there is one, is the similarity. It says how the "
    "number came about, not what makes two faces those of one person.",
)
"""Notes on the interpretation of explained pairs."""


def explained_pairs(
    seen: Seen,
    head: Head,
    descriptors: Descriptors,
    sides: Sequence[tuple[Side, Side]],
    compared: Sequence[tuple[int, int]],
    threshold: float,
    same: Sequence[bool | None],
    asked: Mapping[int, float] = MappingProxyType({}),
    threshold_source: str = "",
    typical: Mapping[str, float] = MappingProxyType({}),
) -> list[ExplainedPair]:
    """Explains the pairs in `compared`, indices into `seen`, by every concept's contribution to their similarity.

    asked: {concept: share of its group}, interventions on the second picture. By default those that change the
    similarity most: for a match, the largest decreases on setting a concept to 0; else the largest increases on setting
    it to its activation in the first picture. threshold_source, typical: fields of `ExplainedPair`.
    """
    first, second = (seen.activations[[pair[side] for pair in compared]] for side in (0, 1))
    cosines = similarity(first, second, head)
    shares = similarity_shares(*(jnp.asarray(array) for array in (first, second, *head)))
    groups = [descriptors.groups[row] for row in descriptors.group_of]
    return [
        ExplainedPair(
            first=sides[n][0],
            second=sides[n][1],
            similarity=float(cosines[n]),
            threshold=threshold,
            concepts=[
                Concept(group, phrase, *map(float, values))
                for group, phrase, *values in zip(
                    groups, descriptors.phrases, first[n], second[n], np.asarray(shares.concepts[n]), strict=True
                )
            ],
            same=same[n],
            bias=float(shares.bias[n]),
            interventions=_interventions(first[n], second[n], head, descriptors, bool(cosines[n] > threshold), asked),
            threshold_source=threshold_source,
            typical=typical,
        )
        for n in range(len(compared))
    ]


def _interventions(
    first: Float[np.ndarray, "concepts"],
    second: Float[np.ndarray, "concepts"],
    head: Head,
    descriptors: Descriptors,
    match: bool,
    asked: Mapping[int, float],
) -> list[Intervention]:
    """Computes the interventions of `asked`; by default the TOP_INTERVENTIONS that most oppose the verdict."""
    concepts = np.array(list(asked) or range(len(second)))
    values = np.array(list(asked.values()) or (np.zeros_like(second) if match else first), np.float32)
    groups = jnp.array(descriptors.group_of)
    changed = jax.vmap(lambda concept, value: intervene(jnp.asarray(second[None]), groups, concept, value)[0])(
        jnp.asarray(concepts), jnp.asarray(values)
    )
    similarities = similarity(np.repeat(first[None], len(concepts), axis=0), np.asarray(changed), head)
    order = np.argsort(similarities if match else -similarities, kind="stable")[:TOP_INTERVENTIONS]
    return [
        Intervention(
            descriptors.groups[descriptors.group_of[concepts[row]]],
            descriptors.phrases[concepts[row]],
            float(second[concepts[row]]),
            float(values[row]),
            float(similarities[row]),
        )
        for row in (range(len(concepts)) if asked else order)
    ]
