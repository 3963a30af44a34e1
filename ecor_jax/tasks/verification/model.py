"""Face recognition through descriptors (arXiv 2411.04008, section 3.1): identities told apart with a margin."""

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

# Where each tunable part lies in a FaceModel; a prefix of the paths of its parameters.
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
    """A CLIP's image encoder, the bottleneck, and what stands for the face: one of OUTPUTS.

    'features' leaves the bottleneck out (zero-shot CLIP, fine-tuned black boxes), 'activations' is its Group SoftMax
    without a linear layer, 'aggregated' all of it (Table 5 of the paper).
    """

    def __init__(
        self,
        vision: VisionTower,
        bottleneck: Bottleneck,
        preprocess: Preprocess,
        output: str = "aggregated",
    ):
        if output not in OUTPUTS:
            raise UserError(f"output is {output!r}; expected one of {', '.join(OUTPUTS)}")
        self.vision, self.bottleneck, self.output = vision, bottleneck, output
        self.mean, self.std = preprocess.mean, preprocess.std

    def concepts(self, images: UInt8[Array, "batch size size 3"]) -> Concepts:
        """What the bottleneck sees in preprocessed images."""
        return self.bottleneck(self.vision(normalise_pixels(images, self.mean, self.std)))

    def represent(self, concepts: Concepts) -> Float[Array, "batch size"]:
        """The unnormalised embedding of a face."""
        return concepts.output if self.output == "aggregated" else getattr(concepts, self.output)

    @property
    def size(self) -> int:
        """Of the embedding."""
        bank = self.bottleneck.bank
        return {
            "features": bank.shape[1],
            "activations": bank.shape[0],
            "aggregated": self.bottleneck.aggregation.out_features,
        }[self.output]


class Recogniser(nnx.Module):
    """A face model in training: the centre of every identity, and running statistics of the embeddings' norms.

    Centres are rows, padded to a multiple of `shards`, so that they can be split evenly over devices.
    """

    def __init__(self, face: FaceModel, identities: int, shards: int, rngs: nnx.Rngs):
        self.face, self.identities = face, identities
        rows = identities + -identities % shards
        # As AdaFace's code: uniform directions.
        self.centres = nnx.Param(unit(rngs.params.uniform((rows, face.size), minval=-1.0, maxval=1.0)))
        self.norm_mean = Statistic(jnp.float32(20))
        self.norm_std = Statistic(jnp.float32(100))


class VerificationLearner:
    """Identities of {"image", "label"} batches told apart; `tuned` names parts of PARTS.

    shards: into how many ranges the centres are split when they are sampled (the mesh's axis `model`).
    mesh: where the model lies; None: on one device.
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
        """Cross-entropy with a margin (AdaFace eq. 1 and 2); the statistics of the norms move first, as in its code."""
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
        """The same, each on all devices along `model`: so logits stay where their centres are."""
        if self.mesh is None:
            return examples
        return jax.lax.with_sharding_constraint(examples, NamedSharding(self.mesh, PartitionSpec("data")))

    def _centres(
        self, model: Recogniser, labels: Int[Array, "batch"], key: Array
    ) -> tuple[Float[Array, "classes size"], Int[Array, "classes"]]:
        """The centres that take part in this step, and their identities (-1: padding)."""
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
    """The parameters of the named parts of a Recogniser, and its centres. UserError for an unknown or missing part."""
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
    """Those that the options name."""
    name = options.bottleneck.descriptors
    return Descriptors.from_file(FACES if name == "faces" else name)


def untrained_head(
    options: VerificationOptions, descriptors: Descriptors, bank: np.ndarray, scale: float
) -> Bottleneck:
    """An untrained head over a bank of descriptors [N, embed]; `scale` where the config leaves it to the CLIP."""
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
