"""Embeddings of all images of a data set, and optionally of their mirror images, cached on disk."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float

from ecor_jax.atomic import cache_folder, read_array, write_array
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.vision import VisionTower, normalise_pixels
from ecor_jax.data.encode import Encode
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Source
from ecor_jax.errors import UserError
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.processes import broadcast_array_from_first, broadcast_from_first, is_first


def image_features(
    vision: VisionTower,
    preprocess: Preprocess,
    source: Source,
    *,
    mirrored: bool,
    batch_size: int,
    mesh: Mesh,
    workers: int = 0,
    name: str,
    folder: Path | None = None,
    keep: bool = True,
) -> Float[np.ndarray, "N views embed"]:
    """Returns unnormalised embeddings of the N images of `source` and, with `mirrored`, of their mirror images.

    batch_size: the images that are encoded at once, at most; rounded up to a multiple of the devices.
    With `keep`, the embeddings are read from `folder` (default: the cache folder) if it has a file for the same weights
    and images, and are otherwise computed and written there.
    Raises UserError for an image that cannot be read: omitting images would change the evaluation.
    """

    def path_of() -> str:
        return str((folder or cache_folder()) / f"{_key(vision, preprocess, source, mirrored)}.safetensors")

    # The key requires reading all images, so one process makes it.
    path = Path(broadcast_from_first(path_of)) if keep else None
    if path is not None and (kept := broadcast_array_from_first(lambda: read_array(path))) is not None:
        return kept
    size = min(batch_size, len(source))
    batches = eval_batches(
        source,
        Encode(preprocess),
        batch_size=size + -size % mesh.size,
        workers=workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    encode = Views(preprocess.mean, preprocess.std, mirrored)
    features = map_batches(encode, vision, batches, mesh, total=len(source), name=name)
    if not np.isfinite(features).all():
        raise UserError(
            f"{source.origin}: the encoder's features of its pictures are not finite: its weights are damaged"
        )
    if path is not None and is_first():
        write_array(path, features)
    return features


@dataclasses.dataclass(frozen=True)
class Views:
    """A function for `map_batches` that embeds the views of a batch, [batch, views, embed]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirrored: bool

    def __call__(self, tower: VisionTower, batch: dict[str, Array]) -> Array:
        pixels = normalise_pixels(batch["image"], self.mean, self.std)
        views = (pixels, pixels[:, :, ::-1]) if self.mirrored else (pixels,)
        return jnp.stack([tower(view) for view in views], axis=1)


def _key(vision: VisionTower, preprocess: Preprocess, source: Source, mirrored: bool) -> str:
    """Returns a digest of everything that determines the embeddings: weights, preprocessing and images."""
    digest = hashlib.sha256(f"image features 4 {1 + mirrored}\0".encode())
    digest.update(f"{preprocess}{jnp.dtype(vision.dtype).name}{vision.config}\0".encode())
    for path, leaf in nnx.to_flat_state(nnx.state(vision)):
        value: Any = leaf[...]
        digest.update(f"{path}{value.shape}".encode() + np.asarray(value).tobytes())
    for row in range(len(source)):
        image = source[row]["image"]
        content = image if isinstance(image, bytes) else np.ascontiguousarray(image).tobytes()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
