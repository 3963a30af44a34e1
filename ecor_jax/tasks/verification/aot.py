"""Traces the steps of face verification without weights or pictures, for ahead-of-time compilation."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ecor_jax.aot.compiled import call_step
from ecor_jax.aot.steps import Sizes, Steps, batch_of, clip_of, shapes_of, train_step
from ecor_jax.checkpoints.source import read_architecture
from ecor_jax.clip.model import MAX_SCALE
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.features.image_features import Views
from ecor_jax.tasks.verification.data import open_faces
from ecor_jax.tasks.verification.model import FaceModel, VerificationLearner, descriptors_of, untrained_head
from ecor_jax.tasks.verification.options import VerificationOptions


def aot_steps(options: VerificationOptions, mesh: Mesh, sizes: Sizes) -> Steps:
    """Returns the traced steps. "evaluate" only encodes pictures and mirror images; the rest costs next to nothing."""
    head, descriptors = options.bottleneck, descriptors_of(options)
    config = read_architecture(options.model)
    identities = _identities(options, sizes) if head.tuned else 1

    def learner() -> VerificationLearner:
        clip = clip_of(config, options.dtype)
        bank = np.zeros((len(descriptors.phrases), config.embed_dim), np.float32)
        bottleneck = untrained_head(options, descriptors, bank, scale=MAX_SCALE)
        return VerificationLearner(
            FaceModel(clip.clip.vision, bottleneck, clip.preprocess, head.output),
            identities,
            head.tuned,
            None,  # pyright: ignore[reportArgumentType]
            options.margin,
            batch_size=options.data.batch_size,
            shards=options.parallel.model,
            mesh=mesh,
            rngs=nnx.Rngs(options.seed),
        )

    made = shapes_of(learner)
    face, size = made.model.face, config.vision.image_size
    steps = {}
    if head.tuned:
        batch = batch_of(options.data.batch_size, size, label=((), jnp.int32))
        steps["train"] = train_step(made, options, mesh, batch)
    evaluated = batch_of(options.evaluation.batch_size, size, mask=((), jnp.bool_))
    steps["evaluate"] = call_step(Views(face.mean, face.std, True), face.vision, mesh, evaluated)
    return steps


def _identities(options: VerificationOptions, sizes: Sizes) -> int:
    if sizes.identities:
        return sizes.identities
    if not Path(options.data.images).exists():
        raise UserError(f"data.images is {options.data.images!r}, which is not here: --identities says how many people")
    return len(open_faces(options.data, Tally(), training=True).train.classes)
