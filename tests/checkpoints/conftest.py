"""Small CLIPs as their makers write them: torch models, state dicts and directories."""

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
def openai_model(torch, config):
    """OpenAI's model, written anew from its paper and its parameters' names, with random parameters."""

    class QuickGELU(torch.nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(1.702 * x)

    class MLP(torch.nn.Module):
        def __init__(self, width, mlp_width):
            super().__init__()
            self.c_fc = torch.nn.Linear(width, mlp_width)
            self.gelu = QuickGELU()
            self.c_proj = torch.nn.Linear(mlp_width, width)

        def forward(self, x):
            return self.c_proj(self.gelu(self.c_fc(x)))

    class Block(torch.nn.Module):
        def __init__(self, width, heads, mlp_width):
            super().__init__()
            self.attn = torch.nn.MultiheadAttention(width, heads, batch_first=True)
            self.ln_1, self.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
            self.mlp = MLP(width, mlp_width)

        def forward(self, x, mask):
            y = self.ln_1(x)
            x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
            return x + self.mlp(self.ln_2(x))

    class Transformer(torch.nn.Module):
        def __init__(self, part):
            super().__init__()
            blocks = [Block(part.width, part.heads, part.mlp_width) for _ in range(part.layers)]
            self.resblocks = torch.nn.ModuleList(blocks)

        def forward(self, x, mask=None):
            for block in self.resblocks:
                x = block(x, mask)
            return x

    class Vision(torch.nn.Module):
        def __init__(self, part, embed_dim):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, part.width, part.patch_size, part.patch_size, bias=False)
            self.class_embedding = torch.nn.Parameter(torch.zeros(part.width))
            self.positional_embedding = torch.nn.Parameter(torch.zeros(1 + part.patches, part.width))
            self.ln_pre, self.ln_post = torch.nn.LayerNorm(part.width), torch.nn.LayerNorm(part.width)
            self.transformer = Transformer(part)
            self.proj = torch.nn.Parameter(torch.zeros(part.width, embed_dim))

        def forward(self, x):
            x = self.conv1(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
            return self.ln_post(self.transformer(self.ln_pre(x))[:, 0]) @ self.proj

    class Model(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            text = config.text
            self.visual = Vision(config.vision, config.embed_dim)
            self.transformer = Transformer(text)
            self.token_embedding = torch.nn.Embedding(text.vocab_size, text.width)
            self.positional_embedding = torch.nn.Parameter(torch.zeros(text.context_length, text.width))
            self.ln_final = torch.nn.LayerNorm(text.width)
            self.text_projection = torch.nn.Parameter(torch.zeros(text.width, config.embed_dim))
            self.logit_scale = torch.nn.Parameter(torch.tensor(2.5))

        def encode_text(self, ids):
            x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
            mask = torch.full((ids.shape[1], ids.shape[1]), -torch.inf).triu(1)
            x = self.ln_final(self.transformer(x, mask))
            return x[torch.arange(len(x)), ids.argmax(-1)] @ self.text_projection

        def forward(self, image, text):
            return self.visual(image), self.encode_text(text)

    torch.manual_seed(0)
    model = Model(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name != "logit_scale":
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="session")
def batch(config) -> tuple[np.ndarray, np.ndarray]:
    """Normalised images [2, size, size, 3], and ids [2, 9] of which the second row ends sooner."""
    rng, size = np.random.default_rng(0), config.vision.image_size
    images = rng.standard_normal((2, size, size, 3), dtype=np.float32)
    ids = rng.integers(1, config.text.vocab_size - 1, (2, 9), dtype=np.int32)
    ids[0, -1] = ids[1, 5] = config.text.vocab_size - 1
    return images, ids


@pytest.fixture(scope="session")
def expected(torch, openai_model, batch) -> tuple[np.ndarray, np.ndarray]:
    """Image and text embeddings of `batch` by `openai_model`, scaled to length one."""
    images, ids = batch
    with torch.no_grad():
        found = openai_model(torch.tensor(images).permute(0, 3, 1, 2), torch.tensor(ids, dtype=torch.int64))
    return _unit(found[0].numpy()), _unit(found[1].numpy())


@pytest.fixture(scope="session")
def assert_embeds(batch, expected):
    """A check that a loaded CLIP embeds `batch` as the torch model does."""

    def check(clip: Clip, tolerance: float = 1e-5) -> None:
        images, ids = batch
        found = clip.vision(jnp.asarray(images)), clip.text(jnp.asarray(ids))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(_unit(np.asarray(ours)), theirs, rtol=0, atol=tolerance)

    return check


@pytest.fixture(scope="session")
def huggingface_tensors(torch, openai_model) -> dict[str, Any]:
    """`openai_model`'s weights under Hugging Face's names, torch tensors."""
    towers = {"visual.transformer.resblocks": "vision_model", "transformer.resblocks": "text_model"}
    parts = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    others = {
        "logit_scale": "logit_scale",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
        "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
        "visual.ln_post.weight": "vision_model.post_layernorm.weight",
        "visual.ln_post.bias": "vision_model.post_layernorm.bias",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "ln_final.weight": "text_model.final_layer_norm.weight",
        "ln_final.bias": "text_model.final_layer_norm.bias",
        "visual.proj": "visual_projection.weight",
        "text_projection": "text_projection.weight",
    }
    tensors = {}
    for name, value in openai_model.state_dict().items():
        tower = next((tower for tower in towers if name.startswith(f"{tower}.")), None)
        if tower is None:
            tensors[others[name]] = value.T.contiguous() if name.endswith("proj") or "projection" in name else value
            continue
        layer, part = name.removeprefix(f"{tower}.").split(".", 1)
        prefix, (part, kind) = (
            f"{towers[tower]}.encoder.layers.{layer}",
            part.replace("_proj_", "_proj.").rsplit(".", 1),
        )
        if part == "attn.in_proj":
            for head, piece in zip("qkv", value.chunk(3), strict=True):
                tensors[f"{prefix}.self_attn.{head}_proj.{kind}"] = piece.clone()
        else:
            tensors[f"{prefix}.{parts[part]}.{kind}"] = value
    return tensors


@pytest.fixture(scope="session")
def huggingface_fields(config) -> dict[str, Any]:
    """The config.json that goes with `huggingface_tensors`."""

    def tower(part, **more):
        return {
            "hidden_size": part.width,
            "num_hidden_layers": part.layers,
            "num_attention_heads": part.heads,
            "intermediate_size": part.mlp_width,
            "hidden_act": config.activation,
            **more,
        }

    text, vision = config.text, config.vision
    return {
        "model_type": "clip",
        "projection_dim": config.embed_dim,
        "text_config": tower(
            text, vocab_size=text.vocab_size, max_position_embeddings=text.context_length, eos_token_id=2
        ),
        "vision_config": tower(vision, image_size=vision.image_size, patch_size=vision.patch_size),
    }


@pytest.fixture
def huggingface_dir(tmp_path, torch, huggingface_tensors, huggingface_fields, tokenizer) -> Path:
    """A whole Hugging Face directory, to be spoilt by tests."""
    from safetensors.torch import save_file

    directory = tmp_path / "huggingface"
    directory.mkdir()
    save_file(huggingface_tensors, directory / "model.safetensors", metadata={"format": "pt"})
    write_json(directory / "config.json", huggingface_fields)
    write_json(directory / "preprocessor_config.json", preprocessor_fields(huggingface_fields))
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def openclip_dir(tmp_path, torch, openai_model, config, tokenizer) -> Path:
    """A whole OpenCLIP directory with a state dict, to be spoilt by tests."""
    directory = tmp_path / "openclip"
    directory.mkdir()
    torch.save(openai_model.state_dict(), directory / "open_clip_pytorch_model.bin")
    vision, text = dataclasses.asdict(config.vision), dataclasses.asdict(config.text)
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


def preprocessor_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """A preprocessor_config.json as OpenAI's repositories have it."""
    size = fields["vision_config"]["image_size"]
    return {
        "crop_size": size,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": size,
    }


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
