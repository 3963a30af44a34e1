"""What a face model sees in pictures, and its explanation of pairs of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck.directory import SavedBottleneck
from ecor_jax.bottleneck.head import intervened, similarity_shares
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError
from ecor_jax.tasks.verification.explanation import Concept, ExplainedPair, Intervention, Side
from ecor_jax.tasks.verification.faithfulness import Head, similarity
from ecor_jax.tasks.verification.model import FaceModel


@dataclasses.dataclass(frozen=True)
class Seen:
    """Of N pictures, each averaged with its mirror image (insightface adds them: the direction is the same)."""

    embeddings: Float[np.ndarray, "N size"]
    activations: Float[np.ndarray, "N concepts"]


def check_faces(saved: SavedBottleneck) -> None:
    """UserError for a bottleneck that tells findings, not faces."""
    if saved.findings is not None:
        raise UserError(f"{saved.model.path} tells {', '.join(saved.findings.names)}; expected a model for faces")


def face_model(saved: SavedBottleneck) -> FaceModel:
    """The face model that a directory holds."""
    return FaceModel(saved.model.clip.vision, saved.bottleneck, saved.model.preprocess, saved.output)


def see(face: FaceModel, features: Float[np.ndarray, "N 2 embed"]) -> Seen:
    """What the bottleneck of `face` makes of features of its encoder."""
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
    """The linear end that decides; None where the decision passes no concept."""
    if face.output == "features":
        return None
    aggregation, concepts = face.bottleneck.aggregation, face.bottleneck.bank.shape[0]
    if face.output == "activations":
        return Head(np.eye(concepts, dtype=np.float32), np.zeros(concepts, np.float32))
    weight = np.asarray(aggregation.kernel[...])
    bias = np.zeros(weight.shape[1], np.float32) if aggregation.bias is None else np.asarray(aggregation.bias[...])
    return Head(weight, bias)


TOP_INTERVENTIONS = 3
READING = (
    "Shares are relative: in each picture the concepts of a group add up to 100%. A large share says that the picture "
    "fits this concept better than the others of its group, not that the concept is there, nor how sure that is.",
    "Shares near the even spread say next to nothing, whatever their order. They are written with as many digits as "
    "it takes to tell the pictures apart, which does not make a small difference a sure one.",
    "What the concepts add is exact: all of it, with the bias where there is one, is the similarity. It says how the "
    "number came about, not what makes two faces those of one person.",
)
"""What to keep in mind of explained pairs."""


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
    """The pairs in `compared`, of pictures by their number in `seen`, with every concept's share in their similarity.

    asked: concepts to set in the second picture, to a share of their group; without any, those that move the
    similarity most: of a match down, when set to nothing, else up, when set to what they are in the first picture.
    threshold_source, typical: as `ExplainedPair` has them.
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
    """Those asked for; else of all concepts the ones that move a match furthest down, or else two pictures together."""
    concepts = np.array(list(asked) or range(len(second)))
    values = np.array(list(asked.values()) or (np.zeros_like(second) if match else first), np.float32)
    groups = jnp.array(descriptors.group_of)
    changed = jax.vmap(lambda concept, value: intervened(jnp.asarray(second[None]), groups, concept, value)[0])(
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
