"""Frozen dual encoders, which embed images and texts in one space: a CLIP, or a file of embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from ecor_jax.checkpoints.hub import at_revision
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.clip.model import unit
from ecor_jax.data.pictures import Picture, as_list, records_of
from ecor_jax.data.records import Source
from ecor_jax.data.sources import InMemory
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.features.image_features import image_features
from ecor_jax.features.text_bank import embed_texts
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import parse_json


class DualEncoder(Protocol):
    """A frozen image encoder and a frozen text encoder with a joint embedding space."""

    scale: float
    """The factor on cosine similarities in zero-shot classification."""

    def encode_source(self, source: Source) -> Float[np.ndarray, "N embed"]:
        """Returns unnormalised float32 embeddings of a source's images, in order."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Float[np.ndarray, "N embed"]:
        """Returns unit float32 embeddings of texts, in order."""
        ...


class ClipEncoder(DualEncoder):
    """A dual encoder that runs a CLIP.

    batch_size: images encoded at once, on all devices of `mesh` (default: every device).
    keep: whether embeddings are read from and written to the cache folder.
    """

    def __init__(
        self, model: Model, *, batch_size: int = 64, mesh: Mesh | None = None, workers: int = 0, keep: bool = False
    ):
        self.model, self._keep = model, keep
        self._batch_size, self._mesh, self._workers = batch_size, mesh or make_mesh(), workers

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str = "") -> Self:
        """Loads a CLIP from a model directory (Hugging Face or OpenCLIP), hub id or shipped name such as "drawings".

        Raises UserError if it is none of them.

        revision: branch, tag or commit of a hub id; the same as "USER/NAME@REVISION".
        """
        return cls(load_clip(at_revision(str(source), revision)))

    @property
    def scale(self) -> float:
        """The factor on cosine similarities before a softmax (`Clip.scale`)."""
        return float(self.model.clip.scale())

    def encode_image(
        self, pictures: Picture | Sequence[Picture], batch_size: int | None = None
    ) -> Float[np.ndarray, "N embed"]:
        """Returns unit float32 embeddings of images, in order. Raises UserError that names unreadable images."""
        source = InMemory(records_of(as_list(pictures), Tally(), skip_bad=False), origin="the pictures to encode")
        return np.asarray(unit(jnp.asarray(self._features(source, batch_size or self._batch_size))))

    def encode_source(self, source: Source) -> Float[np.ndarray, "N embed"]:
        """Returns unnormalised float32 embeddings of a source's images, in order."""
        return self._features(source, self._batch_size)

    def _features(self, source: Source, batch_size: int) -> Float[np.ndarray, "N embed"]:
        return image_features(
            self.model.clip.vision,
            self.model.preprocess,
            source,
            mirrored=False,
            batch_size=batch_size,
            mesh=self._mesh,
            workers=self._workers,
            name="encoding images",
            keep=self._keep,
        )[:, 0]

    def encode_text(self, texts: str | Sequence[str]) -> Float[np.ndarray, "N embed"]:
        """Returns unit float32 embeddings of texts, in order. Raises UserError for a text that is too long."""
        return embed_texts(self.model, [texts] if isinstance(texts, str) else texts, keep=self._keep)


class FileEncoder(DualEncoder):
    """A dual encoder that reads embeddings of another model, such as BioViL or BioViL-T, from a file.

    The safetensors file has "images" [N, embed] and "texts" [M, embed], float32. Its metadata has, as JSON lists,
    "images", the record names, and "texts", the texts. The file may contain more rows than are used.
    Raises UserError for a file of another format; encoding raises it for names or texts that the file lacks.
    """

    scale = 100.0  # the limit of CLIP's logit scale (Radford et al. 2021, section 2.5)

    def __init__(self, path: Path):
        self.path = path
        open_regular(path).close()
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                self._rows = {
                    kind: self._checked(kind, file.get_tensor(kind), parse_json(metadata[kind], str(path)))
                    for kind in ("images", "texts")
                }
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}: not a file of embeddings ({error}); expected "images" and "texts", and names of both as JSON '
                "lists in the metadata"
            ) from error
        widths = {kind: next(iter(rows.values())).shape for kind, rows in self._rows.items()}
        if widths["images"] != widths["texts"]:
            raise UserError(f"{path}: images have shape {widths['images']} each, texts {widths['texts']}")

    def _checked(self, kind: str, rows: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f'"{kind}" in the metadata is no list of texts')
        if rows.ndim != 2 or rows.dtype != np.float32 or not len(rows) == len(set(names)) == len(names):
            raise UserError(
                f"{self.path}: {kind} of shape {rows.shape}, {rows.dtype}, with {len(set(names))} different names; "
                "expected float32 [names, embed]"
            )
        if not np.isfinite(rows).all() or not len(rows):
            raise UserError(f"{self.path}: {kind} are empty or not finite")
        return dict(zip(names, rows, strict=True))

    def encode_source(self, source: Source) -> Float[np.ndarray, "N embed"]:
        return self._of("images", source.names)

    def encode_text(self, texts: Sequence[str]) -> Float[np.ndarray, "N embed"]:
        return np.asarray(unit(jnp.asarray(self._of("texts", texts))))

    def _of(self, kind: str, names: Sequence[str]) -> np.ndarray:
        rows = self._rows[kind]
        if missing := [name for name in names if name not in rows]:
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise UserError(f"{self.path}: no {kind} {', '.join(map(repr, missing[:10]))}{more}")
        return np.stack([rows[name] for name in names])
