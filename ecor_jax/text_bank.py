"""Texts to embeddings: each one encoded once, cut after EOT, kept on disk and never trusted when it does not fit."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from ecor_jax.array_cache import cache_folder, read_array, write_array
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.model import unit
from ecor_jax.clip.text import TextTower
from ecor_jax.clip.tokenizer import tokenize

ROWS = 256
"""Texts of one call of the tower."""


def embed_texts(model: Model, texts: Sequence[str], folder: Path | None = None) -> Float[np.ndarray, "texts embed"]:
    """Unit embeddings of `texts` in their order, float32.

    Read from `folder` (default `cache_folder()`) if a file there was made by the same weights and tokenizer of the
    same texts and its content is what was written; else computed and kept there.
    UserError for a text that is empty or longer than the text tower reads.
    """
    folder = folder or cache_folder()
    distinct = list(dict.fromkeys(texts))
    path = folder / f"{_key(model, distinct)}.safetensors"
    bank = read_array(path)
    if bank is None:
        bank = _encode(model, distinct)
        write_array(path, bank)
    if len(distinct) == len(texts):
        return bank
    row = {text: number for number, text in enumerate(distinct)}
    return bank[[row[text] for text in texts]]


def _encode(model: Model, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
    config = model.clip.config
    ids = tokenize(model.tokenizer, texts, config.text.context_length)
    lengths = _eot(ids, config.text.eot_id) + 1
    graph, weights = nnx.split(model.clip.text)

    @jax.jit
    def encode(weights: nnx.State, ids: Int[Array, "rows tokens"]) -> Float[Array, "rows embed"]:
        tower: TextTower = nnx.merge(graph, weights)
        return unit(tower(ids))

    # Texts of like length together: the tower is causal and read at EOT, what follows is dead weight.
    order = np.argsort(lengths, kind="stable")
    bank = np.empty((len(texts), config.embed_dim), np.float32)
    bar = tqdm(total=len(texts), desc="encoding texts", unit="text", mininterval=1)
    with bar:
        for start in range(0, len(texts), ROWS):
            rows = order[start : start + ROWS]
            # Few widths and one height, so few programs to compile.
            width = min(-(-int(lengths[rows].max()) // 8) * 8, config.text.context_length)
            batch = np.zeros((min(ROWS, _power_of_two(len(texts))), width), np.int32)
            part = ids[rows, :width]
            batch[: len(rows), : part.shape[1]] = part
            bank[rows] = np.asarray(encode(weights, jnp.asarray(batch)))[: len(rows)]
            bar.update(len(rows))
    return bank


def _eot(ids: Int[np.ndarray, "texts tokens"], eot_id: int | None) -> Int[np.ndarray, "texts"]:
    return np.argmax(ids if eot_id is None else ids == eot_id, axis=1)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _key(model: Model, texts: Sequence[str]) -> str:
    """Changes with anything that changes the embeddings."""
    digest = hashlib.sha256(b"text bank 2\0")
    digest.update(model.digest.encode())
    digest.update(str(model.clip.text.dtype).encode())
    backend: Any = model.tokenizer.backend_tokenizer
    digest.update(backend.to_str().encode())
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
