"""OpenCLIP directories."""

import dataclasses

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from ecor_jax.checkpoints import openclip
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.checkpoints.openclip_dir import model_cfg, save_openclip
from ecor_jax.checkpoints.source import read_source
from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.errors import UserError


def test_a_directory_embeds_as_the_torch_model(openclip_dir, edit_json, config, assert_embeds):
    file = openclip_dir / "open_clip_config.json"
    # These change nothing.
    edit_json(file, "model_cfg.vision_cfg.patch_dropout", 0.5)
    edit_json(file, "model_cfg.text_cfg.pool_type", "argmax")
    edit_json(file, "model_cfg.init_logit_scale", 2.0)
    edit_json(file, "preprocess_cfg.fill_color", 0)
    clip, preprocess, _ = openclip.read(openclip_dir)
    assert clip.config == config
    assert (preprocess.size, preprocess.resize, preprocess.mean) == (24, "squash", (0.5, 0.5, 0.5))
    assert_embeds(clip)


def test_safetensors_with_the_mask_of_old_versions(openclip_dir, torch, save_file, openai_tensors, assert_embeds):
    (openclip_dir / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"no weights; expected one of open_clip_model\.safetensors"):
        openclip.read(openclip_dir)
    weights = openai_tensors | {"attn_mask": torch.zeros(16, 16)}
    save_file(weights, openclip_dir / "open_clip_model.safetensors")
    assert_embeds(openclip.read(openclip_dir)[0])


def test_a_data_parallel_training_checkpoint(openclip_dir, torch, openai_tensors, assert_embeds):
    weights = {f"module.{name}": value for name, value in openai_tensors.items()}
    moments = {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}
    checkpoint = {"epoch": 1, "name": "x", "state_dict": weights, "optimizer": {"state": moments}}
    torch.save(checkpoint, openclip_dir / "epoch_1.pt")
    assert_embeds(read_source(openclip_dir / "epoch_1.pt").clip)


def test_gelu_is_the_default_and_other_defaults_are_open_clips(openclip_dir, edit_json, config):
    file = openclip_dir / "open_clip_config.json"
    edit_json(file, "model_cfg.quick_gelu", ...)
    edit_json(file, "preprocess_cfg", {})
    clip, preprocess, _ = openclip.read(openclip_dir)
    assert clip.config.activation == "gelu"
    assert preprocess.resize == "shortest" and preprocess.mean[0] == pytest.approx(0.48145466)
    assert openclip.read(openclip_dir, "quick_gelu")[0].config == config
    shape = openclip.read_config({"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}, None)
    assert (shape.vision.patch_size, shape.vision.heads, shape.vision.mlp_width) == (16, 12, 3072)
    assert (shape.text.heads, shape.text.mlp_width, shape.text.context_length) == (8, 2048, 77)


@pytest.mark.parametrize("resize", ["shortest", "squash", "longest"])
def test_out_again_bit_for_bit(resize, huggingface_dir, openai_tensors, tmp_path):
    model = load_clip(huggingface_dir)
    preprocess = dataclasses.replace(model.preprocess, resize=resize, resample="bilinear")
    save_openclip(tmp_path / "out", model.clip, model.tokenizer, preprocess)
    found = load_file(tmp_path / "out" / "open_clip_model.safetensors")
    assert found.keys() == openai_tensors.keys()
    for name, expected in openai_tensors.items():
        np.testing.assert_array_equal(found[name], expected.numpy(), err_msg=name)
    again = load_clip(tmp_path / "out")
    assert again.digest == model.digest and again.preprocess == preprocess
    assert again.tokenizer("a dog")["input_ids"] == model.tokenizer("a dog")["input_ids"]


@pytest.mark.parametrize("name", ["siglip/ViT-SO400M-14-384", "siglip2/ViT-B-32-256", "siglip2/ViT-gopt-16-384"])
def test_siglips_configuration_out_again(name):
    config = preset(name)
    if "14" in name:  # as timm computes that one
        config = dataclasses.replace(config, activation="gelu")
    described = model_cfg(config)
    assert openclip.read_config(described, None) == config and described["text_cfg"]["hf_tokenizer_name"] == "."


@pytest.mark.parametrize(
    ("name", "changes", "preprocess", "message"),
    [
        ("tiny/16-8", {}, Preprocess(16, resize_to=20), "pictures are scaled to 20 pixels and cropped to 16"),
        ("tiny/16-8", {"layer_norm_eps": 1e-6}, None, "OpenCLIP has no configuration of this model"),
        ("tiny/16-8", {"activation": "gelu_tanh"}, None, "OpenCLIP has no configuration of this model"),
        ("tiny/siglip-16-8", {}, None, "timm has no vision tower of SigLIP of this shape"),
    ],
)
def test_what_openclip_cannot_say(name, changes, preprocess, message, tmp_path):
    clip = Clip(dataclasses.replace(preset(name), **changes), rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match=message):
        save_openclip(tmp_path / "out", clip, None, preprocess)
    assert not (tmp_path / "out").exists()
