"""OpenAI's files: state dicts and TorchScript archives."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.checkpoints import openai
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import flat_parameters, foreign_tensors
from ecor_jax.errors import UserError


def test_a_state_dict_embeds_as_the_torch_model_and_is_written_again_bit_for_bit(
    tmp_path, torch, openai_tensors, config, assert_embeds
):
    torch.save(openai_tensors | numbers_of(torch), tmp_path / "model.pt")
    read = read_source(tmp_path / "model.pt")
    assert read.clip.config == config and read.preprocess and read.preprocess.size == 24
    assert_embeds(read.clip)
    found = foreign_tensors(read.clip, openai.ENTRIES)
    assert found.keys() == openai_tensors.keys()
    for name, expected in openai_tensors.items():
        np.testing.assert_array_equal(found[name], expected.numpy(), err_msg=name)
    assert openai.read(tmp_path / "model.pt", "gelu", jnp.bfloat16)[0].config.activation == "gelu"


def test_a_half_precision_torchscript_archive(tmp_path, torch, openai_tensors, config):
    """Modules within modules, as the weights' names say; what they compute is not read."""
    model = torch.nn.Module()
    for name, value in (openai_tensors | numbers_of(torch)).items():
        *parents, last = name.split(".")
        module = model
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, torch.nn.Module())
            module = getattr(module, parent)
        module.register_buffer(last, value.half())
    model.forward = lambda x: x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: TorchScript is out of fashion
        torch.jit.trace(model, torch.zeros(1)).save(str(tmp_path / "model.pt"))
    clip, *_ = openai.read(tmp_path / "model.pt")
    assert clip.config == config
    found = flat_parameters(clip)
    expected = openai_tensors["visual.proj"].half().float().numpy()
    np.testing.assert_array_equal(found["vision.projection.kernel"], expected)
    query = openai_tensors["transformer.resblocks.1.attn.in_proj_weight"][:64].T.half().float().numpy()
    np.testing.assert_array_equal(found["text.transformer.blocks.attention.query.kernel"][1], query)


def bare(torch, tensors, width: int = 768, vocabulary: int = 49408) -> dict:
    """As OpenCLIP's and others' state dicts are: of a published width and vocabulary, nothing but weights."""
    sizes = {
        128: width,
        3 * 128: 3 * width,
        64: 512,
        3 * 64: 3 * 512,
        len(tensors["token_embedding.weight"]): vocabulary,
    }
    return {name: torch.full([sizes.get(n, n) for n in value.shape], 0.01) for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("sizes", "given", "message"),
    [
        ({}, {}, r"model\.pt: it does not say its activation; give --activation=quick_gelu"),
        ({"width": 1280}, {"activation": "gelu"}, "how many heads its attention has, of width 1280; give .* --heads"),
        ({"vocabulary": 901629}, {"activation": "gelu"}, "its vocabulary has 901,629 tokens"),
        ({"width": 1280}, {"activation": "gelu", "heads": (7, 8)}, "width 1280 is not a multiple of its 7 heads"),
    ],
    ids=["activation", "heads", "vocabulary", "heads that do not divide"],
)
def test_what_a_bare_file_does_not_say_is_asked_for(sizes, given, message, tmp_path, torch, openai_tensors):
    """RemoteCLIP, ViT-H-14 and MetaCLIP 2 as bare files were read with other embeddings than theirs."""
    torch.save(bare(torch, openai_tensors, **sizes), tmp_path / "model.pt")
    with pytest.raises(UserError, match=message):
        read_source(tmp_path / "model.pt", **given)


def test_a_bare_file_of_which_all_is_known(tmp_path, torch, openai_tensors):
    usual, huge = bare(torch, openai_tensors), bare(torch, openai_tensors, 1280)
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in usual.items()}}
    torch.save(wrapped, tmp_path / "usual.pt")
    torch.save(huge, tmp_path / "huge.pt")
    read = read_source(tmp_path / "usual.pt", activation="gelu")
    config = read.clip.config
    assert (config.vision.heads, config.text.heads, config.activation) == (12, 8, "gelu")
    # What was taken for granted is told.
    of_heads = "12 and 8 attention heads, as in all published towers of widths 768, 512"
    assert read.origin.guessed == (of_heads, openai.PREPARED)
    read = read_source(tmp_path / "huge.pt", activation="quick_gelu", heads=(16, 8))
    config = read.clip.config
    assert (config.vision.heads, config.text.heads, config.activation) == (16, 8, "quick_gelu")
    assert read.origin.guessed == (openai.PREPARED,)


def numbers_of(torch) -> dict:
    return {name: torch.tensor(9) for name in openai.IGNORABLE}


def without(tensors: dict, name: str) -> dict:
    return {key: value for key, value in tensors.items() if key != name}


def test_other_networks_and_parts_of_one_are_refused(tmp_path, torch, openai_tensors, huggingface_tensors):
    openais = openai_tensors | numbers_of(torch)
    two = {"student": dict(openai_tensors), "teacher": dict(openai_tensors)}
    part = "transformer.resblocks.0.attn.in_proj_bias"
    contents = [
        (huggingface_tensors, "not OpenAI's CLIP"),
        ({"visual.layer1.0.conv1.weight": torch.zeros(2)}, "ResNet"),
        (two, r"holds 2 models, below 'student.', 'teacher.'; expected one"),
        (without(openais, "visual.conv1.weight"), r"visual.conv1.weight is missing.*config\.json"),
        (without(openais, part), f"1 missing: {part}"),
    ]
    for tensors, message in contents:
        torch.save(tensors, tmp_path / "model.pt")
        with pytest.raises(UserError, match=message):
            openai.read(tmp_path / "model.pt")
    (tmp_path / "open_clip_pytorch_model.bin").touch()
    with pytest.raises(UserError, match=r"open_clip_config\.json beside"):
        openai.read(tmp_path / "open_clip_pytorch_model.bin")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "state_dict.module.", "model."])
def test_training_checkpoints_as_people_keep_them(prefix, tmp_path, torch, openai_tensors, config, assert_embeds):
    """Data parallel, compiled or both, with an optimizer beside."""
    content = openai_tensors | numbers_of(torch)
    for name in reversed(prefix.removesuffix(".").split(".")):
        # A training checkpoint is a dict; what wraps a module stands in the names.
        nests = name in ("state_dict", "model")
        content = {name: content} if nests else {f"{name}.{key}": value for key, value in content.items()}
        moments = {0: {"exp_avg": torch.zeros(3), "step": torch.tensor(5.0, dtype=torch.float64)}}
        content |= {"epoch": np.int64(5), "best": np.float64(0.6), "optimizer": {"state": moments}} if nests else {}
    torch.save(content, tmp_path / "epoch_5.pt")
    clip, *_ = openai.read(tmp_path / "epoch_5.pt")
    assert clip.config == config
    assert_embeds(clip)
