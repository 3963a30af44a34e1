"""OpenAI's files: state dicts and TorchScript archives."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.checkpoints import openai
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import flat_parameters
from ecor_jax.errors import UserError


def test_a_state_dict_embeds_as_the_torch_model(tmp_path, torch, openai_tensors, config, assert_embeds):
    numbers = {name: torch.tensor(9) for name in openai.IGNORABLE}
    torch.save(openai_tensors | numbers, tmp_path / "model.pt")
    read = read_source(tmp_path / "model.pt")
    assert read.clip.config == config and read.preprocess and read.preprocess.size == 24
    assert_embeds(read.clip)
    assert openai.read(tmp_path / "model.pt", "gelu", jnp.bfloat16)[0].config.activation == "gelu"


def test_a_half_precision_torchscript_archive(tmp_path, torch, openai_tensors, config):
    """Modules within modules, as the weights' names say; what they compute is not read."""
    model = torch.nn.Module()
    for name, value in openai_tensors.items():
        *parents, last = name.split(".")
        module = model
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, torch.nn.Module())
            module = getattr(module, parent)
        module.register_parameter(last, torch.nn.Parameter(value.half(), requires_grad=False))
    model.forward = lambda x: x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: TorchScript is out of fashion
        torch.jit.trace(model, torch.zeros(1)).save(str(tmp_path / "model.pt"))
    clip, _ = openai.read(tmp_path / "model.pt")
    assert clip.config == config
    found = flat_parameters(clip)
    expected = openai_tensors["visual.proj"].half().float().numpy()
    np.testing.assert_array_equal(found["vision.projection.kernel"], expected)
    query = openai_tensors["transformer.resblocks.1.attn.in_proj_weight"][:64].T.half().float().numpy()
    np.testing.assert_array_equal(found["text.transformer.blocks.attention.query.kernel"][1], query)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("visual.conv1.weight", "visual.conv1.weight is missing.*config.json"),
        ("transformer.resblocks.0.attn.in_proj_bias", "1 missing: transformer.resblocks.0.attn.in_proj_bias"),
    ],
)
def test_a_missing_tensor_is_named(name, message, tmp_path, torch, openai_tensors):
    torch.save({key: value for key, value in openai_tensors.items() if key != name}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=message):
        openai.read(tmp_path / "model.pt")


def test_other_networks_are_refused(tmp_path, torch, huggingface_tensors):
    torch.save({"visual.layer1.0.conv1.weight": torch.zeros(2)}, tmp_path / "resnet.pt")
    with pytest.raises(UserError, match="ResNet"):
        openai.read(tmp_path / "resnet.pt")
    torch.save(huggingface_tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="not OpenAI's CLIP"):
        openai.read(tmp_path / "pytorch_model.bin")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"open_clip_config\.json beside"):
        openai.read(tmp_path / "open_clip_pytorch_model.bin")
