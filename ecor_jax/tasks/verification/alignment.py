"""Measures whether a tuned CLIP still aligns pictures and texts: zero-shot accuracy (arXiv 2411.04008, table 6)."""

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.model import unit
from ecor_jax.data.encode import Encode, IdentityLabels
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Source
from ecor_jax.features.text_bank import embed_texts
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.tasks.batches import own_share
from ecor_jax.tasks.verification.model import FaceModel


def alignment_proxy(
    face: FaceModel, model: Model, source: Source, *, template: str, batch_size: int, mesh: Mesh, workers: int = 0
) -> float:
    """Computes the accuracy of zero-shot classification of `source`, with `template` filled with each class name.

    Class names are compared with the adapted image features, as descriptors are. The text tower is that of `model`.
    """
    bank = jnp.asarray(embed_texts(model, [template.replace("{c}", name) for name in source.classes]))
    encode = Encode(model.preprocess, IdentityLabels(source.classes))
    batches = eval_batches(source, encode, batch_size=batch_size, workers=workers, **own_share())
    right = map_batches(_right, (face, bank), batches, mesh, total=len(source), name="alignment proxy")
    return int(right.sum()) / len(source)


def _right(models: tuple[FaceModel, Array], batch: dict[str, Array]) -> Array:
    face, bank = models
    nearest = jnp.argmax(unit(face.concepts(batch["image"]).features) @ bank.T, axis=1)
    return nearest == batch["label"]
