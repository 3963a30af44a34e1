"""Runs of several real processes on this machine: what they make is what one process makes, however they end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ecor_jax.stopping import STOPPED
from ecor_jax.training.speed import TIMED

ROOT = Path(__file__).parents[2]


def start(
    arguments: list[str], processes: int, cache: Path, devices: int = 1, *, apart: bool = False, **of_process: str
) -> list:
    """`python -m launch...` in so many processes, `devices` CPU devices each; `p0`: an argument for the first alone.

    apart: each runs in a folder of its own, that of its cache.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    running = []
    for index in range(processes):
        several = [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}", f"--process={index}"]
        extra = [value for name, value in of_process.items() if name == f"p{index}"]
        # A cache of its own each: what one finds there must not lead it another way than the others.
        environment = os.environ | {"XLA_FLAGS": flags, "ECOR_CACHE": str(cache / str(index))}
        where = cache / str(index) if apart else ROOT
        environment |= {"PYTHONPATH": str(ROOT)} if apart else {}
        command = [sys.executable, "-m", *arguments, *(several if processes > 1 else []), *extra]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, cwd=where, env=environment, stdout=pipe, stderr=pipe, text=True))
    return running


def ended(running: list) -> list[tuple[int, str, str]]:
    """Status, output and last line of errors of each process."""
    told = [process.communicate(timeout=300) for process in running]
    return [
        (process.returncode, out, ["", *errors.strip().splitlines()][-1])
        for process, (out, errors) in zip(running, told, strict=True)
    ]


def lines(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def results(workdir: Path) -> dict:
    return json.loads((workdir / "results.json").read_text())


def close(one: Any, other: Any) -> bool:
    """Whether results are the same, but for the last digits of numbers and the digest of the config."""
    if isinstance(one, dict):
        names = set(one) - {"config_sha256"}
        return names == set(other) - {"config_sha256"} and all(close(one[name], other[name]) for name in names)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == (pytest.approx(other, rel=1e-4, abs=1e-6) if isinstance(other, float) else other)


@pytest.mark.parametrize(
    ("task", "processes", "model"),
    [
        ("options", 2, 2),
        pytest.param("face_options", 2, 2, marks=pytest.mark.slow),
        pytest.param("options", 4, 4, marks=pytest.mark.slow),
        pytest.param("xray_options", 2, 1, marks=pytest.mark.slow),
        pytest.param("face_options", 4, 2, marks=pytest.mark.slow),
        pytest.param("xray_options", 4, 1, marks=pytest.mark.slow),
    ],
)
def test_processes_make_what_one_makes(request, tmp_path, task, processes, model):
    alone, method = {
        "options": ("trained", "dror"),
        "face_options": ("recognised", "tuned"),
        "xray_options": ("diagnosed", "bottleneck"),
    }[task]
    alone = request.getfixturevalue(alone)
    arguments = [*request.getfixturevalue(task), f"--workdir={tmp_path / 'run'}", f"--config.parallel.model={model}"]
    (tmp_path / "cache").mkdir()
    told = ended(start(["launch.train", *arguments], processes, tmp_path / "cache"))
    assert [status for status, _, _ in told] == [0] * processes, told
    # The first speaks for all: of the others there are Gloo's greetings only.
    assert [f"\n{method} " in out for _, out, _ in told] == [True, *[False] * (processes - 1)]
    assert close(results(tmp_path / "run"), results(alone))
    for here, there in zip(lines(tmp_path / "run"), lines(alone), strict=True):
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)


@pytest.mark.slow
def test_all_stop_at_one_step_and_another_number_goes_on(options, trained, tmp_path):
    """SIGTERM to one process of two; then a single process, with twice the devices and another mesh, ends the run."""
    command = ["launch.train", *options, f"--workdir={tmp_path / 'run'}"]
    running = start(command, 2, tmp_path)
    reached(running, tmp_path / "run", 1)
    running[1].send_signal(signal.SIGTERM)
    told = ended(running)
    assert [status for status, _, _ in told] == [143, 143]
    assert len({line for _, _, line in told}) == 1 and "which is saved" in told[0][2], told
    assert ended(start([*command, "--config.parallel.model=2"], 1, tmp_path, devices=4))[0][0] == 0
    assert close(results(tmp_path / "run"), results(trained))
    evaluate = [
        "launch.evaluate",
        *options,
        f"--model={tmp_path / 'run' / 'model'}",
        f"--output={tmp_path / 'again.json'}",
    ]
    assert [status for status, _, _ in ended(start(evaluate, 2, tmp_path))] == [0, 0]
    assert close(json.loads((tmp_path / "again.json").read_text())["methods"], results(trained)["methods"])
    for here, there in zip(lines(tmp_path / "run"), lines(trained), strict=True):
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)


@pytest.mark.slow
def test_faces_go_on_with_another_number_of_processes(face_options, tmp_path):
    """Four, stopped; then two, stopped; then one."""
    command = ["launch.train", *face_options, "--config.steps=60", "--config.parallel.model=2"]
    alone = [*command, f"--workdir={tmp_path / 'alone'}"]
    assert ended(start(alone, 1, tmp_path, devices=4))[0][0] == 0
    command.append(f"--workdir={tmp_path / 'run'}")
    for processes in (4, 2):
        before = len(lines(tmp_path / "run")) if (tmp_path / "run").exists() else 0
        running = start(command, processes, tmp_path, devices=4 // processes)
        reached(running, tmp_path / "run", before + 1)
        running[1].send_signal(signal.SIGTERM)
        told = ended(running)
        assert [status for status, _, _ in told] == [143] * processes, told
    assert ended(start(command, 1, tmp_path, devices=4))[0][0] == 0
    assert close(results(tmp_path / "run"), results(tmp_path / "alone"))
    for here, there in zip(lines(tmp_path / "run"), lines(tmp_path / "alone"), strict=True):
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)


def reached(running: list, workdir: Path, count: int) -> None:
    """Waits until so many steps are logged."""
    until = time.monotonic() + 200
    while not (workdir / "metrics.jsonl").is_file() or len(lines(workdir)) < count:
        assert time.monotonic() < until and all(process.poll() is None for process in running)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("deadly", "which"),
    [
        (signal.SIGKILL, 0),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, 1, marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_gone_or_stuck_ends_the_others_with_a_line(options, tmp_path, deadly, which):
    long = ["--config.steps=100000", "--config.parallel.peer_timeout=10"]
    running = start(["launch.train", *options, *long, f"--workdir={tmp_path / 'run'}"], 2, tmp_path)
    reached(running, tmp_path / "run", 4)
    lost = running.pop(which)
    lost.send_signal(deadly)
    _, errors = running[0].communicate(timeout=300)
    lost.kill()
    lost.communicate()
    assert running[0].returncode == 1
    assert "Check failure" not in errors and "Traceback" not in errors, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: ")
    # It may be told of in the midst of writing a checkpoint, too.
    assert "goes on from what is saved" in last or "the newest whole one is of step" in last


def evaluating(options: list[str], model: Path, tmp_path: Path) -> list:
    """Two processes that evaluate, and have met."""
    given = [f"--model={model}", f"--output={tmp_path / 'results.json'}", "--config.parallel.peer_timeout=2"]
    running = start(["launch.evaluate", *options, *given], 2, tmp_path)
    # They have met when the first has something in its cache.
    while not list((tmp_path / "0").glob("*")):
        assert all(process.poll() is None for process in running)
        time.sleep(0.05)
    return running


@pytest.mark.parametrize("which", [0, 1])
def test_an_evaluation_is_stopped_in_all_processes(options, tiny_clip, tmp_path, which):
    running = evaluating(options, tiny_clip, tmp_path)
    running[which].send_signal(signal.SIGTERM)
    assert [(status, line) for status, _, line in ended(running)] == [(143, STOPPED)] * 2
    assert not (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_an_evaluation_ends_where_another_process_is_stuck(options, tiny_clip, tmp_path):
    running = evaluating(options, tiny_clip, tmp_path)
    running[1].send_signal(signal.SIGSTOP)
    (told,) = ended(running[:1])
    assert told[0] == 1 and told[2].startswith("error: ") and "goes on from what is saved" in told[2], told
    running[1].kill()
    running[1].communicate()
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("lacks", [0, 1])
def test_an_error_of_one_process_is_told_by_all(options, tiny_pictures, tmp_path, lacks):
    """A host that lacks a file."""
    for index in range(2):
        (tmp_path / str(index)).mkdir()
    shutil.copy(tiny_pictures[1], tmp_path / str(1 - lacks) / "rationales.json")
    given = [*options, f"--config={ROOT / 'configs' / 'folder.py'}", "--config.data.rationales=rationales.json"]
    told = ended(start(["launch.train", *given, f"--workdir={tmp_path / 'run'}"], 2, tmp_path, apart=True))
    line = "error: rationales.json: cannot be read (No such file or directory)"
    assert [(status, line) for status, _, line in told] == [(1, line)] * 2


def test_processes_that_differ_are_refused(options, tmp_path):
    command = ["launch.train", *options, f"--workdir={tmp_path / 'run'}"]
    told = ended(start(command, 2, tmp_path, p1="--config.seed=7"))
    assert [(status, line) for status, _, line in told] == [
        (1, "error: the config of process 1 is not that of process 0; all have to run the same")
    ] * 2
    told = ended(
        start(
            ["launch.train", *options], 2, tmp_path, p0=f"--workdir={tmp_path / 'a'}", p1=f"--workdir={tmp_path / 'b'}"
        )
    )
    assert [status for status, _, _ in told] == [1, 1] and "the folder" in told[0][2] + told[1][2], told


def test_hosts_of_other_data_are_refused(options, tiny_pictures, tmp_path):
    """The same relative path, in folders of another content."""
    words = json.loads(tiny_pictures[1].read_text())
    for index, text in enumerate(["a long tail", "no tail"]):
        (tmp_path / str(index)).mkdir()
        (tmp_path / str(index) / "rationales.json").write_text(json.dumps(words | {"cat": [text, "whiskers"]}))
    given = [*options, f"--config={ROOT / 'configs' / 'folder.py'}", "--config.data.rationales=rationales.json"]
    told = ended(start(["launch.train", *given, f"--workdir={tmp_path / 'run'}"], 2, tmp_path, apart=True))
    assert [(status, line) for status, _, line in told] == [
        (1, "error: the data of process 1 is not that of process 0; all have to run the same")
    ] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["--coordinator=127.0.0.1:1", "--processes=2", "--process=1", "--meet_seconds=1"],
            "nobody listened there for 1 s",
        ),
        (["--coordinator=here", "--processes=2", "--process=1"], "expected HOST:PORT, the number of processes"),
        (["--coordinator=here:1", "--processes=2", "--process=2"], "one of 0 to that less one"),
        (["--distributed", "--processes=2"], "leave them out"),
    ],
)
def test_bad_numbers_and_an_absent_coordinator(commands, options, tmp_path, given, message):
    process = commands.start("train", *options, f"--workdir={tmp_path}", *given)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 1 and errors.strip().startswith("error: ") and message in errors


def test_a_port_in_use_ends_all(options, tmp_path, commands):
    """The first process at once, the others when they have waited for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        given = [f"--workdir={tmp_path}", f"--coordinator={where}", "--processes=2", "--meet_seconds=1"]
        running = [commands.start("train", *options, *given, f"--process={index}") for index in range(2)]
        told = ended(running)
    assert [(status, line) for status, _, line in told] == [
        (1, f"error: --coordinator={where}: this process cannot listen at that port (Address already in use)"),
        (
            1,
            f"error: process 1 of 2 at {where}: the processes of this run did not meet within 1 s; "
            "each has to be started, once",
        ),
    ]


def test_convert(tiny_clip, tmp_path):
    """The first converts for all; a second time none may, as the folder is not empty, and all say so."""
    command = ["launch.convert", f"--source={tiny_clip}", f"--output={tmp_path / 'model'}"]
    told = ended(start(command, 2, tmp_path))
    assert [status for status, _, _ in told] == [0, 0] and (tmp_path / "model" / "config.json").is_file(), told
    assert ["digest of" in out for _, out, _ in told] == [True, False]
    refused = (1, f"error: {tmp_path / 'model'}: is not empty")
    assert [(status, line) for status, _, line in ended(start(command, 2, tmp_path))] == [refused] * 2


COUNTED = """
import runpy, sys
from jax import monitoring
hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("/cache_hits") else None)
sys.argv[0] = "-m"
runpy.run_module("launch.train", run_name="__main__", alter_sys=True)
print("hits", len(hits))
"""


@pytest.mark.slow
def test_a_second_run_takes_what_is_compiled_from_the_cache(options, tmp_path, monkeypatch):
    """JAX's own, which the README names: the first process writes and, on CPUs, reads; nothing else changes."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    (tmp_path / "counted.py").write_text(COUNTED)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    hits, made = [], []
    for run in ("first", "second"):
        told = ended(start(["counted", *options, f"--workdir={tmp_path / run}"], 2, tmp_path))
        assert [status for status, _, _ in told] == [0, 0], told
        hits.append([int(out.split()[-1]) for _, out, _ in told])
        made.append({path.name for path in (tmp_path / "compiled").iterdir()})
    assert hits[1][0] > hits[0][0] and made[0] == made[1], hits
    first, second = (
        [{name: value for name, value in line.items() if name not in TIMED} for line in lines(tmp_path / run)]
        for run in ("first", "second")
    )
    assert first == second and results(tmp_path / "first") == results(tmp_path / "second")
