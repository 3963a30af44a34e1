"""Small face models with random weights, learners of them, faces that are noise, and margins as others wrote them."""

import dataclasses
import functools
import math
import statistics
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from flax import nnx

from ecor_jax.clip.config import VisionConfig, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.tasks.verification.model import FaceModel, Margin, VerificationLearner
from tests.tasks.steps import bottleneck

IDENTITIES, BATCH, CONCEPTS, SIZE = 5, 8, 7, 6
NAMES = ("adaface", "arcface", "cosface")


def make_face(
    output: Any = "aggregated", adapter: int = 4, vision: VisionConfig | None = None, size: int = SIZE
) -> FaceModel:
    """A model of the caller's own; `adapter` is the width of one, 0 leaves it out."""
    return nnx.clone(_face(output, adapter, vision, size))


@functools.cache
def _face(output: Any, adapter: int, vision: VisionConfig | None, size: int) -> FaceModel:
    config = preset("tiny/16-8")
    config = config if vision is None else dataclasses.replace(config, vision=vision)
    groups = (0, 0, 1, 1, 1, 2, 2)
    head = bottleneck(CONCEPTS, config.embed_dim, groups, scale=10.0, size=size, adapter=adapter)
    return FaceModel(Clip(config, rngs=nnx.Rngs(0)).vision, head, Preprocess(config.vision.image_size), output)


def make_task(
    tuned: Any = ("aggregation",), margin: Margin | None = None, face: FaceModel | None = None, **options
) -> VerificationLearner:
    given: dict[str, Any] = {"identities": IDENTITIES, "batches": None, "batch_size": BATCH, "rngs": nnx.Rngs(2)}
    return VerificationLearner(face or make_face(), tuned=tuned, margin=margin or Margin(), **given | options)


def pictures(identities: int = IDENTITIES, count: int = BATCH, size: int = 16) -> dict[str, np.ndarray]:
    """Noise of its own for every identity."""
    rng = np.random.default_rng(1)
    labels = np.arange(count, dtype=np.int32) % identities
    bases = rng.integers(0, 220, (identities, size, size, 3))
    images = bases[labels] + rng.integers(0, 30, (count, size, size, 3))
    return {"image": images.astype(np.uint8), "label": labels}


def batch_of(**options) -> dict[str, jax.Array]:
    return {name: jnp.asarray(rows) for name, rows in pictures(**options).items()}


def original(name, cosines, norms, labels, before, *, margin, rate, scale):
    """Losses of a head and AdaFace's two buffers after them, as their code has it, by float64 loops over all logits.

    Cosines are clipped, a one-hot matrix of margins is put on the angles of all logits, another one on their cosines
    (mk-minchul/AdaFace head.py; deepinsight's ArcFace and CosFace), and a cross-entropy follows. AdaFace's
    concentration is 0.333.
    """
    (mean, std), zeros = before, [0.0] * len(labels)
    angular, additive = ([margin] * len(labels), zeros) if name == "arcface" else (zeros, [margin] * len(labels))
    if name == "adaface":
        safe = [min(max(float(norm), 1e-3), 100.0) for norm in norms]
        mean = statistics.mean(safe) * rate + (1 - rate) * mean
        std = statistics.stdev(safe) * rate + (1 - rate) * std
        scaler = [min(max((norm - mean) / (std + 1e-3) * 0.333, -1.0), 1.0) for norm in safe]
        angular, additive = [-margin * z for z in scaler], [margin + margin * z for z in scaler]
    losses, eps = [], 1e-3 if name == "adaface" else 1e-4
    for row, label in enumerate(labels):
        logits = []
        for column, value in enumerate(cosines[row]):
            one_hot = 1.0 if column == label else 0.0
            cosine = min(max(float(value), -1 + eps), 1 - eps)
            angle = min(max(math.acos(cosine) + one_hot * angular[row], eps), math.pi - eps)
            logits.append(scale * (math.cos(angle) - one_hot * additive[row]))
        losses.append(scipy.special.logsumexp(logits) - logits[label])
    return losses, (mean, std)
