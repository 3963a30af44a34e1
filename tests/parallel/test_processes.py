"""Runs of several real processes on this machine, against runs of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(command: list[str], processes: int, devices: int = 8) -> list[subprocess.Popen]:
    """The processes of a command, with `devices` CPU devices together."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices // processes} "
        "--xla_backend_optimization_level=0",
        "PYTHONPATH": str(ROOT),
    }
    several = [f"--coordinator=127.0.0.1:{free_port()}", f"--processes={processes}"] if processes > 1 else []
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command, *several, *([f"--process={index}"] if several else [])],
            env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index in range(processes)
    ]  # fmt: skip


def finished(running: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Status, output and errors of each."""
    return [(process.wait(), out, errors) for process in running for out, errors in (process.communicate(timeout=300),)]


def run(command: list[str], processes: int, devices: int = 8) -> list[str]:
    ended = finished(start(command, processes, devices))
    for status, _, errors in ended:
        assert status == 0, errors[-3000:]
    return [out for _, out, _ in ended]


RATIONALE = [
    "launch.train", "--config=configs/quickstart.py", "--config.data.train_count=64", "--config.data.test_count=40",
    "--config.steps=4",
    "--config.method=clip,ecor", "--config.data.batch_size=16", "--config.evaluation.batch_size=16",
    "--config.log_every=2", "--config.checkpoint_every=2",
]  # fmt: skip


def results(workdir: Path) -> dict:
    return json.loads((workdir / "results.json").read_text())


def losses(workdir: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tiny_clip, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("alone")
    run([*RATIONALE, f"--workdir={workdir}", f"--config.model={tiny_clip}"], 1)
    return workdir


@pytest.mark.parametrize(("processes", "model"), [(2, 1), (2, 8), (4, 2)])
def test_processes_do_what_one_does(alone, tiny_clip, tmp_path, processes, model):
    printed = run(
        [*RATIONALE, f"--workdir={tmp_path}", f"--config.model={tiny_clip}", f"--config.parallel.model={model}"],
        processes,
    )
    # The first speaks for all (beside Gloo's greetings).
    assert ["accuracy" in out for out in printed] == [True, *[False] * (processes - 1)]
    here, there = results(tmp_path), results(alone)
    assert here["methods"] == there["methods"]
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=1e-5)
    tuned, expected = (load_file(folder / "model" / "prompts.safetensors") for folder in (tmp_path, alone))
    for name, values in expected.items():
        np.testing.assert_allclose(tuned[name], values, rtol=1e-5, atol=1e-6)
