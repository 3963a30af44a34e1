"""A run that is killed at any moment, and started again, ends as if nothing had happened.

The process kills itself with SIGKILL at its n-th operation on files below the workdir, n drawn anew each time: so
the moments lie between checkpoints, within them, and while they are committed or removed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecor_jax.training.speed import TIMED

ROOT = Path(__file__).parents[2]

# Imports once, then forks for each start: JAX is first used, and its threads started, by the children.
PROGRAM = """
import os, random, signal, sys
from pathlib import Path

import numpy as np
from ecor_jax.training.loop import train
from tests.training import conftest as toy

workdir, seed, most = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def start(deadly):
    count = 0
    def watch(event, arguments):
        nonlocal count
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir") and str(workdir) in str(arguments[:2]):
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
    if deadly:
        sys.addaudithook(watch)
    model = train(toy.ToyTask(), toy._options(checkpoint_every=2, log_every=1), workdir, "toy")
    np.save(workdir / "slope.npy", np.asarray(model.slope[...]))
    print("finished after", count, "operations", flush=True)

chance, kills = random.Random(seed), 0
for attempt in range(most + 1):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        start(chance.randrange(1, 60) if attempt < most else 0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        assert status == 0, status
        break
    kills += 1
print("kills", kills)
"""


def start_until_done(workdir: Path, seed: int, most: int) -> str:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-c", PROGRAM, str(workdir), str(seed), str(most)]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("undisturbed")
    start_until_done(workdir, seed=0, most=0)
    return workdir


def metrics(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMED} for line in lines]


@pytest.mark.parametrize(
    ("seed", "most"), [(1, 4), *(pytest.param(seed, 12, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_killed_and_started_again(undisturbed, tmp_path, seed, most):
    workdir = tmp_path / "run"
    printed = start_until_done(workdir, seed, most)
    assert int(printed.split("kills ")[1]) >= 2
    assert (workdir / "slope.npy").read_bytes() == (undisturbed / "slope.npy").read_bytes()
    assert metrics(workdir) == metrics(undisturbed)
    assert [line["step"] for line in metrics(workdir)] == [1, 2, 3, 4, 5, 6, 7]
    # Nothing half-written stays behind.
    names = {entry.name for entry in (workdir / "checkpoints" / "toy").iterdir()}
    assert names == {entry.name for entry in (undisturbed / "checkpoints" / "toy").iterdir()} == {"6", "7"}
