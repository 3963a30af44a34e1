"""Every family of `checkpoints.families`: its command on random weights of its shape, or its refusal."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from ecor_jax.checkpoints import families, openai, timm_siglip
from ecor_jax.checkpoints.families import FAMILIES, REFUSED, as_page
from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import foreign_tensors, weights_digest
from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.commands import cli, convert
from ecor_jax.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "weights.md"
DEPTH = 2
"""Layers of the towers here: every other size is the published one, but for the vocabulary, which is a tenth."""


def test_the_page_is_made_from_the_table():
    assert PAGE.read_text() == as_page()


def model_of(name: str, activation: str) -> tuple[Clip, PreTrainedTokenizerFast]:
    """A CLIP of random weights of a preset's shape, and a tokenizer of as many tokens."""
    config = preset(name)
    size = config.text.vocab_size if "siglip" not in name else config.text.vocab_size // 10
    vision = dataclasses.replace(config.vision, layers=DEPTH)
    text = dataclasses.replace(config.text, layers=DEPTH, vocab_size=size)
    if activation != "as timm's":
        config = dataclasses.replace(config, activation=activation)
    words = {f"w{number}": number for number in range(size - 4)} | {"a": size - 4, "[UNK]": size - 3}
    words |= {"<start>": size - 2, "<end>": size - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    special = [("<start>", size - 2), ("<end>", size - 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=special)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", unk_token="[UNK]")
    return Clip(dataclasses.replace(config, vision=vision, text=text), rngs=nnx.Rngs(0)), fast


def published(clip: Clip, family: families.Family, directory: Path) -> Path:
    """The weights in the form and under the names of the family."""
    config, siglip = clip.config, clip.config.text.padded
    tensors = foreign_tensors(clip, timm_siglip.ENTRIES if siglip else openai.ENTRIES)
    directory.mkdir()
    if family.form == "file":
        if not family.options.startswith("--activation"):  # OpenAI's own say their sizes
            tensors |= {name: np.ones(1, np.int64) for name in openai.IGNORABLE}
        save_file(tensors, directory / "weights.safetensors")
        return directory / "weights.safetensors"
    save_file(tensors, directory / "open_clip_model.safetensors")
    vision, text = config.vision, config.text
    of_text = {"context_length": text.context_length, "vocab_size": text.vocab_size, "width": text.width}
    of_text |= {"heads": text.heads, "layers": text.layers, "mlp_ratio": text.mlp_width / text.width}
    if siglip:
        of_vision = {"image_size": vision.image_size, "timm_model_name": "vit_base_patch16_siglip_224"}
        of_vision |= {"timm_pool": "map", "timm_proj": "none"}
        of_text |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}
        fields = {"custom_text": True, "init_logit_bias": -10}
    else:
        of_vision = {"image_size": vision.image_size, "patch_size": vision.patch_size, "width": vision.width}
        of_vision |= {"layers": vision.layers, "head_width": vision.width // vision.heads}
        fields = {"quick_gelu": config.activation == "quick_gelu"}
    fields |= {"embed_dim": config.embed_dim, "vision_cfg": of_vision, "text_cfg": of_text}
    preprocess = {"resize_mode": "squash" if "square" in family.preprocessing else "shortest"}
    described = {"model_cfg": fields, "preprocess_cfg": preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(described))
    return directory


QUICK = ("SigLIP and 2, OpenCLIP's",)
"""Tried whenever the suite runs; the other forms are, too, by other tests."""


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=[] if family.name in QUICK else [pytest.mark.slow], id=family.name)
        for family in FAMILIES
    ],
)
def test_a_family_is_read_by_its_command(family, tmp_path, monkeypatch, capsys):
    clip, tokenizer = model_of(family.shape, family.activation)
    if "timm" in family.activation:
        shape = timm_siglip._TOWERS["base"] | {"layers": DEPTH}
        monkeypatch.setitem(timm_siglip._TOWERS, "base", shape)
        clip = Clip(dataclasses.replace(clip.config, activation="gelu"), rngs=nnx.Rngs(0))
    tokenizer.save_pretrained(tmp_path / "models" / "l14")
    if family.form == "huggingface":
        resize = "squash" if "square" in family.preprocessing else "shortest"
        source = tmp_path / "source"
        save_clip(source, clip, tokenizer, Preprocess(clip.config.vision.image_size, resize=resize))
    else:
        source = published(clip, family, tmp_path / "source")
        tokenizer.save_pretrained(tmp_path / "source")
    command = family.command.split()
    monkeypatch.chdir(tmp_path)
    arguments = [one.replace(family.source, str(source)) for one in command[2:]]
    convert.main(cli.parse(convert.parser(), arguments))
    assert weights_digest(clip) in capsys.readouterr().out
    model = load_clip(tmp_path / "DIR")
    assert model.clip.config == clip.config
    assert family.activation in (model.clip.config.activation, "as timm's")
    way = {"square": "squash", "shorter": "shortest", "longer": "longest"}
    assert model.preprocess.resize == way[family.preprocessing.replace(",", "").split()[0]]


# What their configurations say, in few words.
CONFIGS = {
    "SigLIP 2 NaFlex": {"config.json": {"model_type": "siglip2"}},
    "MetaCLIP 2": {"config.json": {"model_type": "metaclip_2"}},
    "CLIPA": {"open_clip_config.json": {"vision_cfg": {"no_ln_pre": True, "pool_type": "avg"}, "text_cfg": {}}},
    "BiomedCLIP": {
        "open_clip_config.json": {
            "vision_cfg": {"timm_model_name": "vit_base_patch16_224"},
            "text_cfg": {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"},
        }
    },
    "EVA-02 CLIP": {"open_clip_config.json": {"vision_cfg": {"timm_model_name": "eva02_base_patch16_clip_224"}}},
    "PE-Core": {"open_clip_config.json": {"vision_cfg": {"timm_model_name": "vit_pe_core_base_patch16_224"}}},
    "TIPSv2": {"config.json": {"model_type": "tipsv2", "auto_map": {"AutoModel": "modeling_tips.TIPSv2Model"}}},
    "MobileCLIP": {"open_clip_config.json": {"vision_cfg": {"timm_model_name": "fastvit_mci1"}}},
    "CoCa": {"open_clip_config.json": {"multimodal_cfg": {"width": 512}, "vision_cfg": {}, "text_cfg": {}}},
    "FLAIR": {},
    "text towers of Hugging Face's": {
        "open_clip_config.json": {"vision_cfg": {}, "text_cfg": {"hf_model_name": "xlm-roberta-base"}}
    },
    "towers alone": {"config.json": {"model_type": "siglip_vision_model"}},
}
TIMM = {"config.json": {"architecture": "vit_base_patch16_clip_224", "pretrained_cfg": {"tag": "openai"}}}
"""A directory of timm's, of a vision tower alone."""


@pytest.mark.parametrize(
    ("family", "files"),
    [*((family, CONFIGS[family.name]) for family in REFUSED), (REFUSED[-1], TIMM)],
    ids=[*(family.name for family in REFUSED), "timm"],
)
def test_a_family_is_refused_by_name(family, files, tmp_path):
    """By its configuration, whatever its folder is called; where it has none, by the name of what was asked for."""
    folder = tmp_path / ("flair" if family.name == "FLAIR" else "weights")
    folder.mkdir()
    for name, fields in files.items():
        config = {"model_cfg": {"embed_dim": 512} | fields} if name.startswith("open_clip") else fields
        (folder / name).write_text(json.dumps(config))
    save_file({"x": np.ones(2, np.float32)}, folder / "open_clip_model.safetensors")
    with pytest.raises(UserError) as caught:
        read_source(folder)
    said = str(caught.value)
    assert f"weights of {family.name} are not read: {family.missing} would be needed" in said
    assert family.nearest in said and str(folder) in said and "\n" not in said


@pytest.mark.parametrize(
    ("name", "tensors", "family"),
    [
        ("weights.safetensors", {"visual.conv1.weight": 2, "token_embedding.weight": 901629}, "MetaCLIP 2"),
        ("mobileclip_s0.pt.safetensors", ["x"], "MobileCLIP"),
        ("weights.safetensors", ["image_encoder.model.patch_embed.0.weight"], "MobileCLIP"),
        ("weights.safetensors", ["visual.conv1.weight", "text_decoder.resblocks.0.ln_1.weight"], "CoCa"),
        ("flair-cc3m-recap.safetensors", ["visual.conv1.weight"], "FLAIR"),
    ],
)
def test_a_file_is_refused_by_its_name_or_its_tensors(name, tensors, family, tmp_path):
    sizes = tensors if isinstance(tensors, dict) else dict.fromkeys(tensors, 2)
    save_file({tensor: np.ones((size, 1), np.float32) for tensor, size in sizes.items()}, tmp_path / name)
    with pytest.raises(UserError, match=f"weights of {family} are not read"):
        read_source(tmp_path / name)


def test_a_clip_that_is_called_like_a_refused_family_is_read(tiny_clip, tmp_path):
    (tmp_path / "flair-mobileclip-coca").symlink_to(tiny_clip)
    assert read_source(tmp_path / "flair-mobileclip-coca").clip.config.embed_dim == 16


@pytest.mark.parametrize("name", ["mine", "wing-tips", "cocacola", "flairs"])
def test_a_clip_with_a_fault_of_its_own_is_called_by_no_family(name, tiny_clip, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.json").write_text((tiny_clip / "config.json").read_text())
    with pytest.raises(UserError, match="no weights; expected one of") as caught:
        read_source(tmp_path / name)
    assert "are not read" not in str(caught.value)
