"""launch.convert: anyone's weights in, Hugging Face's out."""

import json
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from ecor_jax.checkpoints import openai
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.weights import flat_parameters, foreign_tensors
from ecor_jax.commands import convert

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
    loading: Any = type(reference).from_pretrained
    found, report = loading(tmp_path / "output", output_loading_info=True)
    assert not any(report.values())
    assert found.config.text_config.eos_token_id == 2
    expected = reference.state_dict()
    assert found.state_dict().keys() == expected.keys()
    for name, value in found.state_dict().items():
        assert value.dtype == torch.float32
        np.testing.assert_array_equal(value.numpy(), expected[name].numpy())


def test_openais_vocabulary_and_how_images_are_prepared_can_be_told(reference, tmp_path, shared_data, capsys):
    reference.save_pretrained(tmp_path / "source")
    given = [f"--tokenizer={shared_data / 'clip' / 'bpe_simple_vocab_16e6.txt.gz'}", "--preprocess=chexzero"]
    run(f"--source={tmp_path / 'source'}", f"--output={tmp_path / 'output'}", *given)
    assert "no tokenizer" not in capsys.readouterr().out
    found = read_source(tmp_path / "output")
    assert found.tokenizer and found.preprocess
    assert found.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (found.preprocess.size, found.preprocess.resize) == (8, "longest")
    assert found.preprocess.mean == pytest.approx((0.398,) * 3, abs=1e-4)
    assert found.preprocess.std == pytest.approx((0.327,) * 3, abs=1e-3)


@pytest.mark.parametrize("heads", ["16", "16,0", "a,b", "16,16,16", "-1,2"])
def test_heads_are_two_whole_numbers(heads, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("--source=x.pt", f"--output={tmp_path / 'output'}", f"--heads={heads}")
    assert "expected two whole numbers, such as 16,16" in capsys.readouterr().err


def test_what_is_taken_for_granted_is_said_and_kept(reference, tmp_path, capsys):
    reference.save_pretrained(tmp_path / "hf")
    clip = read_source(tmp_path / "hf").clip
    save_file(foreign_tensors(clip, openai.ENTRIES), tmp_path / "bare.safetensors")
    options = [f"--source={tmp_path / 'bare.safetensors'}", f"--activation={clip.config.activation}", "--heads=1,1"]
    for output, more, kept in (("guessed", [], {"guessed": [openai.PREPARED]}), ("told", ["--preprocess=openai"], {})):
        run(*options, *more, f"--output={tmp_path / output}")
        told = "taken for granted, for the file does not say it: pictures are prepared as OpenAI's"
        assert (told in capsys.readouterr().out) == bool(kept)
        assert json.loads((tmp_path / output / "config.json").read_text())["ecor_jax"] == kept


@pytest.mark.parametrize("form", ["huggingface", "openclip"])
def test_weights_are_rounded_to_bfloat16_and_rationales_go_along(form, tiny_clip, tmp_path):
    shutil.copytree(tiny_clip, tmp_path / "source")
    (tmp_path / "source" / "rationales.json").write_text('{"cat": ["a tail"]}')
    output = tmp_path / "output"
    run(f"--source={tmp_path / 'source'}", "--dtype=bfloat16", f"--to={form}", f"--output={output}")
    assert json.loads((output / "rationales.json").read_text()) == {"cat": ["a tail"]}
    whole, rounded = (flat_parameters(read_source(path).clip) for path in (tiny_clip, output))
    for name, values in whole.items():
        np.testing.assert_array_equal(rounded[name], values.astype(jnp.bfloat16).astype(np.float32), name)
    if form == "huggingface":
        assert json.loads((output / "config.json").read_text())["dtype"] == "bfloat16"
