"""The face model (CLIP and bottleneck) and its training with a margin loss over identities (arXiv 2411.04008, 3.1)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.filterlib import Filter
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, UInt8

from ecor_jax.bottleneck.head import Bottleneck, Concepts, adapter_of
from ecor_jax.clip.model import unit
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.vision import VisionTower, normalise_pixels
from ecor_jax.data.descriptors import FACES, Descriptors
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.errors import UserError
from ecor_jax.tasks.verification import margins
from ecor_jax.tasks.verification.margins import NormStatistics
from ecor_jax.tasks.verification.options import Margin, VerificationOptions
from ecor_jax.training.step import Batch, Metrics, Statistic

OUTPUTS = ("features", "activations", "aggregated")

# The path prefixes of the parameters of each tunable part of a FaceModel.
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "aggregation": (("bottleneck", "aggregation"),),
    "adapter": (("bottleneck", "adapter"),),
    "last_mlp": (("vision", "transformer", "last", "mlp_in"), ("vision", "transformer", "last", "mlp_out")),
    "last_block": (("vision", "transformer", "last"),),
    "pool": (("vision", "pool"),),
    "projection": (("vision", "projection"),),
    "encoder": (("vision",),),
}


class FaceModel(nnx.Module):
    """A CLIP's image encoder and a bottleneck. output: the representation of the face, one of OUTPUTS.

    'features' omits the bottleneck (zero-shot CLIP, fine-tuned black boxes). 'activations' is the bottleneck's Group
    SoftMax without the linear layer, 'aggregated' the bottleneck's output (table 5 of the paper). Raises UserError for
    another output.
    """

    def __init__(self, vision: VisionTower, bottleneck: Bottleneck, preprocess: Preprocess, output: str = "aggregated"):
        if output not in OUTPUTS:
            raise UserError(f"output is {output!r}; expected one of {', '.join(OUTPUTS)}")
        self.vision, self.bottleneck, self.output = vision, bottleneck, output
        self.mean, self.std = preprocess.mean, preprocess.std

    def concepts(self, images: UInt8[Array, "batch size size 3"]) -> Concepts:
        """Computes the bottleneck's concepts of preprocessed images."""
        return self.bottleneck(self.vision(normalise_pixels(images, self.mean, self.std)))

    def represent(self, concepts: Concepts) -> Float[Array, "batch size"]:
        """Returns the unnormalised embeddings of faces, selected by `output`."""
        return concepts.output if self.output == "aggregated" else getattr(concepts, self.output)

    @property
    def size(self) -> int:
        """The dimension of the embedding."""
        bank = self.bottleneck.bank
        return {
            "features": bank.shape[1],
            "activations": bank.shape[0],
            "aggregated": self.bottleneck.aggregation.out_features,
        }[self.output]


class Recogniser(nnx.Module):
    """A face model in training, with the centre of every identity and running statistics of the embedding norms.

    Centres are rows, padded to a multiple of `shards`, so that they can be sharded evenly.
    """

    def __init__(self, face: FaceModel, identities: int, shards: int, rngs: nnx.Rngs):
        self.face, self.identities = face, identities
        rows = identities + -identities % shards
        # Initialised as in AdaFace's code: normalised uniform vectors.
        self.centres = nnx.Param(unit(rngs.params.uniform((rows, face.size), minval=-1.0, maxval=1.0)))
        self.norm_mean = Statistic(jnp.float32(20))
        self.norm_std = Statistic(jnp.float32(100))


class VerificationLearner:
    """Trains a face model to classify the identities of {"image", "label"} batches; `tuned` are names of PARTS.

    shards: number of ranges that the centres are split into for sampling (the size of the mesh axis `model`).
    mesh: the mesh of the model; None for one device.
    Raises UserError if `tuned` names a part that the model lacks, or if too few centres are sampled.
    """

    def __init__(
        self,
        face: FaceModel,
        identities: int,
        tuned: Sequence[str],
        batches: TrainBatches,
        margin: Margin,
        *,
        batch_size: int,
        shards: int = 1,
        mesh: Mesh | None = None,
        rngs: nnx.Rngs,
    ):
        self.model, self.mesh = Recogniser(face, identities, shards, rngs), mesh
        self.batches, self.margin, self.shards = batches, margin, shards
        self.trainable = trainable(tuned, face.bottleneck, face.output)
        for part in ("pool", "projection"):
            if part in tuned and getattr(face.vision, part) is None:
                raise UserError(f"bottleneck.tuned names {part}, which this image encoder does not have")
        self.sampled = None
        if margin.sampled < 1:
            each = -(-identities // shards)
            self.sampled = round(margin.sampled * each)
            if self.sampled < min(batch_size, each):
                raise UserError(
                    f"margin.sampled leaves {self.sampled} of {each} identities a device; expected at least "
                    f"data.batch_size, {batch_size}, or identities of a batch could be left out"
                )

    def loss(self, model: nnx.Module, batch: Batch, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Computes the margin loss (AdaFace eq. 1 and 2), after updating the norm statistics, as AdaFace's code."""
        assert isinstance(model, Recogniser)
        face = model.face
        embeddings, labels = self._shared(face.represent(face.concepts(batch["image"])), batch["label"])
        norms = jnp.linalg.norm(embeddings, axis=1)
        centres, classes = self._centres(model, labels, key)
        cosines = unit(embeddings) @ unit(centres).T
        own = margins.own_cosine(cosines, labels, classes)
        target = self._target(model, own, norms)
        limit = margins.LIMITS[self.margin.name]
        losses = margins.margin_loss(cosines, labels, classes, target, self.margin.scale, limit=limit)
        nearest = classes[jnp.argmax(jnp.where(classes < 0, -jnp.inf, cosines), axis=1)]
        count = jnp.float32(len(losses))
        return jnp.mean(losses), {
            "recognised": (jnp.sum(nearest == labels, dtype=jnp.float32), count),
            "norm": (jnp.sum(norms), count),
            "own_cosine": (jnp.sum(own), count),
        }

    def _shared(self, *examples: Array) -> tuple[Array, ...]:
        """Replicates examples along the mesh axis `model`, so that each device has them for its centres."""
        if self.mesh is None:
            return examples
        return jax.lax.with_sharding_constraint(examples, NamedSharding(self.mesh, PartitionSpec("data")))

    def _centres(
        self, model: Recogniser, labels: Int[Array, "batch"], key: Array
    ) -> tuple[Float[Array, "classes size"], Int[Array, "classes"]]:
        """Returns the centres used in this step, and their identities (-1: padding)."""
        centres = model.centres[...]
        numbers = jnp.arange(len(centres))
        numbers = jnp.where(numbers < model.identities, numbers, -1)
        if self.sampled is None:
            return centres, numbers
        rows = margins.sampled_classes(key, labels, len(centres), self.sampled, self.shards)
        taken = jnp.take_along_axis(centres.reshape(self.shards, -1, centres.shape[1]), rows[:, :, None], axis=1)
        classes = jnp.take_along_axis(numbers.reshape(self.shards, -1), rows, axis=1)
        return taken.reshape(-1, centres.shape[1]), classes.reshape(-1)

    def _target(
        self, model: Recogniser, own: Float[Array, "batch"], norms: Float[Array, "batch"]
    ) -> Float[Array, "batch"]:
        if self.margin.name == "arcface":
            return margins.arcface(own, self.margin.margin)
        if self.margin.name == "cosface":
            return margins.cosface(own, self.margin.margin)
        before = NormStatistics(model.norm_mean[...], model.norm_std[...])
        statistics = margins.update_statistics(norms, before, self.margin.rate)
        model.norm_mean[...], model.norm_std[...] = statistics
        return margins.adaface(own, norms, statistics, self.margin.margin, self.margin.concentration)


def trainable(tuned: Sequence[str], bottleneck: Bottleneck, output: str) -> Filter:
    """Returns a filter for the named parts of a Recogniser and its centres. Raises UserError for a missing part."""
    if unknown := [part for part in tuned if part not in PARTS]:
        raise UserError(f"bottleneck.tuned names {', '.join(map(repr, unknown))}; expected some of {', '.join(PARTS)}")
    if "adapter" in tuned and bottleneck.adapter is None:
        raise UserError("bottleneck.tuned names 'adapter', but bottleneck.adapter.width is 0")
    if output != "aggregated" and "aggregation" in tuned:
        raise UserError(f"bottleneck.tuned names aggregation, which bottleneck.output={output} leaves out")
    prefixes = [("face", *prefix) for part in tuned for prefix in PARTS[part]] + [("centres",)]

    def chosen(path: tuple, value: object) -> bool:
        names = tuple(map(str, path))
        return any(names[: len(prefix)] == prefix for prefix in prefixes)

    return nnx.filterlib.All(nnx.Param, chosen)


def descriptors_of(options: VerificationOptions) -> Descriptors:
    """Returns the descriptors that the options name."""
    name = options.bottleneck.descriptors
    return Descriptors.from_file(FACES if name == "faces" else name)


def untrained_head(
    options: VerificationOptions, descriptors: Descriptors, bank: np.ndarray, scale: float
) -> Bottleneck:
    """Creates an untrained head over a bank of descriptors [N, embed]; `scale` applies if the config has none."""
    head, rngs = options.bottleneck, nnx.Rngs(options.seed)
    return Bottleneck(
        bank,
        descriptors.group_of,
        scale=head.scale or scale,
        size=head.size or len(bank),
        init=head.init,
        use_bias=head.use_bias,
        adapter=adapter_of(head.adapter, bank.shape[1], rngs),
        rngs=rngs,
    )
