"""Small CLIPs and SigLIPs as their makers write them: directories of Hugging Face and OpenCLIP, tensors of OpenAI."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.checkpoints import openclip
from ecor_jax.checkpoints.sentencepiece import sentencepiece_tokenizer
from ecor_jax.clip.config import SIGLIP_TEXT, SIGLIP_VISION, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.tokenizer import learn_tokenizer

CONTEXT = 16


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch; tests that need it are skipped without."""
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def save_file(torch) -> Callable[..., None]:
    """safetensors' writer of torch tensors."""
    from safetensors.torch import save_file

    return save_file


@pytest.fixture(scope="session")
def tokenizer():
    """A tokenizer of about 260 tokens, EOT the last."""
    return learn_tokenizer(["a dog with four legs", "a cat, because there is a tail"], 264, CONTEXT)


@pytest.fixture(scope="session")
def config(tokenizer) -> ClipConfig:
    """A small shape in which no two sizes are equal by accident; heads are 64 wide, as OpenAI's are."""
    vision = VisionConfig(image_size=24, patch_size=8, width=128, layers=3, heads=2, mlp_width=96)
    text = TextConfig(len(tokenizer), CONTEXT, width=64, layers=2, heads=1, mlp_width=160)
    return ClipConfig(vision, text, embed_dim=48, activation="quick_gelu")


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
    "text_model.head": "text_projection",
    "layer_norm": "ln_",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.q_proj.": "attn.in_proj_",
    "self_attn": "attn",
}
POOL = "visual.trunk.attn_pool"
TIMM_NAMES = {
    "vision_model.embeddings.patch_embedding": "visual.trunk.patch_embed.proj",
    "vision_model.embeddings.position_embedding.weight": "visual.trunk.pos_embed",
    "vision_model.encoder.layers": "visual.trunk.blocks",
    "vision_model.post_layernorm": "visual.trunk.norm",
    "vision_model.head.probe": f"{POOL}.latent",
    "vision_model.head.attention.out_proj": f"{POOL}.proj",
    "vision_model.head.layernorm": f"{POOL}.norm",
    "vision_model.head": POOL,
    "layer_norm": "norm",
    "self_attn.out_proj": "attn.proj",
    "self_attn.q_proj.": "attn.qkv.",
}


def renamed(torch, tensors: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """By replacements in their order; queries, keys and values become one matrix."""
    found = {}
    for name, value in tensors.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            value = torch.cat([tensors[name.replace(".q_", f".{letter}_")] for letter in "qkv"])
        for before, after in names.items():
            name = name.replace(before, after)
        found[name] = value
    return found


@pytest.fixture(scope="session")
def openai_tensors(torch, huggingface_tensors) -> dict[str, Any]:
    """The same under OpenAI's names; the projections lie the other way."""
    tensors = renamed(torch, huggingface_tensors, OPENAI_NAMES)
    return tensors | {name: tensors[name].T.contiguous() for name in ("visual.proj", "text_projection")}


def embeds_as(torch, reference, config: ClipConfig, ids: np.ndarray) -> Callable[[Clip], None]:
    """A check that a loaded CLIP embeds two images and `ids`, and scores their pairs, as the torch model does."""
    size = config.vision.image_size
    images = np.random.default_rng(0).standard_normal((2, size, size, 3), dtype=np.float32)
    with torch.no_grad():
        pixels = torch.tensor(images).permute(0, 3, 1, 2)
        theirs = reference(input_ids=torch.tensor(ids, dtype=torch.int64), pixel_values=pixels)

    def check(clip: Clip) -> None:
        found = [np.asarray(clip.vision(jnp.asarray(images))), np.asarray(clip.text(jnp.asarray(ids)))]
        image, text = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in found)
        np.testing.assert_allclose(image, theirs.image_embeds.numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(text, theirs.text_embeds.numpy(), rtol=0, atol=1e-5)
        assert clip.logit_scale[...].item() == reference.logit_scale.item()
        bias = clip.logit_bias[...] if config.logit_bias else 0
        logits = float(clip.scale()) * image @ text.T + bias
        np.testing.assert_allclose(logits, theirs.logits_per_image.numpy(), rtol=0, atol=2e-3)

    return check


@pytest.fixture(scope="session")
def assert_embeds(torch, reference, config) -> Callable[[Clip], None]:
    """The second text ends sooner."""
    ids = np.random.default_rng(1).integers(1, config.text.vocab_size - 1, (2, 9), dtype=np.int32)
    ids[0, -1] = ids[1, 5] = config.text.vocab_size - 1
    return embeds_as(torch, reference, config, ids)


@pytest.fixture(scope="session")
def openai_preprocessing() -> dict[str, Any]:
    """A preprocessor_config.json as OpenAI's repositories have it."""
    steps = {"do_resize": True, "size": 224, "resample": 3, "do_center_crop": True, "crop_size": 224}
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    colours = {"do_normalize": True, "image_mean": mean, "image_std": std}
    return {"feature_extractor_type": "CLIPFeatureExtractor"} | steps | colours


@pytest.fixture
def huggingface_dir(tmp_path, reference, tokenizer, openai_preprocessing) -> Path:
    """A whole Hugging Face directory, to be spoilt by tests."""
    directory = tmp_path / "huggingface"
    reference.save_pretrained(directory)
    write_json(directory / "preprocessor_config.json", openai_preprocessing | {"size": 24, "crop_size": 24})
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def openclip_dir(tmp_path, torch, openai_tensors, tokenizer) -> Path:
    """A whole OpenCLIP directory with a state dict, to be spoilt by tests."""
    directory = tmp_path / "openclip"
    directory.mkdir()
    torch.save(openai_tensors, directory / "open_clip_pytorch_model.bin")
    vision = {"image_size": 24, "patch_size": 8, "width": 128, "layers": 3, "head_width": 64, "mlp_ratio": 0.75}
    text = {"vocab_size": len(tokenizer), "context_length": CONTEXT, "width": 64, "layers": 2, "heads": 1}
    model = {"embed_dim": 48, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text | {"mlp_ratio": 2.5}}
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
    write_json(directory / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    tokenizer.save_pretrained(directory)
    return directory


CAPTIONS = [
    "A photo of a dog, because there is a wet nose!",
    "this is a photo of a cat because of its whiskers.",
    "four legs and a long tail; grey seals have flippers (two of them)",
    "Schnurrhaare über \u00bd Maul, d\u2019accord \ufb01n",
]


@pytest.fixture(scope="session")
def captions() -> list[str]:
    return CAPTIONS


@pytest.fixture(scope="session")
def spiece(tmp_path_factory) -> Path:
    """A SentencePiece model of the captions with SigLIP's special tokens."""
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    folder = tmp_path_factory.mktemp("spiece")
    (folder / "captions.txt").write_text("\n".join(CAPTIONS * 20))
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    files = {"input": str(folder / "captions.txt"), "model_prefix": str(folder / "spiece")}
    trainer.train(**files, vocab_size=80, hard_vocab_limit=False, minloglevel=2, **special)
    return folder / "spiece.model"


@pytest.fixture(scope="session")
def siglip(spiece) -> ClipConfig:
    """A small shape in which no two sizes are equal by accident, and in which pixels at the border are not read."""
    vision = VisionConfig(26, 8, width=96, layers=3, heads=3, mlp_width=160, **SIGLIP_VISION)
    size = len(sentencepiece_tokenizer(spiece, 64))
    text = TextConfig(size, 64, width=64, layers=2, heads=2, mlp_width=112, **SIGLIP_TEXT)
    return ClipConfig(vision, text, 96, "gelu_tanh", 1e-6, logit_bias=True)


@pytest.fixture(scope="session")
def siglip_reference(transformers_clip, siglip):
    return transformers_clip(siglip)


@pytest.fixture(scope="session")
def assert_siglip_embeds(torch, siglip_reference, siglip) -> Callable[[Clip], None]:
    ids = np.random.default_rng(1).integers(0, siglip.text.vocab_size, (3, 64), dtype=np.int32)
    return embeds_as(torch, siglip_reference, siglip, ids)


@pytest.fixture
def siglip_dir(tmp_path, siglip_reference, spiece) -> Path:
    """As google/siglip-base-patch16-224 is laid out; files that others add there are left out."""
    directory = tmp_path / "siglip"
    siglip_reference.save_pretrained(directory)
    shutil.copy(spiece, directory / "spiece.model")
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    write_json(directory / "tokenizer_config.json", {"tokenizer_class": "SiglipTokenizer"} | special)
    preprocessor = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 26, "width": 26}, "resample": 2}
    write_json(directory / "preprocessor_config.json", preprocessor)
    return directory


@pytest.fixture
def timm_dir(tmp_path, torch, save_file, siglip_reference, siglip, monkeypatch) -> Path:
    """The same weights as OpenCLIP has them: queries, keys and values together, the pool's keys and values too."""
    theirs = siglip_reference.state_dict()
    vision, text = ({name: theirs[name] for name in theirs if name.startswith(tower)} for tower in ("vision", "text"))
    tensors = renamed(torch, vision, TIMM_NAMES) | {"logit_scale": theirs["logit_scale"].reshape(())}
    tensors |= {f"text.{name}": value for name, value in renamed(torch, text, OPENAI_NAMES).items()}
    tensors["logit_bias"] = theirs["logit_bias"].reshape(())
    tensors["visual.trunk.pos_embed"] = tensors["visual.trunk.pos_embed"][None]
    for kind in ("weight", "bias"):
        value = tensors.pop(f"{POOL}.attention.in_proj_{kind}")
        tensors[f"{POOL}.q.{kind}"], tensors[f"{POOL}.kv.{kind}"] = value[:96], value[96:]
    directory = tmp_path / "openclip"
    directory.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, directory / "open_clip_model.safetensors")
    shape = {"width": 96, "layers": 3, "heads": 3, "mlp_width": 160}
    monkeypatch.setitem(openclip.timm_siglip._TOWERS, "base", shape)
    monkeypatch.setattr(openclip.timm_siglip, "_NAME", re.compile(r"vit_(base)_patch(8)_siglip_(26)"))
    of_text = {"context_length": 64, "vocab_size": siglip.text.vocab_size, "width": 64, "heads": 2, "layers": 2}
    of_text |= {"mlp_ratio": 112 / 64, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    of_text |= {"hf_tokenizer_name": "timm/x", "tokenizer_kwargs": {"clean": "canonicalize"}}
    of_text |= {"norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
    of_vision = {"image_size": 26, "timm_model_name": "vit_base_patch8_siglip_26", "timm_model_pretrained": False}
    of_vision |= {"timm_pool": "map", "timm_proj": "none"}
    model = {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True}
    model |= {"vision_cfg": of_vision, "text_cfg": of_text}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    write_json(directory / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    return directory


@pytest.fixture
def edit_json():
    """edit_json(path, "a.b", value): sets a field of a JSON file; `...` deletes it."""

    def edit(path: Path, key: str, value: Any) -> None:
        node = fields = json.loads(path.read_text())
        *parents, last = key.split(".")
        for parent in parents:
            node = node[parent]
        node[last] = value
        if value is ...:
            del node[last]
        write_json(path, fields)

    return edit


def write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields))
