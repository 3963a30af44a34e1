"""A CLIP's towers, and each text alone through them."""

import numpy as np
import pytest
from flax import nnx

from ecor_jax.checkpoints.model_dir import Model, load_clip


@pytest.fixture(scope="session")
def model(tiny_clip) -> Model:
    return load_clip(tiny_clip)


@pytest.fixture(scope="session")
def alone():
    """Embeddings of length one, float64: each text in a row of its own, through the plain tower."""
    plain = nnx.jit(lambda tower, ids: tower(ids))

    def encode(tower, texts: list[list[int]], fill: int) -> np.ndarray:
        """In the whole context, padded with `fill`, as many rows for all tests."""
        ids = np.full((48, len(tower.position_embedding[...])), fill, np.int32)
        for row, text in zip(ids, texts, strict=False):
            row[: len(text)] = text
        rows = np.asarray(plain(tower, ids), np.float64)[: len(texts)]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return encode
