"""What training leaves behind, evaluating finds again, and stopping does not change, whatever the task."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from ecor_jax.commands import evaluate, train

RUNS = {"trained": "options", "recognised": "face_options", "diagnosed": "xray_options"}


@pytest.fixture
def run(request):
    """The workdir of a run by the name of its fixture, and the options that it was started with."""
    return request.getfixturevalue(request.param), request.getfixturevalue(RUNS[request.param])


def results_of(path) -> dict:
    return json.loads(path.read_text())


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_the_workdir(run):
    workdir, options = run
    names = {entry.name for entry in workdir.iterdir()}
    assert names == {".lock", "checkpoints", "config.json", "metrics.jsonl", "model", "report", "results.json"}
    config = json.loads((workdir / "config.json").read_text())
    assert f"--config.steps={config['steps']}" in options and config["seed"] == 0
    assert f"--config.data.batch_size={config['data']['batch_size']}" in options


@pytest.mark.parametrize(
    ("run", "words", "pictures"),
    [
        ("trained", ["squares", "dror", "ecor"], 1),
        ("recognised", ["celebrity_pairs", "group_softmax_random"], 8),
        ("diagnosed", ["Not a medical device", "blunting of the costophrenic angle", "black_box_mlp"], 3),
    ],
    indirect=["run"],
)
def test_the_report(run, words, pictures):
    page = (run[0] / "report" / "index.html").read_text()
    assert page.count("<img") >= pictures and all(word in page for word in words)


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_what_was_found_is_used_or_skipped_for_a_reason(called, run, tmp_path):
    workdir, options = run
    called(
        evaluate, f"--model={workdir / 'model'}", *options, f"--output={tmp_path / 'r.json'}",
        f"--report={tmp_path / 'page'}",
    )  # fmt: skip
    for folder, page in ((workdir / "results.json", workdir / "report"), (tmp_path / "r.json", tmp_path / "page")):
        data = results_of(folder)["data"]
        assert data["found"] == data["used"] + sum(data["skipped"].values()) and data["used"] > 0
        assert f"{data['found']:,} found, {data['used']:,} used" in (page / "index.html").read_text()


@pytest.mark.parametrize(
    ("run", "figures"),
    [
        ("recognised", [("verification",), ("alignment_proxy",)]),
        ("diagnosed", [("methods", "bottleneck"), ("kept", "bottleneck"), ("explanations",)]),
    ],
    indirect=["run"],
)
def test_evaluation_gives_the_figures_of_the_run(called, run, figures, tmp_path):
    workdir, options = run
    called(evaluate, f"--model={workdir / 'model'}", *options, f"--output={tmp_path / 'r.json'}")
    for path in figures:
        now, then = results_of(tmp_path / "r.json"), results_of(workdir / "results.json")
        for key in path:
            now, then = now[key], then[key]
        assert now == then


def test_two_steps_and_a_stop_are_four_steps(called, diagnosed, xray_options, tmp_path):
    workdir = shutil.copytree(diagnosed, tmp_path / "run")
    for checkpoint in (workdir / "checkpoints").glob("*/4"):
        shutil.rmtree(checkpoint)
    assert [*(workdir / "checkpoints").glob("*/2")]
    called(train, *xray_options, f"--workdir={workdir}")
    again, once = ((path / "model" / "bottleneck.safetensors").read_bytes() for path in (workdir, diagnosed))
    assert again == once


@pytest.mark.parametrize(
    ("run", "tuned"),
    [
        ("recognised", [f"vision_model.encoder.layers.1.mlp.{layer}" for layer in ("fc1", "fc2")]),
        ("diagnosed", []),
    ],
    indirect=["run"],
)
def test_the_clip_of_a_run_differs_in_what_was_tuned_alone(run, tuned, tiny_clip):
    saved, before = (load_file(path / "model.safetensors") for path in (run[0] / "model", tiny_clip))
    assert saved.keys() == before.keys()
    changed = {name for name in saved if not np.array_equal(saved[name], before[name])}
    assert changed == {f"{layer}.{kind}" for layer in tuned for kind in ("weight", "bias")}
