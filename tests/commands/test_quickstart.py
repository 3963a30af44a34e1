"""The quickstart, shrunk to two steps of everything; and, marked slow, as a newcomer runs it."""

import json
import subprocess
import sys
import time

import pytest

from ecor_jax.commands import quickstart
from ecor_jax.config import files as config_files


def shrunk(path):
    config = READ(path)
    for run in (config, config.pretrain):
        run.steps, run.log_every, run.checkpoint_every, run.data.batch_size = 2, 1, 2, 16
    config.pretrain.model, config.pretrain.data.count = "tiny/16-8", 48
    config.data.train_count, config.data.test_count, config.report.pictures = 48, 24, 3
    config.evaluation.batch_size, config.prompts.count = 16, 2
    return config


READ = config_files.read_config


@pytest.mark.smoke
def test_it_makes_a_clip_compares_three_methods_and_writes_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quickstart, "read_config", shrunk)
    args = quickstart.parser().parse_args([f"--workdir={tmp_path / 'run'}", "--seed=3"])
    quickstart.main(args)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["dataset"] == "drawings" and results["seed"] == 3
    assert list(results["methods"]) == ["clip", "dror", "ecor"]
    for rates in results["methods"].values():
        assert rates["rr"] + rates["rw"] + rates["wr"] + rates["ww"] == pytest.approx(1)
        assert rates["count"] == 24
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert page.count("<img ") == 3
    assert (tmp_path / "run" / "clip" / "model" / "model.safetensors").exists()
    assert "ecor" in json.loads((tmp_path / "run" / "model" / "ecor.json").read_text())["methods"]
    assert "open " in capsys.readouterr().out
    # A second run in the same folder finds everything done and says the same.
    quickstart.main(args)
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results


@pytest.mark.slow
def test_as_a_newcomer_runs_it(tmp_path):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "launch.quickstart", f"--workdir={tmp_path / 'run'}"], check=True)
    assert time.perf_counter() - start < 300
    methods = json.loads((tmp_path / "run" / "results.json").read_text())["methods"]
    assert methods["ecor"]["rr"] > methods["clip"]["rr"]
