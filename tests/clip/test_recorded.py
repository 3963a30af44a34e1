"""Our CLIP against embeddings that transformers' CLIPModel has given, where there is no PyTorch to ask it again.

They were recorded by: RENEW_GOLDEN=1 python -m pytest tests/clip/test_recorded.py
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from ecor_jax.checkpoints.model_types import CLIP
from ecor_jax.checkpoints.weights import foreign_tensors
from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip

RECORDED = Path(__file__).with_name("recorded.json")
CONFIG = preset("tiny/16-8")


def drawn() -> dict[str, np.ndarray]:
    """Weights under the names that CLIPModel has for them, none of which is zero or one."""
    rng, tensors = np.random.default_rng(0), {}
    for name, value in foreign_tensors(Clip(CONFIG, rngs=nnx.Rngs(0)), CLIP.entries).items():
        numbers = rng.standard_normal(value.shape, np.float32)
        if value.ndim < 2:
            tensors[name] = 0.1 * numbers + (0 if name.endswith("bias") else 1)
        else:
            tensors[name] = numbers * np.float32(np.prod(value.shape[1:]) ** -0.5)
    return tensors


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [2, size, size, 3], and ids of two texts of different lengths, EOT being the largest."""
    rng, size, text = np.random.default_rng(1), CONFIG.vision.image_size, CONFIG.text
    ids = rng.integers(1, text.vocab_size - 2, (2, text.context_length)).astype(np.int32)
    ids[0, 5], ids[0, 6:], ids[1, -1] = text.vocab_size - 1, 0, text.vocab_size - 1
    return rng.standard_normal((2, size, size, 3), np.float32), ids


def reference(make_model) -> dict[str, list[list[float]]]:
    import torch

    model, (pixels, ids) = make_model(CONFIG), inputs()
    model.load_state_dict({name: torch.tensor(value) for name, value in drawn().items()})
    with torch.no_grad():
        image = model.get_image_features(pixel_values=torch.tensor(pixels).permute(0, 3, 1, 2)).pooler_output
        text = model.get_text_features(input_ids=torch.tensor(ids, dtype=torch.int64)).pooler_output
    return {"image": image.tolist(), "text": text.tolist()}


def test_what_is_recorded_is_what_transformers_gives(transformers_clip):
    found = reference(transformers_clip)
    if os.environ.get("RENEW_GOLDEN"):
        RECORDED.write_text(json.dumps(found) + "\n")
    for name, expected in json.loads(RECORDED.read_text()).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.smoke
def test_embeddings_are_those_recorded(clip_of):
    clip, (pixels, ids) = clip_of(CONFIG, drawn()), inputs()
    expected = json.loads(RECORDED.read_text())
    for found, name in ((nnx.jit(clip.vision)(pixels), "image"), (nnx.jit(clip.text)(ids), "text")):
        scale = np.linalg.norm(expected[name], axis=1, keepdims=True)
        np.testing.assert_allclose(np.asarray(found) / scale, expected[name] / scale, atol=1e-5)
