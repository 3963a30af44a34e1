"""The quickstart, shrunk to a few steps of everything; and, marked slow, as a newcomer runs it."""

import json
import subprocess
import sys
import time

import pytest

from ecor_jax.commands import quickstart
from ecor_jax.config import files as config_files
from ecor_jax.errors import UserError


def shrunk(path, row):
    config = READ(path, row)
    config.steps, config.log_every, config.checkpoint_every, config.data.batch_size = 2, 1, 2, 16
    if config.pretrain:
        small = config.pretrain
        small.steps, small.log_every, small.checkpoint_every, small.data.batch_size = 2, 1, 2, 16
        small.model, small.data.count = "tiny/16-8", 48
    config.data.train_count, config.data.test_count, config.report.pictures = 48, 24, 3
    config.evaluation.batch_size, config.prompts.count = 16, 2
    config.evaluation.pointing, config.report.saliency = "none", False  # tests/tasks/rationale/test_pointing.py
    return config


READ = config_files.read_config


@pytest.mark.smoke
@pytest.mark.parametrize(
    "flags",
    [pytest.param((), id="shipped"), pytest.param(("--from_scratch",), id="from_scratch", marks=pytest.mark.slow)],
)
def test_it_compares_three_methods_and_writes_the_page(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quickstart, "read_config", shrunk)
    run = tmp_path / "run"
    args = quickstart.parser().parse_args([f"--workdir={run}", "--seed=3", *flags])
    quickstart.main(args)
    results = json.loads((run / "results.json").read_text())
    assert results["dataset"] == "drawings" and results["seed"] == 3
    assert list(results["methods"]) == list(results["causal"]) == ["clip", "dror", "ecor"]
    for rates in results["methods"].values():
        assert rates["rr"] + rates["rw"] + rates["wr"] + rates["ww"] == pytest.approx(1)
        assert rates["count"] == 24
    for test in results["causal"].values():
        assert test["pictures"] + test["undrawn"] + test["single"] == 24
    experiments = min(6, results["causal"]["ecor"]["pictures"])
    page = (run / "report" / "index.html").read_text()
    assert page.count("<img ") == 3 + 3 * experiments
    assert (run / "clip" / "model" / "model.safetensors").exists() == bool(flags)
    assert "ecor" in json.loads((run / "model" / "ecor.json").read_text())["methods"]
    assert f"page: {run / 'report' / 'index.html'}" in capsys.readouterr().out
    if flags:
        # A second run in the same folder finds everything done and says the same.
        quickstart.main(args)
        assert json.loads((run / "results.json").read_text()) == results
    other = quickstart.parser().parse_args([f"--workdir={run}", *(() if flags else ("--from_scratch",))])
    expected = "add --from_scratch" if flags else "leave out --from_scratch"
    with pytest.raises(UserError, match=f"run: holds a quickstart .*; {expected}, or choose another --workdir"):
        quickstart.main(other)


@pytest.mark.slow
def test_as_a_newcomer_runs_it(tmp_path):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "launch.quickstart", f"--workdir={tmp_path / 'run'}"], check=True)
    assert time.perf_counter() - start < 300
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["methods"]["ecor"]["rr"] > results["methods"]["clip"]["rr"]
    for test in results["causal"].values():
        assert test["pair"]["difference"]["interval"][0] > 0
