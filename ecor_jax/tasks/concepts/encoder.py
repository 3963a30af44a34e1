"""What a bottleneck needs of a dual encoder, and the two kinds there are: a CLIP, and a file of embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.model import unit
from ecor_jax.data.records import Source
from ecor_jax.errors import UserError
from ecor_jax.image_features import image_features
from ecor_jax.text_bank import embed_texts
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import parse_json


class DualEncoder(Protocol):
    """Images and texts in one space; both encoders are frozen."""

    scale: float
    """What zero-shot classification multiplies cosines with."""

    def images(self, source: Source) -> Float[np.ndarray, "images embed"]:
        """Features before normalisation, in the order of the source."""
        ...

    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
        """Unit embeddings."""
        ...


class ClipEncoder(DualEncoder):
    """A CLIP, from any checkpoint that `ecor-jax convert` reads."""

    def __init__(self, model: Model, *, batch_size: int, mesh: Mesh, workers: int = 0):
        self.model, self._batch_size, self._mesh, self._workers = model, batch_size, mesh, workers
        self.scale = float(model.clip.scale())

    def images(self, source: Source) -> Float[np.ndarray, "images embed"]:
        return image_features(
            self.model.clip.vision,
            self.model.preprocess,
            source,
            mirrored=False,
            batch_size=self._batch_size,
            mesh=self._mesh,
            workers=self._workers,
            name="encoding images",
        )[:, 0]

    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
        return embed_texts(self.model, texts)


class FileEncoder(DualEncoder):
    """Embeddings that another program made, as of BioViL or BioViL-T, whose towers are no CLIP's.

    A safetensors file with "images" [N, embed] and "texts" [M, embed], float32, and in its metadata, as JSON lists,
    "images", the records' names, and "texts", the texts. The N and M rows may hold more than is asked for.
    UserError for a file of another form, and, when asked, for names or texts that it does not hold.
    """

    scale = 100.0  # the largest of CLIP's (Radford et al. 2021, section 2.5)

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

    def images(self, source: Source) -> Float[np.ndarray, "images embed"]:
        return self._of("images", source.names)

    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
        return np.asarray(unit(jnp.asarray(self._of("texts", texts))))

    def _of(self, kind: str, names: Sequence[str]) -> np.ndarray:
        rows = self._rows[kind]
        if missing := [name for name in names if name not in rows]:
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise UserError(f"{self.path}: no {kind} {', '.join(map(repr, missing[:10]))}{more}")
        return np.stack([rows[name] for name in names])
