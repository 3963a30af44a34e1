"""launch.convert: anyone's weights in, Hugging Face's out."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.commands import convert
from ecor_jax.errors import UserError

torch = pytest.importorskip("torch")

SIZES = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 128}


@pytest.fixture(scope="module")
def reference():
    """A tiny CLIPModel of transformers: heads are 64 wide as OpenAI's, the vocabulary is CLIP's."""
    from transformers import CLIPConfig, CLIPModel

    text = SIZES | {"eos_token_id": 2}
    vision = SIZES | {"image_size": 8, "patch_size": 4}
    torch.manual_seed(0)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=32))


def run(*arguments: str) -> None:
    convert.main(convert.parser().parse_args(arguments))


def test_hugging_face_to_hugging_face_is_bit_exact(reference, tmp_path, capsys):
    reference.save_pretrained(tmp_path / "source")
    run(f"--source={tmp_path / 'source'}", f"--output={tmp_path / 'output'}")
    printed = capsys.readouterr().out
    assert "no tokenizer" in printed and "no preprocessor_config.json" in printed and "quick_gelu" in printed
    found, report = load(tmp_path / "output")
    assert not any(report.values())
    assert found.config.text_config.eos_token_id == 2
    expected = reference.state_dict()
    assert found.state_dict().keys() == expected.keys()
    for name, value in found.state_dict().items():
        assert value.dtype == torch.float32
        np.testing.assert_array_equal(value.numpy(), expected[name].numpy())


def test_an_openai_file_with_openais_vocabulary(reference, tmp_path, shared_data, capsys):
    torch.save(openai_names(reference), tmp_path / "ViT.pt")
    merges = shared_data / "clip" / "bpe_simple_vocab_16e6.txt.gz"
    run(f"--source={tmp_path / 'ViT.pt'}", f"--output={tmp_path / 'output'}", f"--tokenizer={merges}")
    assert "no tokenizer" not in capsys.readouterr().out
    model = load_clip(tmp_path / "output")
    assert model.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    reference.save_pretrained(tmp_path / "reference")
    run(
        f"--source={tmp_path / 'reference'}",
        f"--output={tmp_path / 'same'}",
        f"--tokenizer={tmp_path / 'output'}",
    )
    assert f"{model.digest}" in capsys.readouterr().out


def test_the_output_is_checked_before_the_work_begins(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "file").touch()
    with pytest.raises(UserError, match="output: is not empty"):
        run("--source=nowhere", f"--output={tmp_path / 'output'}")


def test_the_command_fails_with_one_line(tmp_path):
    command = [sys.executable, "-m", "launch.convert", f"--source={tmp_path}", f"--output={tmp_path / 'out'}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(f"error: {tmp_path}: not a model") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def load(directory):
    from transformers import CLIPModel

    loaded: Any = CLIPModel.from_pretrained(directory, output_loading_info=True)
    return loaded


def openai_names(reference) -> dict:
    """The state dict of a one-layer CLIPModel under OpenAI's names."""
    state = reference.state_dict()

    def block(prefix):
        joint = {
            f"attn.in_proj_{kind}": torch.cat([state[f"{prefix}.self_attn.{head}_proj.{kind}"] for head in "qkv"])
            for kind in ("weight", "bias")
        }
        pairs = {
            "attn.out_proj": "self_attn.out_proj",
            "ln_1": "layer_norm1",
            "ln_2": "layer_norm2",
            "mlp.c_fc": "mlp.fc1",
            "mlp.c_proj": "mlp.fc2",
        }
        rest = {
            f"{ours}.{kind}": state[f"{prefix}.{theirs}.{kind}"]
            for ours, theirs in pairs.items()
            for kind in ("weight", "bias")
        }
        return joint | rest

    vision, text = "vision_model", "text_model"
    named = {
        "logit_scale": state["logit_scale"],
        "visual.class_embedding": state[f"{vision}.embeddings.class_embedding"],
        "visual.conv1.weight": state[f"{vision}.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": state[f"{vision}.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
        "token_embedding.weight": state[f"{text}.embeddings.token_embedding.weight"],
        "positional_embedding": state[f"{text}.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        named |= {
            f"visual.ln_pre.{kind}": state[f"{vision}.pre_layrnorm.{kind}"],
            f"visual.ln_post.{kind}": state[f"{vision}.post_layernorm.{kind}"],
            f"ln_final.{kind}": state[f"{text}.final_layer_norm.{kind}"],
        }
    named |= {f"visual.transformer.resblocks.0.{k}": v for k, v in block(f"{vision}.encoder.layers.0").items()}
    named |= {f"transformer.resblocks.0.{k}": v for k, v in block(f"{text}.encoder.layers.0").items()}
    return named
