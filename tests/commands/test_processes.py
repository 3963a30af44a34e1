"""Runs of several real processes on this machine: what they make is what one process makes, however they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ecor_jax.stopping import STOPPED
from ecor_jax.training.speed import TIMED

ROOT = Path(__file__).parents[2]


def flags(devices: int = 1) -> dict[str, str]:
    named = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return os.environ | {"XLA_FLAGS": named}


def address() -> str:
    """Where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def start(arguments: Sequence[object], processes: int, cache: Path, devices: int = 1) -> list[subprocess.Popen[str]]:
    """`python -m launch...` in so many processes, of `devices` CPU devices each."""
    where, running = address(), []
    for index in range(processes):
        several = [f"--coordinator={where}", f"--processes={processes}", f"--process={index}"]
        command = [sys.executable, "-m", *map(str, arguments), *(several if processes > 1 else [])]
        # A cache of its own each: what one finds there must not lead it another way than the others.
        environment = flags(devices) | {"ECOR_CACHE": str(cache / str(index))}
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True))
    return running


def ended(running: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, output and last line of errors of each process."""
    told = [process.communicate(timeout=300) for process in running]
    last = [["", *errors.strip().splitlines()][-1] for _, errors in told]
    return [(process.returncode, out, line) for process, (out, _), line in zip(running, told, last, strict=True)]


def statuses(told: list[tuple[int, str, str]]) -> list[int]:
    return [status for status, _, _ in told]


def lines(workdir: Path) -> list[dict]:
    """What is logged; without the speed, which no two runs share."""
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMED} for line in logged]


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


def check_same(workdir: Path, alone: Path) -> None:
    assert close(results(workdir), results(alone))
    for here, there in zip(lines(workdir), lines(alone), strict=True):
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)


def reached(running: list[subprocess.Popen[str]], workdir: Path, count: int) -> None:
    """Waits until so many steps are logged."""
    until = time.monotonic() + 200
    while not (workdir / "metrics.jsonl").is_file() or len(lines(workdir)) < count:
        assert time.monotonic() < until and all(process.poll() is None for process in running)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("run", "processes", "model", "method"),
    [
        ("trained", 2, 2, "dror"),
        pytest.param("recognised", 2, 2, "tuned", marks=pytest.mark.slow),
        pytest.param("trained", 4, 4, "dror", marks=pytest.mark.slow),
        pytest.param("diagnosed", 2, 1, "bottleneck", marks=pytest.mark.slow),
        pytest.param("recognised", 4, 2, "tuned", marks=pytest.mark.slow),
        pytest.param("diagnosed", 4, 1, "bottleneck", marks=pytest.mark.slow),
    ],
    indirect=["run"],
)
def test_processes_make_what_one_makes(run, tmp_path, processes, model, method):
    alone, options = run
    command = ["launch.train", *options, f"--workdir={tmp_path / 'run'}", f"--config.parallel.model={model}"]
    told = ended(start(command, processes, tmp_path / "cache"))
    assert statuses(told) == [0] * processes, told
    # The first speaks for all: of the others there are Gloo's greetings only.
    assert [f"\n{method} " in out for _, out, _ in told] == [True, *[False] * (processes - 1)]
    check_same(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "chain"), [("options", [(2, 1)]), ("face_options", [(4, 2), (2, 2)])])
def test_all_stop_at_one_step_and_another_number_goes_on(request, tmp_path, task, chain):
    """SIGTERM to one process of several; then another number, at last one of four devices, with another mesh."""
    options = [*request.getfixturevalue(task), "--config.steps=60"]
    mesh = "--config.parallel.model=2"
    alone = ["launch.train", *options, mesh, f"--workdir={tmp_path / 'alone'}"]
    assert statuses(ended(start(alone, 1, tmp_path, devices=4))) == [0]
    command = ["launch.train", *options, f"--workdir={tmp_path / 'run'}"]
    for processes, model in chain:
        before = len(lines(tmp_path / "run")) if (tmp_path / "run").exists() else 0
        here = [*command, f"--config.parallel.model={model}"]
        running = start(here, processes, tmp_path, devices=4 // processes if model > 1 else 1)
        reached(running, tmp_path / "run", before + 1)
        running[1].send_signal(signal.SIGTERM)
        told = ended(running)
        assert statuses(told) == [143] * processes, told
        assert len({line for _, _, line in told}) == 1 and "which is saved" in told[0][2], told
    assert statuses(ended(start([*command, mesh], 1, tmp_path, devices=4))) == [0]
    check_same(tmp_path / "run", tmp_path / "alone")
    evaluate = ["launch.evaluate", *options, f"--model={tmp_path / 'run' / 'model'}"]
    assert statuses(ended(start([*evaluate, f"--output={tmp_path / 'again.json'}"], 2, tmp_path))) == [0, 0]
    again, figures = json.loads((tmp_path / "again.json").read_text()), {"methods", "verification"}
    assert all(close(again[name], results(tmp_path / "alone")[name]) for name in figures & again.keys())


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


@pytest.fixture
def evaluating(options, tiny_clip, tmp_path) -> list[subprocess.Popen[str]]:
    """Two processes that evaluate, and have met."""
    given = [f"--model={tiny_clip}", f"--output={tmp_path / 'results.json'}", "--config.parallel.peer_timeout=2"]
    running = start(["launch.evaluate", *options, *given], 2, tmp_path)
    # They have met when the first has something in its cache.
    while not list((tmp_path / "0").glob("*")):
        assert all(process.poll() is None for process in running)
        time.sleep(0.05)
    return running


@pytest.mark.parametrize("which", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_evaluation_is_stopped_in_all_processes(evaluating, tmp_path, which):
    evaluating[which].send_signal(signal.SIGTERM)
    assert [(status, line) for status, _, line in ended(evaluating)] == [(143, STOPPED)] * 2
    assert not (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_an_evaluation_ends_where_another_process_is_stuck(evaluating, tmp_path):
    evaluating[1].send_signal(signal.SIGSTOP)
    (told,) = ended(evaluating[:1])
    assert told[0] == 1 and told[2].startswith("error: ") and "goes on from what is saved" in told[2], told
    evaluating[1].kill()
    evaluating[1].communicate()
    assert not (tmp_path / "results.json").exists()


# What imports take is waited for once: each process of each case is a fork, which runs the command in a folder.
FORKED = """
import json, os, sys
import ecor_jax.tasks.rationale.task
from ecor_jax.commands import cli, train

def start(folder, arguments, errors):
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.environ["ECOR_CACHE"] = f"{errors}.cache"
        os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
        cli.run(train.main, train.parser(), arguments)
        sys.exit(0)
    return child, errors

told = []
for number, case in enumerate(json.load(sys.stdin)):
    children = [start(*process, f"{sys.argv[1]}/{number}.{index}") for index, process in enumerate(case)]
    ends = [(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), open(errors).read()) for child, errors in children]
    told.append([(status, errors.strip().split("\\n")[-1]) for status, errors in ends])
print(json.dumps(told))
"""


def forked(cases: list[list[tuple[Path, list[str]]]], errors: Path) -> list[list[list]]:
    """Of each process of each case, given the folder it runs in and its arguments, the status and the last line."""
    given = json.dumps([[(str(folder), arguments) for folder, arguments in case] for case in cases])
    command, environment = [sys.executable, "-c", FORKED, str(errors)], flags() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_hosts_that_lack_a_file_or_differ_are_refused_by_a_line_of_each(options, tiny_pictures, tmp_path):
    """The same relative path, in folders of another content; another config; another workdir."""
    words = json.loads(tiny_pictures[1].read_text())
    for name, cat in {"whole": words["cat"], "other": ["no tail", "whiskers"], "lacking": None}.items():
        (tmp_path / name).mkdir()
        if cat:
            (tmp_path / name / "rationales.json").write_text(json.dumps(words | {"cat": cat}))
    here = [f"--config={ROOT / 'configs' / 'folder.py'}", "--config.data.rationales=rationales.json"]

    def case(first: str, second: str, *of_second: str) -> list[tuple[Path, list[str]]]:
        several = [f"--workdir={tmp_path / 'run'}", f"--coordinator={address()}", "--processes=2"]
        given = [*options, *here, *several]
        return [(tmp_path / first, [*given, "--process=0"]), (tmp_path / second, [*given, "--process=1", *of_second])]

    lacking = "error: rationales.json: cannot be read (No such file or directory)"
    same = "error: the {} of process 1 is not that of process 0; all have to run the same"
    cases = {
        "the first lacks a file": (case("lacking", "whole"), lacking),
        "the second lacks a file": (case("whole", "lacking"), lacking),
        "other data": (case("whole", "other"), same.format("data")),
        "another config": (case("whole", "whole", "--config.seed=7"), same.format("config")),
    }
    workdirs = case("whole", "whole", f"--workdir={tmp_path / 'elsewhere'}")
    *told, folders = forked([*(processes for processes, _ in cases.values()), workdirs], tmp_path)
    assert dict(zip(cases, told, strict=True)) == {name: [[1, line]] * 2 for name, (_, line) in cases.items()}
    assert [status for status, _ in folders] == [1, 1] and "the folder" in folders[0][1] + folders[1][1], folders


@pytest.mark.slow
def test_a_port_in_use_ends_all_and_an_absent_coordinator_the_one_that_waits(options, tmp_path):
    """The first process at once, the others when they have waited for it."""
    given = [*options, f"--config={ROOT / 'configs' / 'folder.py'}", f"--workdir={tmp_path}", "--meet_seconds=1"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        busy = [*given, f"--coordinator={where}", "--processes=2"]
        absent = [*given, f"--coordinator={address()}", "--processes=2", "--process=1"]
        pair = [(tmp_path, [*busy, f"--process={index}"]) for index in range(2)]
        (first, second), [waits] = forked([pair, [(tmp_path, absent)]], tmp_path)
    assert first == [
        1,
        f"error: --coordinator={where}: this process cannot listen at that port (Address already in use)",
    ]
    late = f"error: process 1 of 2 at {where}: the processes of this run did not meet within 1 s; "
    assert second == [1, f"{late}each has to be started, once"]
    assert waits[0] == 1 and waits[1].startswith("error: ") and "nobody listened there for 1 s" in waits[1]


@pytest.mark.slow
def test_convert(tiny_clip, tmp_path):
    """The first converts for all; a second time none may, as the folder is not empty, and all say so."""
    command = ["launch.convert", f"--source={tiny_clip}", f"--output={tmp_path / 'model'}"]
    told = ended(start(command, 2, tmp_path))
    assert statuses(told) == [0, 0] and (tmp_path / "model" / "config.json").is_file(), told
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
        assert statuses(told) == [0, 0], told
        hits.append([int(out.split()[-1]) for _, out, _ in told])
        made.append({path.name for path in (tmp_path / "compiled").iterdir()})
    assert hits[1][0] > hits[0][0] and made[0] == made[1], hits
    first, second = tmp_path / "first", tmp_path / "second"
    assert lines(first) == lines(second) and results(first) == results(second)
