"""Our towers against transformers' CLIPModel and SiglipModel in float32, on random weights of the published shapes."""

import dataclasses
import gc
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.config import HUB_IDS, ClipConfig, preset
from ecor_jax.clip.model import Clip

torch = pytest.importorskip("torch")

TOLERANCE = 1e-5
EOT = 49407
SHORTENED = [
    "openai/ViT-B-32",
    "datacomp1b/ViT-B-16",
    "openai/ViT-L-14",
    "siglip/ViT-B-16",
    "siglip/ViT-SO400M-14-384",
]
"""Of these the suite takes the first layers alone: every size but the depth is the published one."""
SLOW = [
    *SHORTENED,
    "openai/ViT-B-16",
    "laion2b/ViT-L-14",
    "openai/ViT-L-14-336",
    "laion2b/ViT-H-14",
    "dfn5b/ViT-H-14-quickgelu",
    "dfn5b/ViT-H-14-378-quickgelu",
    *(name for name in HUB_IDS.values() if name.startswith("siglip") and name not in SHORTENED),
]


def shortened(config: ClipConfig) -> ClipConfig:
    vision, text = (dataclasses.replace(tower, layers=3) for tower in (config.vision, config.text))
    return dataclasses.replace(config, vision=vision, text=text)


CASES = {
    **{f"{name}, 3 layers": shortened(preset(name)) for name in SHORTENED},
    **{name: preset(name) for name in SLOW},
}


@pytest.mark.optimized
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES]
)
def test_embeddings_are_those_of_pytorch(name, transformers_clip, clip_of, record_property):
    config = CASES[name]
    reference = transformers_clip(config)
    clip = clip_of(config, weights_of(reference))
    differences = {"image": image_difference(reference, clip, images=2 if "ViT-B" in name else 1)}
    if config.text.padded:
        ids = np.random.default_rng(1).integers(0, config.text.vocab_size, (3, config.text.context_length), np.int32)
        differences["text"] = text_difference(reference, clip, ids)
    # OpenAI's convention pads with anything below EOT; newer ones pad with EOT itself: the first counts.
    for eot_id, padding in () if config.text.padded else ((None, 0), (EOT, EOT)):
        reference.text_model.eos_token_id = 2 if eot_id is None else eot_id
        clip.text.eot_id = eot_id
        ids = ragged_texts(config.text.context_length, padding)
        convention = "largest" if eot_id is None else "first"
        differences[f"text, EOT {convention}"] = text_difference(reference, clip, ids)
    for part, difference in differences.items():
        record_property(part, difference)
        print(f"{name}: {part}: {difference:.1e}")
    del reference, clip
    gc.collect()
    assert max(differences.values()) <= TOLERANCE


def test_the_wrong_activation_shows(transformers_clip, clip_of):
    # Otherwise the comparison above would prove nothing about it.
    config = preset("tiny/16-8")
    reference = transformers_clip(config)
    clip = clip_of(config, weights_of(reference))
    assert image_difference(reference, clip, images=2) <= TOLERANCE
    clip.vision.transformer.last.activation = "quick_gelu"
    assert image_difference(reference, clip, images=2) > 100 * TOLERANCE


def weights_of(reference: Any) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in reference.state_dict().items()}


def image_difference(reference: Any, clip: Clip, images: int) -> float:
    size = clip.config.vision.image_size
    pixels = np.random.default_rng(0).standard_normal((images, size, size, 3), dtype=np.float32)
    with torch.no_grad():
        expected = reference.get_image_features(pixel_values=torch.tensor(pixels).permute(0, 3, 1, 2))
    return largest_difference(np.asarray(embed(clip.vision, pixels)), expected.pooler_output.numpy())


def text_difference(reference: Any, clip: Clip, ids: np.ndarray) -> float:
    with torch.no_grad():
        expected = reference.get_text_features(input_ids=torch.tensor(ids, dtype=torch.int64))
    return largest_difference(np.asarray(embed(clip.text, ids)), expected.pooler_output.numpy())


@jax.jit
def embed(tower: nnx.Module, inputs: np.ndarray):
    return tower(inputs)  # type: ignore


def ragged_texts(context_length: int, padding: int) -> np.ndarray:
    """Random texts of 3 tokens to the whole context, EOT last, padded to the longest."""
    rng, lengths = np.random.default_rng(1), (3, 8, 20, context_length)
    ids = np.full((len(lengths), context_length), padding, np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[length - 1] = EOT - 1, EOT
        row[1 : length - 1] = rng.integers(1, EOT - 1, length - 2)
    return ids


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Of the embeddings scaled to length one, over all rows and dimensions."""
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (found, expected)]
    assert found.shape == expected.shape and found.dtype == np.float32
    return float(np.max(np.abs(unit[0] - unit[1])))
