"""Texts to embeddings: each one encoded once, cut after EOT, kept on disk and never trusted when it does not fit."""

import functools
import hashlib
from collections.abc import Callable, Sequence
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
from ecor_jax.clip.text import TextTower, eot_positions
from ecor_jax.clip.tokenizer import tokenize
from ecor_jax.errors import UserError

SHARD = 4096
"""Texts of a file: what is lost at most when encoding is stopped, and all that is tokenized at once."""
ROWS = 256
"""Texts of one call of the tower."""


def embed_texts(model: Model, texts: Sequence[str], folder: Path | None = None) -> Float[np.ndarray, "texts embed"]:
    """Unit embeddings of `texts` in their order, float32.

    Each SHARD of them is read from `folder` (default `cache_folder()`) if a file there was made by the same weights and
    tokenizer of the same texts and its content is what was written; else computed and kept there. A shard depends on
    nothing but its texts, so encoding that was stopped goes on to the same bits.
    UserError for a text that is empty or longer than the text tower reads, and for embeddings that are not finite.
    """
    folder = folder or cache_folder()
    distinct, digest = list(dict.fromkeys(texts)), _digest_of(model)
    bank = np.empty((len(distinct), model.clip.config.embed_dim), np.float32)
    with tqdm(total=len(distinct), desc="encoding texts", unit="text", mininterval=1, delay=1) as bar:
        for start in range(0, len(distinct), SHARD):
            shard = distinct[start : start + SHARD]
            path = folder / _file_name(digest, shard)
            embeddings = read_array(path)
            if embeddings is None:
                embeddings = _encode(model, shard, bar.update)
                if not np.isfinite(embeddings).all():
                    raise UserError(f"{model.path}: its embeddings of texts are not finite: the weights are damaged")
                write_array(path, embeddings)
            else:
                bar.update(len(shard))
            bank[start : start + SHARD] = embeddings
    if len(distinct) == len(texts):
        return bank
    number = {text: number for number, text in enumerate(distinct)}
    return bank[[number[text] for text in texts]]


@functools.partial(jax.jit, static_argnums=0)
def _unit_embeddings(
    graph: nnx.GraphDef, weights: nnx.State, ids: Int[Array, "rows tokens"]
) -> Float[Array, "rows embed"]:
    tower: TextTower = nnx.merge(graph, weights)
    return unit(tower(ids))


def _encode(model: Model, texts: Sequence[str], done: Callable[[int], Any]) -> Float[np.ndarray, "texts embed"]:
    """`done` is told of as many texts as their share of the tokens: they are encoded from short to long."""
    config = model.clip.config
    ids = tokenize(model.tokenizer, texts, config.text.context_length)
    lengths = np.asarray(eot_positions(jnp.asarray(ids), config.text.eot_id)) + 1
    graph, weights = nnx.split(model.clip.text)
    # Texts of like length together: the tower is causal and read at EOT, what follows is dead weight.
    order = np.argsort(lengths, kind="stable")
    embeddings = np.empty((len(texts), config.embed_dim), np.float32)
    reached = np.diff(np.round(np.cumsum(lengths[order]) / lengths.sum() * len(texts)).astype(int), prepend=0)
    # Few widths, and one height, a power of two, but for the last shard's: so few programs to compile.
    height = min(ROWS, 1 << (len(texts) - 1).bit_length())
    for start in range(0, len(texts), ROWS):
        rows = order[start : start + ROWS]
        width = min(-(-int(lengths[rows].max()) // 8) * 8, config.text.context_length)
        batch = np.zeros((height, width), np.int32)
        batch[: len(rows), : ids.shape[1]] = ids[rows, :width]
        embeddings[rows] = np.asarray(_unit_embeddings(graph, weights, jnp.asarray(batch)))[: len(rows)]
        done(int(reached[start : start + ROWS].sum()))
    return embeddings


def _digest_of(model: Model) -> Any:
    """A sha256 that changes with anything of the model that changes the embeddings; texts are still to come."""
    digest = hashlib.sha256(b"text bank 3\0")
    digest.update(model.digest.encode())
    # By its name: what a config calls "float32" is the same as jnp.float32.
    digest.update(jnp.dtype(model.clip.text.dtype).name.encode())
    backend: Any = model.tokenizer.backend_tokenizer
    digest.update(backend.to_str().encode())
    return digest


def _file_name(model: Any, texts: Sequence[str]) -> str:
    digest = model.copy()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return f"{digest.hexdigest()}.safetensors"
