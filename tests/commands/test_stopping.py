"""Ctrl-C and SIGTERM at any moment: the right status, no traceback, and the same command ends as if nothing had been.

`ECOR_TRIES=200 pytest -m slow` with this file sends 200 signals at random moments.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecor_jax.training.speed import TIMED

ROOT = Path(__file__).parents[2]
STEPS = 1000
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
STOPPED_AT = re.compile(rf"^dror: stopped at step (\d+) of {STEPS}, which is saved; the same command goes on")
STOPPED = "stopped; the same command goes on from what is saved"
CRASHES = ("Traceback", "Fatal Python error", "Segmentation fault", "core dumped", "Exception ignored")

# `python -m launch.train`, which tells when launch/ is imported: what comes before is Python's own start.
PROGRAM = """
import runpy, sys
sys.argv[0] = "-m"
import launch
print("begun", flush=True)
runpy.run_module("launch.train", run_name="__main__", alter_sys=True)
"""


@dataclass
class Run:
    """`launch.train` in a process group of its own; stderr is a file, as a child left behind would keep a pipe open."""

    options: list[str]
    workdir: Path
    environment: dict[str, str]

    def start(self) -> None:
        self.log = self.workdir.with_suffix(".log").open("w+")
        command = [sys.executable, "-c", PROGRAM, *self.options, f"--workdir={self.workdir}"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True
        )
        assert self.process.stdout and self.process.stdout.readline() == b"begun\n"
        self.begun = time.monotonic()

    def send(self, number: int, *, group: bool) -> None:
        # A process that has ended gets none.
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.process.pid, number)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition() and self.process.poll() is None:
            assert time.monotonic() - self.begun < 300
            time.sleep(0.005)

    def end(self) -> tuple[int, str]:
        """The exit status, and what stderr says, as lines."""
        status = self.process.wait(timeout=300)
        assert self.process.stdout
        self.process.stdout.close()
        with self.log:
            self.log.seek(0)
            return status, self.log.read().replace("\r", "\n")

    def children(self) -> bool:
        """Whether processes of its group live on; for a few seconds they may."""
        for _ in range(100):
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return False
            time.sleep(0.05)
        os.killpg(self.process.pid, signal.SIGKILL)
        return True

    def whole(self) -> tuple[int, str]:
        self.start()
        return self.end()


def lines(workdir: Path) -> int:
    path = workdir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def left(workdir: Path) -> dict[str, object]:
    """What two runs share if one of them was disturbed and nothing is lost by that."""
    names = ("model/prompts.safetensors", "model/ecor.json", "results.json")
    metrics = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    steps = [{key: value for key, value in line.items() if key not in TIMED} for line in metrics]
    return {name: (workdir / name).read_bytes() for name in names} | {"metrics": steps}


def saved(workdir: Path) -> list[int]:
    return sorted(int(entry.name) for entry in (workdir / "checkpoints" / "dror").iterdir() if entry.name.isdigit())


@pytest.fixture(scope="module")
def make_run(commands, options, tmp_path_factory):
    """A run of STEPS steps, of some number of worker processes that read the pictures, in a given workdir."""
    environment = commands.environment | {"ECOR_CACHE": str(tmp_path_factory.mktemp("stopping"))}
    changed = ["--config.method=dror", f"--config.steps={STEPS}", "--config.checkpoint_every=300"]
    changed += ["--config.data.batch_size=2"]

    def make(workdir: Path, workers: int = 0) -> Run:
        return Run([*options, *changed, f"--config.data.workers={workers}"], workdir, environment)

    return make


@pytest.fixture(scope="module")
def undisturbed(make_run, tmp_path_factory):
    """By the number of workers: what a run leaves that nobody stopped, and the seconds it takes."""
    made: dict[int, tuple[dict[str, object], float]] = {}

    def make(workers: int) -> tuple[dict[str, object], float]:
        if workers not in made:
            run = make_run(tmp_path_factory.mktemp("undisturbed") / "run", workers)
            status, errors = run.whole()
            assert status == 0, errors[-3000:]
            made[workers] = left(run.workdir), time.monotonic() - run.begun
        return made[workers]

    return make


def test_stopped_while_it_trains_and_started_again(make_run, undisturbed, tmp_path):
    run = make_run(tmp_path / "run")
    for number, status in STATUS.items():
        before = lines(run.workdir)
        run.start()
        run.wait_for(lambda before=before: lines(run.workdir) > before)
        run.send(number, group=number == signal.SIGINT)
        ended, errors = run.end()
        assert ended == status, errors[-3000:]
        assert not any(crash in errors for crash in CRASHES), errors[-3000:]
        match = STOPPED_AT.match(errors.splitlines()[-1])
        assert match, errors[-500:]
        assert saved(run.workdir)[-1] == int(match[1]) == lines(run.workdir) < STEPS
    ended, errors = run.whole()
    assert ended == 0, errors[-3000:]
    assert left(run.workdir) == undisturbed(0)[0]


@pytest.mark.parametrize("number", STATUS)
def test_stopped_at_once_where_nothing_is_at_work(make_run, tmp_path, number):
    run = make_run(tmp_path / "run")
    run.start()
    run.send(number, group=False)
    status, errors = run.end()
    assert (status, errors.strip()) == (STATUS[number], STOPPED)
    assert not run.workdir.exists()


@pytest.mark.parametrize("number", STATUS)
def test_signals_that_a_library_lets_through_again_stop_the_same_way(number):
    """As Python's own does that keeps track of what worker processes share."""
    program = (
        "import os, sys, time; sys.argv[0] = '-m'; import launch\n"
        "from multiprocessing import resource_tracker; resource_tracker.ensure_running()\n"
        f"os.kill(os.getpid(), {number:d}); time.sleep(30)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr.strip()) == (STATUS[number], STOPPED)


def faults_of(run: Run, status: int, errors: str, sent: list[int]) -> list[str]:
    """What is wrong with the end of a run that got the signals `sent`."""
    wrong = [crash for crash in CRASHES if crash in errors]
    if status not in (0, *(STATUS[number] for number in sent)):
        wrong.append(f"status {status} after {' '.join(signal.Signals(number).name for number in sent)}")
    # Worker processes share memory, of which Python's tracker of it speaks after the end, of undisturbed runs as well.
    said = [line for line in errors.splitlines() if line.strip() and "resource_tracker" not in line]
    last = [line for line in said if not line.startswith("  warnings.warn(")][-1:] or [""]
    match = STOPPED_AT.match(last[0])
    # The second signal may come before the line is written.
    if status and not match and not last[0].endswith(STOPPED) and len(sent) == 1:
        wrong.append(f"the last line is {last[0][:100]!r}")
    if match and int(match[1]) not in saved(run.workdir):
        wrong.append(f"step {match[1]} is not saved")
    if run.children():
        wrong.append("a child lives on")
    return wrong


@pytest.mark.slow
def test_stopped_at_random_moments(make_run, undisturbed, tmp_path):
    tries, chance = int(os.environ.get("ECOR_TRIES", "12")), random.Random(int(os.environ.get("ECOR_SEED", "0")))
    faults: list[str] = []
    run, workers = None, 0
    for attempt in range(tries):
        if run is None:
            # Every third workdir is read for by processes.
            workers = 2 * (len(list(tmp_path.glob("*.log"))) % 3 == 1)
            run = make_run(tmp_path / f"run{attempt}", workers)
        result, seconds = undisturbed(workers)
        number, group = signal.SIGTERM if attempt % 2 else signal.SIGINT, chance.random() < 0.5
        sent = [number] * (1 + (chance.random() < 0.25))
        run.start()
        # What goes on from a checkpoint ends earlier.
        life = seconds * (0.6 if lines(run.workdir) else 1)
        for delay in (chance.uniform(0, life), *(chance.uniform(0, 0.5) for _ in sent[1:])):
            until = time.monotonic() + delay
            run.wait_for(lambda until=until: time.monotonic() >= until)
            step = lines(run.workdir)
            run.send(number, group=group)
        status, errors = run.end()
        told = f"try {attempt}, {workers} workers, after step {step}, {len(sent)} signals, to the group: {group}"
        faults += [f"{told}: {fault}\n{errors[-1500:]}" for fault in faults_of(run, status, errors, sent)]
        # A workdir is stopped a few times, then left to end.
        if status == 0 or chance.random() < 0.25 or attempt == tries - 1:
            if status:
                status, errors = run.whole()
            if status or left(run.workdir) != result:
                faults.append(f"after try {attempt}: status {status}, or another result\n{errors[-1500:]}")
            run = None
        print(f"{attempt + 1} of {tries}, {len(faults)} faults", file=sys.stderr)
    assert not faults, "\n\n".join(faults)
