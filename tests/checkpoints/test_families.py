"""Every family of `checkpoints.families`: its command on random weights of its shape, or its refusal."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from ecor_jax.checkpoints import openai, timm_siglip
from ecor_jax.checkpoints.families import REFUSED, SUPPORTED, as_page
from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.checkpoints.openclip_dir import save_openclip
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import foreign_tensors, weights_digest
from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.commands import cli, convert
from ecor_jax.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "weights.md"
DEPTH = 2
"""Layers of the towers here: every other size is the published one, but for SigLIP's vocabulary."""


def test_the_page_is_made_from_the_table():
    assert PAGE.read_text() == as_page()


def model_of(name: str, activation: str, tokenizer) -> Clip:
    """A CLIP of random weights of a preset's shape."""
    config = preset(name)
    size = len(tokenizer) if config.text.padded else config.text.vocab_size
    vision = dataclasses.replace(config.vision, layers=DEPTH)
    text = dataclasses.replace(config.text, layers=DEPTH, vocab_size=size)
    if activation != "as timm's":
        config = dataclasses.replace(config, activation=activation)
    return Clip(dataclasses.replace(config, vision=vision, text=text), rngs=nnx.Rngs(0))


QUICK = "SigLIP and 2, OpenCLIP's"
"""Tried whenever the suite runs; the other forms are, too, by other tests."""


@pytest.mark.parametrize(
    "family",
    [pytest.param(one, marks=[] if one.name == QUICK else [pytest.mark.slow], id=one.name) for one in SUPPORTED],
)
def test_a_family_is_read_by_its_command(family, tokenizer, tmp_path, monkeypatch, capsys):
    clip = model_of(family.shape, family.activation, tokenizer)
    if "timm" in family.activation:
        shape = timm_siglip._TOWERS["base"] | {"layers": DEPTH}
        monkeypatch.setitem(timm_siglip._TOWERS, "base", shape)
        clip = Clip(dataclasses.replace(clip.config, activation="gelu"), rngs=nnx.Rngs(0))
    tokenizer.save_pretrained(tmp_path / "models" / "l14")
    source = tmp_path / "source"
    resize = "squash" if "square" in family.preprocessing else "shortest"
    preprocess = Preprocess(clip.config.vision.image_size, resize=resize)
    if family.form == "huggingface":
        save_clip(source, clip, tokenizer, preprocess)
    elif family.form == "openclip":
        save_openclip(source, clip, tokenizer, preprocess)
    else:
        tensors = foreign_tensors(clip, openai.ENTRIES)
        if not family.options.startswith("--activation"):  # OpenAI's own say their sizes
            tensors |= {name: np.ones(1, np.int64) for name in openai.IGNORABLE}
        save_file(tensors, source := tmp_path / "weights.safetensors")
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


def of_openclip(vision, text, **more) -> dict:
    return {"open_clip_config.json": {"model_cfg": {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text} | more}}


# What their configurations say, in few words.
CONFIGS = {
    "SigLIP 2 NaFlex": {"config.json": {"model_type": "siglip2"}},
    "MetaCLIP 2": {"config.json": {"model_type": "metaclip_2"}},
    "CLIPA": of_openclip({"no_ln_pre": True, "pool_type": "avg"}, {}),
    "BiomedCLIP": of_openclip(
        {"timm_model_name": "vit_base_patch16_224"},
        {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"},
    ),
    "EVA-02 CLIP": of_openclip({"timm_model_name": "eva02_base_patch16_clip_224"}, None),
    "PE-Core": of_openclip({"timm_model_name": "vit_pe_core_base_patch16_224"}, None),
    "TIPSv2": {"config.json": {"model_type": "tipsv2", "auto_map": {"AutoModel": "modeling_tips.TIPSv2Model"}}},
    "MobileCLIP": of_openclip({"timm_model_name": "fastvit_mci1"}, None),
    "CoCa": of_openclip({}, {}, multimodal_cfg={"width": 512}),
    "FLAIR": {},
    "text towers of Hugging Face's": of_openclip({}, {"hf_model_name": "xlm-roberta-base"}),
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
        (folder / name).write_text(json.dumps(fields))
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
    with pytest.raises(UserError, match=r"no weights; expected one of model\.safetensors") as caught:
        read_source(tmp_path / name)
    assert "are not read" not in str(caught.value)
