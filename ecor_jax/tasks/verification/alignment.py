"""Does a tuned CLIP still match pictures with words? Zero-shot accuracy on everyday pictures (2411.04008, Table 6)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import Array
from tqdm import tqdm

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.model import unit
from ecor_jax.data.face_encode import FaceEncode
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Source
from ecor_jax.parallel import mesh as meshes
from ecor_jax.tasks.verification.model import FaceModel
from ecor_jax.text_bank import embed_texts


def alignment_proxy(
    face: FaceModel, model: Model, source: Source, *, template: str, batch_size: int, mesh: Mesh, workers: int = 0
) -> float:
    """Share of the pictures of `source` whose class name, put into `template` for {c}, is the nearest of all classes'.

    The adapted features are compared, as they are with the descriptors. The text tower is that of `model`.
    """
    bank = jnp.asarray(embed_texts(model, [template.replace("{c}", name) for name in source.classes]))
    graph, state = nnx.split(face)
    state = meshes.place(state, mesh)

    @jax.jit
    def right(state: nnx.State, images: Array, labels: Array, mask: Array):
        tuned: FaceModel = nnx.merge(graph, state)
        nearest = jnp.argmax(unit(tuned.concepts(images).features) @ bank.T, axis=1)
        return jnp.sum((nearest == labels) & mask)

    batches = eval_batches(
        source,
        FaceEncode(model.preprocess, source.classes, augment=False),
        batch_size=batch_size,
        workers=workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    count = 0
    with tqdm(total=len(source), desc="alignment proxy", unit="image", mininterval=1) as bar:
        for batch in batches:
            placed = meshes.global_batch(batch, mesh)
            found = right(state, placed["image"], placed["label"], placed["mask"])
            count += int(np.asarray(multihost_utils.process_allgather(found, tiled=True)))
            bar.update(min(batch_size, len(source) - bar.n))
    return count / len(source)
