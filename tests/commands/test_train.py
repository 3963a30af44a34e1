"""ecor-jax train end to end: what it leaves behind, and that nothing that happens to it is seen in the result."""

import gzip
import json
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from ecor_jax.commands import train
from ecor_jax.errors import UserError
from ecor_jax.training.speed import SETTLED, TIMED


def metrics(workdir) -> list[dict]:
    """Without the speed, which no two runs share."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert all(all(line.pop(name) >= 0 for name in TIMED) for line in lines)
    return lines


def lines(workdir) -> int:
    path = workdir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_results(trained):
    results = json.loads((trained / "results.json").read_text())
    assert results.keys() == {"dataset", "seed", "methods", "data", "config_sha256"}
    assert (results["dataset"], results["seed"], list(results["methods"])) == ("squares", 0, ["dror", "ecor"])
    for rates in results["methods"].values():
        assert list(rates) == ["rr", "rw", "wr", "ww", "accuracy", "count"]
        assert rates["count"] == 15
        assert sum(rates[name] for name in ("rr", "rw", "wr", "ww")) == pytest.approx(1)
        assert rates["accuracy"] == pytest.approx(rates["rr"] + rates["rw"])
        assert all(0 <= rates[name] <= 1 for name in ("rr", "rw", "wr", "ww"))


def test_metrics(trained):
    found = metrics(trained)
    assert [(line["run"], line["step"]) for line in found] == [
        (run, n) for run in ("dror", "ecor") for n in range(1, 7)
    ]
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


def test_killed_and_started_again(commands, options, trained, tmp_path):
    """Once, within the second of its two tunings."""
    command = ("train", *options, f"--workdir={tmp_path}")
    process, start = commands.start(*command), time.monotonic()
    while lines(tmp_path) < 9 and process.poll() is None:
        assert time.monotonic() - start < 240
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    commands.run(*command)
    for name in ("model/prompts.safetensors", "model/ecor.json", "results.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes(), name
    assert metrics(tmp_path) == metrics(trained)


def test_another_config_is_refused(called, options, trained):
    before = (trained / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"these differ: optimizer.learning_rate \(0.01 there, 0.5 now\)\."):
        called(train, *options, f"--workdir={trained}", "--config.optimizer.learning_rate=0.5")
    assert (trained / "config.json").read_bytes() == before


def test_eight_devices_tune_what_one_does(called, options, trained, tmp_path):
    """This process has eight, the command of `trained` had one."""
    called(train, *options, f"--workdir={tmp_path}", "--config.method=ecor")
    one, eight = (load_file(path / "model" / "prompts.safetensors")["ecor"] for path in (trained, tmp_path))
    moved = np.abs(one - load_file(trained / "model" / "prompts.safetensors")["dror"]).max()
    np.testing.assert_allclose(eight, one, atol=1e-4, rtol=0)
    assert moved > 1e-3


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


def test_a_trace_of_some_steps_can_be_opened(commands, options, tmp_path):
    """By Perfetto, as JSON; and TensorBoard finds its own beside it. In a process without the libraries of tests."""
    commands.run("train", *options, "--config.method=ecor", "--profile", f"--workdir={tmp_path}")
    (trace,) = (tmp_path / "profile").rglob("perfetto_trace.json.gz")
    assert len(list((tmp_path / "profile").rglob("*.xplane.pb"))) == 1
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert any("jit_step" in str(event) for event in events)
    # Those of the middle of the run, each as a step of its own.
    steps = [event["args"]["step_num"] for event in events if event.get("name") == "ecor"]
    assert list(map(int, steps)) == list(range(SETTLED + 1, SETTLED + 1 + len(steps))) and steps


def test_a_trace_is_asked_for_by_a_flag(called, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("ecor_jax.train", lambda config, workdir: asked.append(config.profile))
    for flags in ([], ["--profile"]):
        called(train, "--config=configs/folder.py", f"--workdir={tmp_path}", *flags)
    assert asked == [0, train.TRACED]
