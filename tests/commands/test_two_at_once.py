"""Two commands in one folder, and what dead ones, planted links and a user's own files do there."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.atomic import new_directory, read_array, write_array, write_json
from ecor_jax.commands import train
from ecor_jax.errors import UserError
from ecor_jax.training.metrics_log import MetricsLog, read_metrics

ROOT = Path(__file__).parents[2]
TRIES = int(os.environ.get("ECOR_TRIES", "0"))
AT_WORK, ANOTHER_CONFIG = "another run is at work in it", "holds a run of another config"
ENVIRONMENT = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}


def in_process(program: str, *arguments: object, **environment: object) -> str:
    """What a program prints that imports the commands once and forks for each of its tries."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    variables = ENVIRONMENT | {name: str(value) for name, value in environment.items()}
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


# Each of two processes stops itself before each of its operations on files of the workdir; which goes on is drawn.
TWO = """
import json, os, random, signal, sys
from pathlib import Path

root, tries = Path(sys.argv[1]), int(sys.argv[2])
from ecor_jax.errors import UserError
from ecor_jax.training.workdir import locked_workdir, write_results

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "fcntl.flock", "fcntl.lockf")

def start(workdir, seed, message):
    def watch(event, arguments):
        if event in EVENTS and (event.startswith("fcntl") or str(workdir) in str(arguments[:2])):
            os.kill(os.getpid(), signal.SIGSTOP)
    sys.addaudithook(watch)
    config = {"seed": seed}
    try:
        with locked_workdir(workdir, config, config):
            for number in range(10):
                (workdir / "work").write_text(str(seed))
            assert (workdir / "work").read_text() == str(seed)
            write_results(workdir / "results.json", config, config)
    except UserError as error:
        os.write(message, str(error).encode())
        os._exit(1)
    os._exit(0)

chance = random.Random(0)
for attempt in range(tries):
    workdir, seeds = root / str(attempt), (0, attempt % 2)
    children, readers, statuses = {}, [], [None, None]
    for index, seed in enumerate(seeds):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                start(workdir, seed, writer)
            finally:
                os._exit(70)
        os.close(writer)
        children[pid], readers = index, [*readers, reader]
        os.waitpid(pid, os.WUNTRACED)
    while children:
        pid = chance.choice(sorted(children))
        os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            statuses[children.pop(pid)] = os.waitstatus_to_exitcode(status)
    messages = [os.read(reader, 9999).decode() for reader in readers]
    print(json.dumps({"workdir": str(workdir), "seeds": seeds, "statuses": statuses, "messages": messages}))
"""


def is_whole(end: dict) -> bool:
    """Whether two runs ended as they shall: one with its results beside its own config, the other with a refusal."""
    first, second = end["statuses"]
    # Where one had ended before the other asked, the other of the same config goes on from it.
    if {first, second} != {0, 1} and not (first == second == 0 and end["seeds"] == [0, 0]):
        return False
    refusals = [AT_WORK in message or ANOTHER_CONFIG in message for message in end["messages"]]
    files = [json.loads((Path(end["workdir"]) / name).read_text()) for name in ("config.json", "results.json")]
    return refusals == [first == 1, second == 1] and [file["seed"] for file in files] == [end["seeds"][first]] * 2


def test_every_interleaving_of_two_runs_ends_with_a_whole_one(tmp_path):
    tries = 40 * max(1, TRIES)
    ends = [json.loads(line) for line in in_process(TWO, tmp_path, tries).splitlines()]
    bad = [end for end in ends if not is_whole(end)]
    assert not bad, f"{len(bad)} of {tries}, first {bad[0]}"
    # Nearly all of them did meet.
    assert sum(AT_WORK in "".join(end["messages"]) for end in ends) > tries / 2


def test_two_commands_at_once(commands, options, tmp_path):
    workdir = tmp_path / "run"
    given = [*options, "--config.method=dror", "--config.steps=2", f"--workdir={workdir}"]
    processes = {seed: commands.start("train", *given, f"--config.seed={seed}") for seed in (1, 2)}
    errors = {seed: process.communicate(timeout=300)[1] for seed, process in processes.items()}
    whole, refused = sorted(processes, key=lambda seed: processes[seed].returncode)
    assert [processes[seed].returncode for seed in (whole, refused)] == [0, 1], errors
    last = errors[refused].splitlines()[-1]
    assert last.startswith("error: ") and AT_WORK in last and "Traceback" not in errors[whole] + errors[refused]
    config, results = (workdir / "config.json").read_bytes(), json.loads((workdir / "results.json").read_text())
    assert results["seed"] == json.loads(config)["seed"] == whole
    assert results["config_sha256"] == hashlib.sha256(config).hexdigest()


# Kills itself at an operation on files below a folder, drawn anew each time; the first and the last try may end.
KILLED = """
import importlib, os, random, signal, sys
from pathlib import Path

root, name, tries = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
from ecor_jax.commands import cli
module = importlib.import_module(f"ecor_jax.commands.{name}")
import ecor_jax.tasks.rationale.task, ecor_jax.data.prepare
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")

def start(output, deadly):
    count = 0
    def watch(event, arguments):
        nonlocal count
        # Checkpoints are Orbax's own affair.
        text = str(arguments[:2])
        if event in EVENTS and str(root) in text and "checkpoints" not in text:
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    arguments = [argument.replace("OUTPUT", str(output)) for argument in sys.argv[4:]]
    module.main(cli.parse(module.parser(), arguments))
    (root.parent / "count").write_text(str(count))

chance, kills, most = random.Random(0), 0, 0
for attempt in range(tries + 2):
    # The first tells how many operations there are.
    deadly = chance.randrange(most) + 1 if 0 < attempt <= tries else 0
    again = "run" if name == "train" else f"output{attempt}"
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            start(root / (again if attempt else "first"), deadly)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(70)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    kills += status != 0
    most = most or int((root.parent / "count").read_text())
print(kills, "kills among", most, "operations")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tries"), [("convert", 6), ("prepare", 6), ("train", 10)])
def test_what_commands_that_were_killed_leave_is_whole_or_not_there(
    name, tries, options, tiny_clip, tiny_pictures, tmp_path
):
    source = {"convert": tiny_clip, "prepare": tiny_pictures[0]}.get(name)
    arguments = [f"--source={source}", "--output=OUTPUT"] if source else ["--workdir=OUTPUT", *options]
    folder, tries = tmp_path / "outputs", TRIES or tries
    folder.mkdir()
    printed = in_process(KILLED, folder, name, tries, *arguments, ECOR_CACHE=folder / "cache")
    # Some of the moments lie after the end of a run that has less left to do.
    assert int(printed.splitlines()[-1].split()[0]) >= tries / 2
    assert [path for path in folder.rglob("*") if path.name.endswith((".partial", ".replaced"))] == []
    outputs = [path for path in folder.iterdir() if path.name != "cache"]
    assert len(outputs) > 1 and all(files_below(path) == files_below(folder / "first") for path in outputs)
    if name == "train":
        for file in ("model/prompts.safetensors", "model/ecor.json", "results.json"):
            assert (folder / "run" / file).read_bytes() == (folder / "first" / file).read_bytes()


def files_below(folder: Path) -> set[str]:
    files = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in files if not name.startswith("checkpoints/")}


def log_metrics(path: Path) -> None:
    log = MetricsLog(path, "run")
    log.write(1, {"loss": 1.0})
    log.drop_after(1)


def write_model(path: Path) -> None:
    with new_directory(path) as partial:
        (partial / "weights").write_text("whole")


WRITERS = {
    "e.json": (lambda path: write_json(path, {"a": 1}), lambda path: json.loads(path.read_text()) == {"a": 1}),
    "metrics.jsonl": (log_metrics, lambda path: read_metrics(path) == [{"run": "run", "step": 1, "loss": 1.0}]),
    "bank.safetensors": (lambda path: write_array(path, np.arange(3)), lambda path: read_array(path).sum() == 3),
    "model": (write_model, lambda path: (path / "weights").read_text() == "whole"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_planted_links_are_not_followed(name, tmp_path):
    write, is_written = WRITERS[name]
    victims, folder, number = tmp_path / "victims", tmp_path / "folder", os.getpid()
    folder.mkdir()
    (victims / "inner").mkdir(parents=True)
    guesses = {f"{name}.partial", f"{Path(name).stem}.partial", f"{name}.{number}.partial", f"{name}.{number}.replaced"}
    guesses |= {f".{guess}" for guess in guesses} | {f".{name}.abcdefgh.ecor.partial"}
    for guess in guesses:
        (victims / guess).write_text("precious")
        (folder / guess).symlink_to(victims / guess)
    (victims / "inner" / "file").write_text("precious")
    (folder / f".{name}.inner.ecor.partial").symlink_to(victims / "inner")
    write(folder / name)
    assert is_written(folder / name)
    assert [path.read_text() for path in victims.rglob("*") if path.is_file()] == ["precious"] * (len(guesses) + 1)


def test_a_users_files_survive_running_again(called, options, trained, tmp_path):
    workdir = Path(shutil.copytree(trained, tmp_path / "run"))
    (workdir / "model" / "pictures").mkdir()
    for name in ("notes.txt", "pictures/a.txt"):
        (workdir / "model" / name).write_text("mine")
    called(train, *options, f"--workdir={workdir}")
    assert [(workdir / "model" / name).read_text() for name in ("notes.txt", "pictures/a.txt")] == ["mine"] * 2
    names = ("model/prompts.safetensors", "results.json")
    assert all((workdir / name).read_bytes() == (trained / name).read_bytes() for name in names)


PLANTED = {
    "a link": lambda model, elsewhere: model.symlink_to(elsewhere),
    "a dead link": lambda model, elsewhere: model.symlink_to(elsewhere / "nothing"),
    "a folder": lambda model, elsewhere: shutil.copytree(elsewhere, model),
    "a file": lambda model, elsewhere: model.write_text("mine"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_no_model_is_refused_before_the_training(called, options, tmp_path, kind):
    elsewhere, workdir = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "photo.png").write_text("mine")
    workdir.mkdir()
    PLANTED[kind](workdir / "model", elsewhere)
    with pytest.raises(UserError, match="model"):
        called(train, *options, f"--workdir={workdir}")
    assert not (workdir / "metrics.jsonl").exists() and not (workdir / "checkpoints").exists()
    assert [path.name for path in elsewhere.iterdir()] == ["photo.png"]
