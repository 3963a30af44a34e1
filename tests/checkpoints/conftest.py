"""A small CLIP as its makers write it: Hugging Face's, OpenAI's and OpenCLIP's tensors and directories."""

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.clip.config import ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.tokenizer import learn_tokenizer

CONTEXT = 16


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch; tests that need it are skipped without."""
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def tokenizer():
    """A tokenizer of about 260 tokens, EOT the last."""
    return learn_tokenizer(["a dog with four legs", "a cat, because there is a tail"], 264, CONTEXT)


@pytest.fixture(scope="session")
def config(tokenizer) -> ClipConfig:
    """A small shape in which no two sizes are equal by accident; heads are 64 wide, as OpenAI's are."""
    return ClipConfig(
        VisionConfig(image_size=24, patch_size=8, width=128, layers=3, heads=2, mlp_width=96),
        TextConfig(len(tokenizer), CONTEXT, width=64, layers=2, heads=1, mlp_width=160),
        embed_dim=48,
        activation="quick_gelu",
    )


@pytest.fixture(scope="session")
def reference(transformers_clip, config):
    """transformers' model of that shape."""
    return transformers_clip(config)


@pytest.fixture(scope="session")
def huggingface_tensors(reference) -> dict[str, Any]:
    """The reference's weights under Hugging Face's names, torch tensors."""
    return reference.state_dict()


OPENAI_NAMES = {
    "vision_model.encoder.layers": "visual.transformer.resblocks",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding": "visual.conv1",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
    "visual_projection.weight": "visual.proj",
    "text_model.encoder.layers": "transformer.resblocks",
    "text_model.embeddings.token_embedding": "token_embedding",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_projection.weight": "text_projection",
    "layer_norm": "ln_",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.q_proj.": "attn.in_proj_",
    "self_attn": "attn",
}


@pytest.fixture(scope="session")
def openai_tensors(torch, huggingface_tensors) -> dict[str, Any]:
    """The same under OpenAI's names: queries, keys and values are one matrix, the projections lie the other way."""
    tensors = {}
    for name, value in huggingface_tensors.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            value = torch.cat([huggingface_tensors[name.replace(".q_", f".{letter}_")] for letter in "qkv"])
        if name in ("visual_projection.weight", "text_projection.weight"):
            value = value.T.contiguous()
        for theirs, openais in OPENAI_NAMES.items():
            name = name.replace(theirs, openais)
        tensors[name] = value
    return tensors


@pytest.fixture(scope="session")
def batch(config) -> tuple[np.ndarray, np.ndarray]:
    """Normalised images [2, size, size, 3], and ids [2, 9] of which the second row ends sooner."""
    rng, size = np.random.default_rng(0), config.vision.image_size
    images = rng.standard_normal((2, size, size, 3), dtype=np.float32)
    ids = rng.integers(1, config.text.vocab_size - 1, (2, 9), dtype=np.int32)
    ids[0, -1] = ids[1, 5] = config.text.vocab_size - 1
    return images, ids


@pytest.fixture(scope="session")
def assert_embeds(torch, reference, batch):
    """A check that a loaded CLIP embeds `batch` as the torch model does, both scaled to length one."""
    images, ids = batch
    with torch.no_grad():
        outputs = (
            reference.get_image_features(pixel_values=torch.tensor(images).permute(0, 3, 1, 2)),
            reference.get_text_features(input_ids=torch.tensor(ids, dtype=torch.int64)),
        )
    expected = [_unit(output.pooler_output.numpy()) for output in outputs]

    def check(clip: Clip) -> None:
        embeddings = clip.vision(jnp.asarray(images)), clip.text(jnp.asarray(ids))
        for ours, theirs in zip(embeddings, expected, strict=True):
            np.testing.assert_allclose(_unit(np.asarray(ours)), theirs, rtol=0, atol=1e-5)
        assert float(clip.logit_scale[...]) == reference.logit_scale.item()

    return check


@pytest.fixture(scope="session")
def openai_preprocessing() -> dict[str, Any]:
    """A preprocessor_config.json as OpenAI's repositories have it."""
    return {
        "crop_size": 224,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": 224,
    }


@pytest.fixture
def huggingface_dir(tmp_path, reference, tokenizer, openai_preprocessing) -> Path:
    """A whole Hugging Face directory, to be spoilt by tests."""
    directory, size = tmp_path / "huggingface", reference.config.vision_config.image_size
    reference.save_pretrained(directory)
    write_json(directory / "preprocessor_config.json", openai_preprocessing | {"size": size, "crop_size": size})
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def openclip_dir(tmp_path, torch, openai_tensors, config, tokenizer) -> Path:
    """A whole OpenCLIP directory with a state dict, to be spoilt by tests."""
    directory = tmp_path / "openclip"
    directory.mkdir()
    torch.save(openai_tensors, directory / "open_clip_pytorch_model.bin")
    vision, text = (
        {field.name: getattr(tower, field.name) for field in dataclasses.fields(tower) if not field.kw_only}
        for tower in (config.vision, config.text)
    )
    vision["mlp_ratio"], text["mlp_ratio"] = (tower.pop("mlp_width") / tower["width"] for tower in (vision, text))
    vision["head_width"] = vision["width"] // vision.pop("heads")
    del text["eot_id"]
    model = {"embed_dim": config.embed_dim, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
    write_json(directory / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def edit_json():
    """edit_json(path, "a.b", value): sets a field of a JSON file; `...` deletes it."""

    def edit(path: Path, key: str, value: Any) -> None:
        fields = json.loads(path.read_text())
        *parents, last = key.split(".")
        node = fields
        for parent in parents:
            node = node[parent]
        if value is ...:
            del node[last]
        else:
            node[last] = value
        write_json(path, fields)

    return edit


def write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
