"""OpenAI's files: state dicts and TorchScript archives."""

import copy
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from ecor_jax.checkpoints import openai
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import flat_parameters
from ecor_jax.errors import UserError


def test_a_state_dict_embeds_as_the_torch_model(tmp_path, torch, openai_model, config, assert_embeds):
    numbers = {
        "input_resolution": torch.tensor(24),
        "context_length": torch.tensor(16),
        "vocab_size": torch.tensor(9),
    }
    torch.save(openai_model.state_dict() | numbers, tmp_path / "model.pt")
    read = read_source(tmp_path / "model.pt")
    clip, preprocess = read.clip, read.preprocess
    assert clip.config == config and preprocess and preprocess.size == 24
    assert_embeds(clip)
    assert openai.read(tmp_path / "model.pt", "gelu", jnp.bfloat16)[0].config.activation == "gelu"


def test_a_half_precision_torchscript_archive(tmp_path, torch, openai_model, batch, config):
    images, ids = torch.tensor(batch[0]).permute(0, 3, 1, 2), torch.tensor(batch[1], dtype=torch.int64)
    with warnings.catch_warnings():
        # torch's own: TorchScript is out of fashion, and its tracer warns of every Python branch.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(copy.deepcopy(openai_model), (images, ids), check_trace=False)
        halved = {name: value.half() for name, value in openai_model.state_dict().items()}
        for name, parameter in traced.named_parameters():
            parameter.data = halved[name]
        traced.save(str(tmp_path / "model.pt"))
    clip, _ = openai.read(tmp_path / "model.pt")
    assert clip.config == config
    found = flat_parameters(clip)
    np.testing.assert_array_equal(found["vision.projection.kernel"], halved["visual.proj"].numpy().astype(np.float32))
    query = halved["transformer.resblocks.1.attn.in_proj_weight"][:64].T
    np.testing.assert_array_equal(found["text.transformer.blocks.attention.query.kernel"][1], query.float().numpy())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("visual.conv1.weight", "visual.conv1.weight is missing.*config.json"),
        ("ln_final.bias", "1 missing: ln_final.bias"),
        ("transformer.resblocks.0.attn.in_proj_bias", "1 missing: transformer.resblocks.0.attn.in_proj_bias"),
    ],
)
def test_a_missing_tensor_is_named(name, message, tmp_path, torch, openai_model):
    weights = openai_model.state_dict()
    del weights[name]
    torch.save(weights, tmp_path / "model.pt")
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
