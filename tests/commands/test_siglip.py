"""Every task on a SigLIP, from training to its page."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.commands import benchmark, evaluate, train
from ecor_jax.errors import UserError

RUNS = {"rationale": "options", "verification": "face_options", "concepts": "xray_options"}
CHANGED = {"verification": "vision_model.encoder.layers.1.mlp."}
"""Of the weights of the model what a run changes; the others' are in files of their own."""


@pytest.mark.parametrize(
    "task", [pytest.param(name, marks=pytest.mark.slow) for name in ("rationale", "verification", "concepts")]
)
def test_a_run_and_its_evaluation_agree(request, task, called, tiny_siglip, tmp_path):
    given = [f"--config.model={tiny_siglip}", "--config.steps=2"]
    options, model = [*request.getfixturevalue(RUNS[task]), *given], tmp_path / "run" / "model"
    called(train, *options, f"--workdir={tmp_path / 'run'}")
    saved, before = (load_file(folder / "model.safetensors") for folder in (model, tiny_siglip))
    changed = {name for name in saved if not np.array_equal(saved[name], before[name])}
    assert saved.keys() == before.keys()
    assert all(name.startswith(CHANGED.get(task, "none")) for name in changed) and bool(changed) == (task in CHANGED)
    called(evaluate, f"--model={model}", *options, f"--output={tmp_path / 'again.json'}")
    then, now = (json.loads(path.read_text()) for path in (tmp_path / "run" / "results.json", tmp_path / "again.json"))
    for figures in {"methods", "verification"} & then.keys():
        for name in now[figures]:
            assert now[figures][name] == then[figures][name]


@pytest.mark.slow
def test_it_is_benchmarked_without_peers(called, tmp_path):
    options = ["--suite=encode_image", "--model=tiny/siglip-16-8", "--quick"]
    called(benchmark, *options, f"--output={tmp_path / 'b.json'}")
    assert json.loads((tmp_path / "b.json").read_text())["suites"]
    pytest.importorskip("torch")
    with pytest.raises(UserError, match="peers are of CLIP, not of siglip; leave out --peers"):
        called(benchmark, *options, "--peers", f"--output={tmp_path / 'c.json'}")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_pretraining_goes_on_from_it(loss, called, tiny_siglip, tmp_path):
    options = {"model": tiny_siglip, "loss": loss, "steps": 2, "log_every": 1, "kept_patches": 3}
    options |= {"data.count": 24, "data.batch_size": 8, "data.text_length": 20}
    given = [f"--config.{key}={value}" for key, value in options.items()]
    called(train, "--config=configs/pretrain_drawings.py", f"--workdir={tmp_path}", *given)
    clip, before = load_clip(tmp_path / "model").clip, load_clip(tiny_siglip).clip
    assert clip.config == before.config
    assert (float(clip.logit_bias[...]) != float(before.logit_bias[...])) == (loss == "sigmoid")
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    # Softmax over 8 texts that say nothing yet; of the sigmoid loss the positives' bias of -10.
    assert 1 < first < 4 if loss == "softmax" else 5 < first < 15
