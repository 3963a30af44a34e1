"""What a face model sees in pictures, and its explanation of pairs of them."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck import similarity_shares
from ecor_jax.checkpoints.bottleneck_dir import SavedBottleneck
from ecor_jax.clip.split import SplitVision
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.evaluation.faithfulness import Head, similarity
from ecor_jax.explain.pair_records import Concept, ExplainedPair, Side
from ecor_jax.tasks.verification import FaceModel


@dataclasses.dataclass(frozen=True)
class Seen:
    """Of N pictures, each averaged with its mirror image (insightface adds them: the direction is the same)."""

    embeddings: Float[np.ndarray, "N size"]
    activations: Float[np.ndarray, "N concepts"]


def face_model(saved: SavedBottleneck) -> FaceModel:
    """The face model that a directory holds."""
    return FaceModel(SplitVision(saved.model.clip.vision), saved.bottleneck, saved.model.preprocess, saved.output)


def see(face: FaceModel, features: Float[np.ndarray, "N 2 embed"]) -> Seen:
    """What the bottleneck of `face` makes of features of its encoder."""
    graph, state = nnx.split(face)

    @jax.jit
    def both(state: nnx.State, features):
        model: FaceModel = nnx.merge(graph, state)
        concepts = model.bottleneck(features.reshape(-1, features.shape[-1]))
        found = model.represent(concepts), concepts.activations
        return [jnp.mean(rows.reshape(len(features), 2, -1), axis=1) for rows in found]

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


def explained_pairs(
    seen: Seen,
    head: Head,
    descriptors: Descriptors,
    sides: Sequence[tuple[Side, Side]],
    rows: Sequence[tuple[int, int]],
    threshold: float,
    same: Sequence[bool | None],
) -> list[ExplainedPair]:
    """The pairs of pictures in `rows` of `seen`, with every concept's exact share in their similarity."""
    first, second = (seen.activations[[row[side] for row in rows]] for side in (0, 1))
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
        )
        for n in range(len(rows))
    ]
