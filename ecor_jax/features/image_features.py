"""Features of all images of a set, and of their mirror images, kept on disk so that a second look is free."""

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
    """Unnormalised features of the N pictures of `source`: as they are and, with `mirrored`, of their mirror images.

    Read from `folder` (default the cache folder) if made there by the same weights of the same pictures, unless
    `keep` is false: then they are computed, and not written.
    UserError names a picture that cannot be read: none can be left out without changing what is measured.
    """

    def path_of() -> Path:
        return (folder or cache_folder()) / f"{_key(vision, preprocess, source, mirrored)}.safetensors"

    # All pictures are read for the key, by one process.
    path = broadcast_from_first(path_of) if keep else None
    if path is not None and (kept := broadcast_array_from_first(lambda: read_array(path))) is not None:
        return kept
    batches = eval_batches(
        source,
        Encode(preprocess),
        batch_size=batch_size,
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
    """Features of a batch [batch, views, embed]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirrored: bool

    def __call__(self, tower: VisionTower, batch: dict[str, Array]) -> Array:
        pixels = normalise_pixels(batch["image"], self.mean, self.std)
        views = (pixels, pixels[:, :, ::-1]) if self.mirrored else (pixels,)
        return jnp.stack([tower(view) for view in views], axis=1)


def _key(vision: VisionTower, preprocess: Preprocess, source: Source, mirrored: bool) -> str:
    """Changes with anything that changes the features."""
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
