"""`compile` as users run it: figures of steps on chips that are not here, and one line where they do not fit."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from ecor_jax.commands import compile
from ecor_jax.errors import UserError

LIBTPU = importlib.util.find_spec("libtpu") is not None
needs_libtpu = pytest.mark.skipif(not LIBTPU, reason='needs libtpu: pip install "ecor-jax[aot]"')
CLASSES, RATIONALES, EMBED, BATCH = 997, 509, 512, 64


@pytest.fixture
def wide_clip(tmp_path):
    """A model directory without weights: towers of little width, and an embedding as wide as a real one."""
    tower = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    text = tower | {"vocab_size": 512, "max_position_embeddings": 16, "eos_token_id": 2, "hidden_act": "gelu"}
    vision = tower | {"image_size": 32, "patch_size": 16, "hidden_act": "gelu"}
    fields = {"model_type": "clip", "projection_dim": EMBED, "text_config": text, "vision_config": vision}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    return tmp_path


@pytest.mark.slow
@needs_libtpu
def test_ecor_on_sixteen_chips(wide_clip, tmp_path):
    output = tmp_path / "out.json"
    arguments = [
        "--config=configs/imagenet.py", "--topology=v5e:4x4", f"--output={output}", f"--config.model={wide_clip}",
        f"--classes={CLASSES}", f"--rationales={RATIONALES}", "--config.parallel.model=4",
        f"--config.data.batch_size={BATCH}",
    ]  # fmt: skip
    # Not in this process, whose flags for XLA are those of quick tests.
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "launch.compile", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[::2]] == ["1/2 train", "2/2 evaluate"]
    report = json.loads(output.read_text())
    assert report["topology"] == "v5e:4x4" and report["chips"] == 16 and report["fits"] is True
    assert report["mesh"] == {"data": 4, "model": 4} and report["chip_bytes"] == 15.75 * 2**30
    # On a device is its share of the pair bank, once, and little else: neither the whole nor a copy.
    share = RATIONALES * -(-CLASSES // 4) * EMBED * 2
    # The search for the top pairs gathers as much as a share of rows at once.
    for name, most in (("train", 0.3), ("evaluate", 1.3)):
        step = report["steps"][name]
        assert share < step["argument_bytes"] < 1.3 * share, name
        assert step["temporary_bytes"] < most * share, name
        assert step["flops"] > 0 and step["images_per_second_bound"] > 0
        assert set(step["bound_seconds"]) == {"compute", "memory", "network"}
    # Between devices there are embeddings at most, and the prompts and their gradient.
    largest = max(kind["largest_bytes"] for kind in report["steps"]["train"]["collectives"].values())
    prompts = 2 * 30 * 64 * 4
    assert largest <= max(BATCH * EMBED * 4, prompts)


@needs_libtpu
def test_what_does_not_fit_is_named_and_written(called, wide_clip, tmp_path):
    output = tmp_path / "out.json"
    with pytest.raises(UserError, match=r"the evaluate step needs .* GiB of the 15.75 of a device, most of it for "
                                        r".*\[\d+,\d+,512\] of .*a larger parallel.model"):  # fmt: skip
        called(compile, "--config=configs/imagenet.py", "--topology=v5e:2x2", f"--output={output}",
               "--config.method=clip", f"--config.model={wide_clip}", "--classes=2000",
               "--rationales=10000")  # fmt: skip
    report = json.loads(output.read_text())
    assert report["fits"] is False
    step = report["steps"]["evaluate"]
    assert step["peak_bytes"] > report["chip_bytes"] and step["largest_buffers"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--topology=h100:8"], "topology is 'h100:8'; expected one of v4, v5e"),
        (["--topology=v5e:3x5"], "--topology=v5e:3x5 --slices=1: there are no such chips"),
        (["--topology=v5e:2x2", "--config.parallel.model=3"], "parallel.model is 3; expected a divisor of the 4 dev"),
        (["--topology=v5e:2x2", "--config.data.batch_size=6"], "data.batch_size is 6; expected a multiple of 4"),
        (["--topology=v5e:2x2", "--config.data.rationales=no.json"], "'no.json', which is no file here: --classes"),
        (["--topology=v5e:2x2", "--config.model=a/b", "--classes=9", "--rationales=9"], "model is 'a/b', of which no"),
        (["--topology=v5e:2x2", "--config=configs/xray_nih.py"], "the task 'concepts' has no steps to compile"),
        (["--topology=v5e:2x2", "--config=configs/faces_ms1mv2.py", "--config.data.images=no"], "--identities says"),
    ],
)
@needs_libtpu
def test_bad_input_is_named(called, arguments, message, tmp_path):
    with pytest.raises(UserError) as error:
        called(compile, "--config=configs/imagenet.py", f"--output={tmp_path / 'out.json'}", *arguments)
    assert message in str(error.value)


def test_without_libtpu_one_line_says_so(called, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "libtpu" else find(name))
    with pytest.raises(UserError, match=r'this needs libtpu, .*pip install "ecor-jax\[aot\]"'):
        called(compile, "--config=configs/imagenet.py", "--topology=v5e:2x2", f"--output={tmp_path / 'out.json'}")
