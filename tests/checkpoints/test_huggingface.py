"""Hugging Face's CLIPModel directories, in and out."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from transformers import AutoConfig, CLIPConfig

from ecor_jax.checkpoints import huggingface
from ecor_jax.checkpoints.layouts import PATCHES
from ecor_jax.checkpoints.model_types import FAMILIES
from ecor_jax.checkpoints.tensor_files import open_tensors
from ecor_jax.checkpoints.weights import flat_parameters
from ecor_jax.errors import UserError


@pytest.mark.parametrize("section", ["text_config", "vision_config"])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_is_left_out_is_what_transformers_takes_for_it(family, section):
    theirs, ours = AutoConfig.for_model(family.model_type).to_dict()[section], family.defaults[section]
    guessed = {"hidden_act": None} if family.model_type == "clip" else {}
    assert ours == {name: theirs[name] for name in ours} | guessed


def test_a_directory_embeds_as_the_torch_model(huggingface_dir, config, edit_json, assert_embeds):
    clip = huggingface.read(huggingface_dir)
    assert clip.config == config
    assert_embeds(clip)
    # Newer configurations name the end of text.
    edit_json(huggingface_dir / "config.json", "text_config.eos_token_id", config.text.vocab_size - 1)
    clip = huggingface.read(huggingface_dir)
    assert clip.config.text.eot_id == config.text.vocab_size - 1
    assert_embeds(clip)


@pytest.mark.parametrize("eos", [2, 10], ids=["largest id", "first of an id"])
def test_tokens_added_to_the_vocabulary_are_read_as_transformers_reads_them(
    eos, torch, tmp_path, transformers_clip, config
):
    """Their ids are larger than that of the end of text: by OpenAI's convention a text is read at the first of them."""
    text = dataclasses.replace(config.text, vocab_size=config.text.vocab_size + 2)
    reference = transformers_clip(dataclasses.replace(config, text=text))
    reference.config.text_config.eos_token_id = reference.text_model.eos_token_id = eos
    reference.save_pretrained(tmp_path)
    clip = huggingface.read(tmp_path)
    ids = np.array([[5, 6, config.text.vocab_size, 7, 10, 8], [5, config.text.vocab_size + 1, 10, 9, 9, 9]], np.int32)
    with torch.no_grad():
        expected = reference.get_text_features(input_ids=torch.tensor(ids, dtype=torch.int64)).pooler_output.numpy()
    np.testing.assert_allclose(clip.text(jnp.asarray(ids)), expected, atol=1e-4)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards(suffix, huggingface_dir, torch, save_file, huggingface_tensors, assert_embeds):
    index = split(huggingface_dir, suffix, save_file if suffix == "safetensors" else torch.save, huggingface_tensors)
    assert_embeds(huggingface.read(huggingface_dir))
    weight_map = json.loads(index.read_text())["weight_map"]
    shard = huggingface_dir / weight_map["logit_scale"]
    wrong = [
        ({"weight_map": weight_map | {"extra": shard.name}}, "shards lack extra"),
        ({"weight_map": {"a": "../model.safetensors"}}, "not a plain file name"),
        ({"weight_map": {"a": index.name}}, f"{index.name}: not a torch zip"),
        ({"weight_map": {"a": "gone.bin"}}, "shard gone.bin is missing"),
        ({}, "expected a weight_map"),
    ]
    for fields, message in wrong:
        index.write_text(json.dumps(fields))
        with pytest.raises(UserError, match=message):
            huggingface.read(huggingface_dir)


def test_a_state_dict_with_the_buffers_of_old_versions(huggingface_dir, torch, huggingface_tensors, assert_embeds):
    (huggingface_dir / "model.safetensors").unlink()
    tensors = huggingface_tensors | {name: torch.arange(16)[None] for name in huggingface.IGNORABLE}
    torch.save(tensors, huggingface_dir / "pytorch_model.bin")
    assert_embeds(huggingface.read(huggingface_dir))
    for value in (float("nan"), float("inf")):
        spoilt = tensors["text_projection.weight"].clone()
        spoilt[1, 2] = value
        torch.save(tensors | {"text_projection.weight": spoilt}, huggingface_dir / "pytorch_model.bin")
        with pytest.raises(UserError, match=r"text_projection\.weight holds numbers that are not finite"):
            huggingface.read(huggingface_dir)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_become_float32_exactly(
    dtype, huggingface_dir, torch, save_file, huggingface_tensors, caplog
):
    halved = {name: value.to(getattr(torch, dtype)) for name, value in huggingface_tensors.items()}
    save_file(halved, huggingface_dir / "model.safetensors")
    with caplog.at_level("INFO"):
        found = flat_parameters(huggingface.read(huggingface_dir))
    assert f"model.safetensors: weights in {dtype}; each is kept exactly, as float32" in caplog.text
    assert all(value.dtype == np.float32 for value in found.values())
    expected = halved["text_model.encoder.layers.1.mlp.fc1.weight"].float().T.numpy()
    np.testing.assert_array_equal(found["text.transformer.blocks.mlp_in.kernel"][1], expected)


def test_all_that_does_not_fit_is_reported_at_once(huggingface_dir, save_file, huggingface_tensors):
    tensors = dict(huggingface_tensors)
    bias = tensors.pop("text_model.encoder.layers.1.mlp.fc2.bias")
    tensors["text_model.encoder.layers.2.mlp.fc2.bias"] = tensors["lora"] = bias
    del tensors["logit_scale"]
    tensors["visual_projection.weight"] = tensors["visual_projection.weight"][:-1]
    tensors["text_projection.weight"] = tensors["text_projection.weight"].double()
    file = huggingface_dir / "model.safetensors"
    save_file({name: value.clone() for name, value in tensors.items()}, file)
    with pytest.raises(UserError) as caught:
        huggingface.read(huggingface_dir)
    for part in (
        "2 missing: logit_scale, text_model.encoder.layers.1.mlp.fc2.bias",
        "2 unused: lora, text_model.encoder.layers.2.mlp.fc2.bias",
        "1 of another shape: visual_projection.weight [47, 128] (expected [48, 128])",
        "float32: text_projection.weight float64",
        str(file),
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_activation_is_never_guessed(huggingface_dir, edit_json):
    def state(activation):
        for tower in ("text_config", "vision_config"):
            edit_json(huggingface_dir / "config.json", f"{tower}.hidden_act", activation)

    with pytest.raises(UserError, match="'quick_gelu', which --activation=gelu contradicts"):
        huggingface.read(huggingface_dir, "gelu")
    state(...)
    with pytest.raises(UserError, match=r"hidden_act is missing.*--activation=quick_gelu"):
        huggingface.read(huggingface_dir)
    assert huggingface.read(huggingface_dir, "gelu").config.activation == "gelu"
    state("gelu_new")
    with pytest.raises(UserError, match="'gelu_new'; expected one of quick_gelu, gelu"):
        huggingface.read(huggingface_dir, "gelu")


SECOND_COPIES = [
    {"text_config_dict": {"num_attention_heads": 4, "hidden_size": 256}},
    {"text_config_dict": {}, "vision_config_dict": {}},
    {"text_config_dict": None, "vision_config_dict": {"image_size": 64, "num_hidden_layers": 2}},
    # Where the copy says nothing of the end of text, it is token 49407, and no longer the largest.
    {"text_config": {"eos_token_id": 2, "hidden_act": "gelu"}, "text_config_dict": {"hidden_size": 128}},
    {"text_config_dict": {"eos_token_id": 2}},
    {"text_config_dict": {"hidden_act": "gelu"}, "vision_config_dict": {"hidden_act": "gelu"}},
]


@pytest.mark.parametrize("change", SECOND_COPIES)
def test_of_a_tower_that_is_stated_twice_the_second_copy_is_read_as_transformers_reads_it(change, tmp_path):
    fields = {"model_type": "clip", "projection_dim": 64}
    for tower in ("text_config", "vision_config"):
        fields[tower] = {"num_attention_heads": 2, "num_hidden_layers": 3, "hidden_act": "quick_gelu"}
        fields[tower] |= change.get(tower, {})
    (tmp_path / "config.json").write_text(json.dumps(fields | {k: v for k, v in change.items() if k.endswith("dict")}))
    found, theirs = huggingface.read_config(tmp_path / "config.json"), CLIPConfig.from_pretrained(tmp_path)
    eos = theirs.text_config.eos_token_id
    assert found.text.eot_id == (None if eos == 2 else eos)
    assert found.activation == theirs.text_config.hidden_act == theirs.vision_config.hidden_act
    for ours, tower in ((found.text, theirs.text_config), (found.vision, theirs.vision_config)):
        shape = (tower.hidden_size, tower.num_hidden_layers, tower.num_attention_heads, tower.intermediate_size)
        assert (ours.width, ours.layers, ours.heads, ours.mlp_width) == shape
    assert (found.vision.image_size, found.vision.patch_size) == (theirs.vision_config.image_size, 32)


@pytest.mark.parametrize("kept", [0, 7, 8, 200, -5])
def test_truncated_safetensors(kept, huggingface_dir):
    file = huggingface_dir / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole safetensors file"):
        huggingface.read(huggingface_dir)


def test_patches_are_cut_as_a_convolution_does(torch):
    kernel = torch.randn(5, 3, 4, 4)
    image = torch.randn(1, 3, 4, 4)
    expected = torch.nn.functional.conv2d(image, kernel).ravel()
    pixels = image[0].permute(1, 2, 0).ravel().numpy()
    np.testing.assert_allclose(pixels @ PATCHES.read(kernel.numpy()), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert PATCHES.write is not None
    np.testing.assert_array_equal(PATCHES.write(PATCHES.read(kernel.numpy())), kernel.numpy())
    assert PATCHES.shape((48, 5)) == (5, 3, 4, 4)


def split(directory, suffix, save, tensors):
    """The weights of `directory` in two shards and an index."""
    (directory / "model.safetensors").unlink()
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    names, weight_map = sorted(tensors), {}
    for number, part in enumerate((names[:20], names[20:]), start=1):
        shard = f"{stem}-{number:05}-of-00002.{suffix}"
        save({name: tensors[name] for name in part}, directory / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = directory / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert set(open_tensors(index)) == set(tensors)
    return index
