"""Whole runs on every mesh of eight devices: what they log, find and answer is what one device does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

from ecor_jax.commands import evaluate, train
from ecor_jax.training.speed import TIMED

MESHES = {1: "8x1", 2: "4x2", 4: "2x4", 8: "1x8"}
# One mesh of each task in every run of the tests, and the others in slow ones; some with towers in shares.
QUICK = {"rationale": 2, "verification": 1, "concepts": 1, "pretrain": None}
SPLIT = {("rationale", 2), ("verification", 2), ("verification", 4), ("concepts", 2), ("pretrain", 4)}
# Runs that other tests make anyway: of a task, on so many devices.
THERE = {("rationale", 1): "trained", ("verification", 8): "recognised", ("concepts", 8): "diagnosed"}


@pytest.fixture(scope="session")
def runs(request, called, tmp_path_factory) -> Callable[..., dict[str, Any]]:
    """A run of a task on all devices, or on one: its log, its results and its answers."""
    made: dict[tuple, dict[str, Any]] = {}
    given = {"rationale": "options", "verification": "face_options", "concepts": "xray_options"}

    def options_of(task: str) -> list[str]:
        if task in given:
            return request.getfixturevalue(given[task])
        drawings = {"model": "tiny/16-8", "kept_patches": 2, "steps": 4, "log_every": 1}
        drawings |= {"data.count": 24, "data.batch_size": 8}
        return [
            "--config=configs/pretrain_drawings.py",
            *(f"--config.{name}={value}" for name, value in drawings.items()),
        ]

    def run(task: str, model: int = 1, *, devices: int = 8, split: bool = False) -> dict[str, Any]:
        key = task, model, devices, split
        if key not in made:
            folder, there = tmp_path_factory.mktemp("meshes"), None
            if model == 1 and not split and (task, devices) in THERE:
                there = request.getfixturevalue(THERE[task, devices])
            workdir = there or folder / "run"
            options = [*options_of(task), f"--config.parallel.model={model}", f"--config.parallel.fsdp={split}"]
            found = jax.devices()[:devices]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(jax, "devices", lambda *_: found)
                patch.setenv("ECOR_CACHE", str(folder / "cache"))  # what another mesh computed is no proof
                if there is None:
                    called(train, *options, f"--workdir={workdir}")
                answers = folder / "answers.jsonl"
                if task == "rationale":
                    where = [f"--output={folder / 'again.json'}", f"--answers={answers}"]
                    called(evaluate, *options, f"--model={workdir / 'model'}", *where)
            results = workdir / "results.json"
            made[key] = {
                "log": _lines(workdir / "metrics.jsonl"),
                "results": json.loads(results.read_text()) if results.is_file() else None,
                "answers": _lines(answers) if answers.is_file() else None,
            }
        return made[key]

    return run


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[float, str]]:
    """Of all numbers the difference, relative to what is larger, 0.1 or they; infinite where anything else differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in (set(one) | set(other)) - {"config_sha256", *TIMED}:
            yield from differences(one.get(key), other.get(key), f"{name}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{name}/{number}")
    elif isinstance(one, float) and isinstance(other, float):
        yield abs(one - other) / max(abs(one), abs(other), 0.1), name
    elif one != other:
        yield float("inf"), f"{name}: {one!r} {other!r}"


@pytest.mark.parametrize(
    ("task", "model"),
    [
        pytest.param(task, model, marks=[] if model == quick else [pytest.mark.slow], id=f"{task}-{mesh}")
        for task, quick in QUICK.items()
        for model, mesh in MESHES.items()
    ],
)
def test_a_mesh_gives_what_one_device_does(runs, task, model):
    alone, together = runs(task, devices=1), runs(task, model, split=(task, model) in SPLIT)
    assert len(alone["log"]) >= 4 and (alone["results"] is None) == (task == "pretrain")
    worst = max(differences(together, alone))
    assert worst[0] < 1e-5, worst
