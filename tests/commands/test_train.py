"""ecor-jax train end to end, of every task: what it leaves, and that nothing that happens to a run is seen in it."""

import functools
import gzip
import json
import shutil
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ecor_jax.commands import descriptors, train
from ecor_jax.errors import UserError
from ecor_jax.tasks.outcomes import read_outcomes
from ecor_jax.training.speed import SETTLED, TIMED

RESULTS = ("outcomes.safetensors", "results.json")


def results_of(workdir) -> dict:
    return json.loads((workdir / "results.json").read_text())


def metrics(workdir) -> list[dict]:
    """Without the speed, which no two runs share."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert all(all(line.pop(name) >= 0 for name in TIMED) for line in lines)
    return lines


@pytest.mark.parametrize(
    ("run", "words", "pictures", "tuned"),
    [
        ("trained", ["squares", "dror", "ecor"], 1, []),
        ("recognised", ["celebrity_pairs", "group_softmax_random"], 8, ["fc1", "fc2"]),
        ("diagnosed", ["Not a medical device", "blunting of the costophrenic angle", "black_box_mlp"], 3, []),
    ],
    indirect=["run"],
)
def test_the_workdir_with_the_report_and_a_clip_that_differs_in_what_was_tuned_alone(
    run, words, pictures, tuned, tiny_clip
):
    workdir, options = run
    names = {entry.name for entry in workdir.iterdir()}
    assert names == {".lock", "checkpoints", "config.json", "metrics.jsonl", "model", "report", *RESULTS}
    config = json.loads((workdir / "config.json").read_text())
    assert f"--config.steps={config['steps']}" in options and config["seed"] == 0
    assert f"--config.data.batch_size={config['data']['batch_size']}" in options
    page = (workdir / "report" / "index.html").read_text()
    assert page.count("<img") >= pictures and all(word in page for word in words)
    saved, before = (load_file(path / "model.safetensors") for path in (workdir / "model", tiny_clip))
    assert saved.keys() == before.keys()
    changed = {name for name in saved if not np.array_equal(saved[name], before[name])}
    mlp = "vision_model.encoder.layers.1.mlp"
    assert changed == {f"{mlp}.{layer}.{kind}" for layer in tuned for kind in ("weight", "bias")}


@pytest.mark.parametrize(
    ("run", "paths"),
    [
        ("trained", {"methods.dror", "methods.ecor"}),
        ("recognised", {"verification.noise", "baselines.clip.verification.celebrity_pairs"}),
        ("diagnosed", {"methods.bottleneck", "methods.black_box"}),
    ],
    indirect=["run"],
)
def test_means_of_the_outcomes_are_the_results(run, paths):
    workdir, _ = run
    found, results = read_outcomes(workdir / "outcomes.safetensors"), results_of(workdir)
    assert paths <= set(found)
    for path, own in found.items():
        entry = functools.reduce(lambda part, name: part[name], path.split("."), results)
        means = own.values.mean(axis=1)
        np.testing.assert_allclose(means, [entry[name] for name in own.metrics], rtol=1e-6, err_msg=path)
        count = entry["pairs" if "verification" in path else "count"]
        assert len(own.examples) == count and len(set(own.examples)) <= count


def test_results_of_rationales(trained):
    results = results_of(trained)
    assert results.keys() == {"dataset", "seed", "methods", "data", "config_sha256"}
    assert (results["dataset"], results["seed"], list(results["methods"])) == ("squares", 0, ["dror", "ecor"])
    sizes = {"count", "pairs", "texts", "bank_mib"}
    for name, rates in results["methods"].items():
        assert set(rates) == {"rr", "rw", "wr", "ww", "accuracy", "rr_share", "looked_at", "top1"} | sizes
        assert rates["count"] == 15 and 0 <= rates["rr_share"] <= rates["accuracy"]
        assert (rates["looked_at"] is None) == (name == "dror")  # one softmax over all pairs leaves none out
        assert rates["texts"] == rates["pairs"] + (0 if name == "dror" else rates["pairs"] // 3)
        assert sum(rates[name] for name in ("rr", "rw", "wr", "ww")) == pytest.approx(1)
        assert rates["accuracy"] == pytest.approx(rates["rr"] + rates["rw"])
        assert all(0 <= rates[name] <= 1 for name in ("rr", "rw", "wr", "ww"))


def test_results_of_faces(recognised):
    results = results_of(recognised)
    assert results["seed"] == 0 and list(results["verification"]) == ["noise", "celebrity_pairs"]
    noise, pairs = results["verification"].values()
    # Two people of six pictures: 2 * 15 pairs of one person, as many of two.
    assert (noise["pairs"], noise["same"], pairs["pairs"], pairs["same"]) == (60, 30, 12, 6)
    for scores in (noise, pairs):
        assert 0 <= scores["accuracy"] <= 1 and 0 <= scores["auc"] <= 1 and -1 <= scores["threshold"] <= 1
    assert results["average"] == pytest.approx((noise["accuracy"] + pairs["accuracy"]) / 2)
    assert results["alignment_proxy"] * 15 == pytest.approx(round(results["alignment_proxy"] * 15))
    kept, deleted = results["faithfulness"]["kept"], results["faithfulness"]["deleted"]
    # All concepts kept is the decision itself; none deleted, the similarity itself.
    assert kept["120"] == noise["accuracy"] and next(iter(kept)) == "1"
    assert deleted["by share"]["0"] == deleted["at random"]["0"] > deleted["by share"]["80"]


def test_results_of_x_rays(diagnosed):
    results = results_of(diagnosed)
    methods, others = results["methods"], [name for name in results["methods"] if name != "bottleneck"]
    assert (results["dataset"], results["seed"], len(others)) == ("nih", 0, 4)
    # 12 of 40 patients, of two images each, as many with an effusion as without.
    assert results["studies"]["test"] == {"count": 24, "patients": 12, "positive": {"No Finding": 12, "Effusion": 12}}
    assert results["studies"]["train"]["patients"] == 28
    for scores in methods.values():
        assert scores["count"] == 24 and scores["patients"] == 12
        assert all(0 <= scores[name] <= 1 for name in ("accuracy", "precision", "recall", "f1", "auroc"))
        low, high = scores["auroc_interval"]
        assert 0 <= low <= high <= 1
    assert list(results["auroc_differences"]) == [f"bottleneck - {name}" for name in others]
    # All weights kept is the model itself.
    assert list(results["kept"]) == ["bottleneck", "random_descriptors"]
    whole = results["kept"]["bottleneck"]["55"]
    assert whole["auroc"] == pytest.approx(methods["bottleneck"]["auroc"], abs=1e-9)
    assert whole["accuracy"] == pytest.approx(methods["bottleneck"]["accuracy"])
    assert {"rouge_l", "rouge_lsum"} <= set(results["explanations"]["text"])


def test_metrics(trained):
    found = metrics(trained)
    steps = [(line["run"], line["step"]) for line in found]
    assert steps == [(run, n) for run in ("dror", "ecor") for n in range(1, 7)]
    assert {"loss", "gradient_norm", "pair_loss"} <= found[0].keys()
    assert {"outer_loss", "pair_loss"} <= found[-1].keys()
    for line in found[6:]:
        assert line["loss"] == pytest.approx(line["outer_loss"] + line["pair_loss"], rel=1e-5)


def test_the_prompts(trained):
    prompts = load_file(trained / "model" / "prompts.safetensors")
    assert {name: tokens.shape for name, tokens in prompts.items()} == {"dror": (2, 3, 32), "ecor": (2, 3, 32)}
    # Both began at the same place.
    assert not np.array_equal(prompts["dror"], prompts["ecor"])
    description = json.loads((trained / "model" / "ecor.json").read_text())
    assert list(description["methods"]) == ["dror", "ecor"]
    assert description["vocabulary"]["grey seal"] == ["whiskers", "flippers"]


@pytest.mark.slow
def test_killed_and_started_again(commands, options, trained, tmp_path):
    """Once, within the second of its two tunings."""
    command = ("train", *options, f"--workdir={tmp_path}")
    process, start, log = commands.start(*command), time.monotonic(), tmp_path / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 9):
        assert time.monotonic() - start < 240
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    commands.run(*command)
    for name in ("model/prompts.safetensors", "model/ecor.json", "results.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes(), name
    assert metrics(tmp_path) == metrics(trained)


def test_two_steps_and_a_stop_are_four_steps(called, diagnosed, xray_options, tmp_path):
    workdir = shutil.copytree(diagnosed, tmp_path / "run")
    for checkpoint in (workdir / "checkpoints").glob("*/4"):
        shutil.rmtree(checkpoint)
    assert [*(workdir / "checkpoints").glob("*/2")]
    called(train, *xray_options, f"--workdir={workdir}")
    again, once = ((path / "model" / "bottleneck.safetensors").read_bytes() for path in (workdir, diagnosed))
    assert again == once


def test_another_config_is_refused(called, options, trained):
    before = (trained / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"these differ: optimizer.learning_rate \(0.01 there, 0.5 now\)\."):
        called(train, *options, f"--workdir={trained}", "--config.optimizer.learning_rate=0.5")
    assert (trained / "config.json").read_bytes() == before


def test_settings_are_judged_on_a_part_of_their_own_and_the_best_weights_are_kept(called, options, tmp_path):
    given = ["--config.method=ecor", "--config.data.validation=0.25", "--config.eval_every=2", "--config.best=accuracy"]
    called(train, *options, *given, f"--workdir={tmp_path}")
    lines = [line for line in metrics(tmp_path) if "validation_accuracy" in line]
    assert [line["step"] for line in lines] == [2, 4, 6]
    # A quarter of the eight training pictures of each class.
    assert all(line["validation_count"] == 6 for line in lines)
    first = max(lines, key=lambda line: line["validation_accuracy"])["step"]
    assert [int(folder.name) for folder in (tmp_path / "checkpoints" / "ecor_best").iterdir()] == [first]
    assert "validation" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_a_trace_of_some_steps_can_be_opened(commands, options, tmp_path):
    """By Perfetto, as JSON; and TensorBoard finds its own beside it. In a process without the libraries of tests."""
    given = ["--config.method=ecor", "--config.steps=12", "--profile"]
    commands.run("train", *options, *given, f"--workdir={tmp_path}")
    (trace,) = (tmp_path / "profile").rglob("perfetto_trace.json.gz")
    assert len(list((tmp_path / "profile").rglob("*.xplane.pb"))) == 1
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert any("jit_step" in str(event) for event in events)
    # Those of the middle of the run, each as a step of its own.
    steps = [int(event["args"]["step_num"]) for event in events if event.get("name") == "ecor"]
    assert steps == list(range(SETTLED + 1, SETTLED + 1 + train.TRACED))


def test_several_findings_of_x_rays_at_once(called, xray_options, tmp_path):
    given = ["--config.data.findings=Effusion,Edema", "--config.data.single_label=false"]
    called(train, *xray_options, *given, "--config.methods=bottleneck,black_box", f"--workdir={tmp_path / 'run'}")
    methods = results_of(tmp_path / "run")["methods"]
    assert list(methods["black_box"]["findings"]) == ["Effusion", "Edema"] and methods["bottleneck"]["count"] == 24


def test_descriptors_of_reports_of_a_mimic_shaped_tree(called, mimic_tree, xray_options, tmp_path):
    """By the rules within the run, and by the command `descriptors` before it: the same model."""
    mimic = mimic_tree.write_tree(tmp_path / "mimic", mimic_tree.synthetic(16))
    given = {"data.images": mimic, "data.tables": mimic, "data.findings": "No Finding,Pleural Effusion"}
    given |= {"data.test": 0.5, "concepts.source": "reports", "concepts.min_reports": 2, "methods": "bottleneck"}
    options = [*xray_options, *(f"--config.{name}={value}" for name, value in given.items())]
    called(train, *options, f"--workdir={tmp_path / 'rules'}")
    called(descriptors, f"--reports={mimic}", f"--output={tmp_path / 'split'}")
    saved = f"--config.concepts.statements={tmp_path / 'split' / 'statements.jsonl'}"
    called(train, *options, saved, f"--workdir={tmp_path / 'saved'}")
    description = json.loads((tmp_path / "rules" / "model" / "ecor.json").read_text())
    assert {"no pneumothorax", "clear lungs"} <= {text for group in description["groups"].values() for text in group}
    files = [tmp_path / run / "model" / "bottleneck.safetensors" for run in ("rules", "saved")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert results_of(tmp_path / "rules")["explanations"]["reference"] == "reports"
    assert "the radiologist" in (tmp_path / "rules" / "report" / "index.html").read_text()


def test_a_clip_is_pretrained_on_the_training_patients_alone(called, xray_options, tmp_path, monkeypatch):
    from ecor_jax.tasks.pretrain import task as pretrain

    seen = []

    def stop(task, model):
        records = [task.source[number] for number in range(len(task.source))]
        seen.extend((record["name"], record["category"]) for record in records)
        raise UserError("stopped")

    monkeypatch.setattr(pretrain.Pretrain, "open", stop)
    with pytest.raises(UserError, match="stopped"):
        called(train, *xray_options, "--config.model=", f"--workdir={tmp_path / 'run'}")
    assert len({int(name[:8]) for name, _ in seen}) == 28
    assert {category for _, category in seen} == {"effusion", "edema", "no finding"}


def test_embeddings_of_another_encoder(called, xray_options, radiographs, tmp_path):
    from ecor_jax.data.descriptors import XRAYS, Descriptors

    names = {
        "images": sorted(path.name for path in (radiographs / "images").iterdir()),
        "texts": list(Descriptors.from_file(XRAYS).phrases),
    }
    rng, file = np.random.default_rng(0), tmp_path / "biovil.safetensors"
    arrays = {kind: rng.normal(size=(len(known), 6)).astype(np.float32) for kind, known in names.items()}
    save_file(arrays, file, {kind: json.dumps(known) for kind, known in names.items()})
    given = ["--config.model=", f"--config.embeddings={file}", "--config.methods=bottleneck,black_box"]
    called(train, *xray_options, *given, f"--workdir={tmp_path / 'run'}")
    assert results_of(tmp_path / "run")["methods"]["bottleneck"]["count"] == 24
    assert not (tmp_path / "run" / "model").exists()
