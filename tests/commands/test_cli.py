"""What the commands share: their names, wrong command lines, errors as one line."""

import importlib
import logging as python_logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import logging

from ecor_jax import commands as package
from ecor_jax import stopping
from ecor_jax.commands import cli, train
from ecor_jax.errors import UserError

ROOT = Path(__file__).parents[2]
CONSOLE = "from ecor_jax.commands import main; main()"


@pytest.fixture
def user(monkeypatch):
    """`cli.run` as by a user; this process goes on taking signals as it did."""
    verbosity = logging.get_verbosity()
    monkeypatch.setattr(stopping, "install", lambda: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.chdir(ROOT)

    def run(main, parser, *arguments):
        cli.run(main, parser, list(map(str, arguments)))

    yield run
    logging.set_verbosity(verbosity)


def process(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Of Python, which tells its imports on stderr."""
    command = (sys.executable, "-X", "importtime", *command)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def is_quick(result) -> bool:
    """Whether a process did without the imports that take seconds."""
    return not any(line.endswith(("| jax", "| orbax", "| tensorflow")) for line in result.stderr.splitlines())


@pytest.mark.smoke
@pytest.mark.parametrize("name", package.COMMANDS)
def test_help_by_both_ways_to_call_a_command(name, tmp_path):
    """Quickly: before JAX is imported."""
    results = process("-c", CONSOLE, name, "--help", folder=tmp_path), process("-m", f"launch.{name}", "--help")
    for result, called in zip(results, (f"ecor-jax {name}", f"python -m launch.{name}"), strict=True):
        assert result.returncode == 0 and is_quick(result)
        assert result.stdout.startswith(f"usage: {called} [-h]") and f"ecor-jax {name} " in result.stdout[len(called) :]


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_console_script_lists_its_commands(arguments, tmp_path):
    result = process("-c", CONSOLE, *arguments, folder=tmp_path)
    assert result.returncode == 0 and is_quick(result)
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(package.COMMANDS)
    assert {path.stem for path in (ROOT / "launch").glob("*.py")} == {"__init__", *package.COMMANDS}


@pytest.mark.parametrize(("name", "hint"), [("trian", "did you mean train?"), ("\x1b[2J", "there are: quickstart, ")])
def test_an_unknown_command(name, hint, monkeypatch, capsys):
    monkeypatch.setattr(stopping, "install", lambda: None)
    monkeypatch.setattr(sys, "argv", ["ecor-jax", name])
    with pytest.raises(SystemExit) as ended:
        package.main()
    errors = capsys.readouterr().err
    assert ended.value.code == 2 and "no such command; " + hint in errors and "\x1b" not in errors


def test_the_line_and_the_status_of_a_process(tmp_path):
    """Without PyTorch, of whose absence transformers would speak."""
    hidden = (
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
    )
    result = process("-c", hidden + CONSOLE, "convert", "--source=nope", "--output=out", folder=tmp_path)
    errors = [line for line in result.stderr.splitlines() if not line.startswith("import time:")]
    assert (result.returncode, result.stdout, len(errors)) == (1, "", 1)
    assert errors[0].startswith("error: nope: ")


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (UserError("images: 3 of 5 cannot be read"), "error: images: 3 of 5 cannot be read"),
        (UserError("a\nb\0.png \x1b[31m\u202e é"), r"error: a\nb\x00.png \x1b[31m\u202e é"),
        (OSError(36, "File name too long", "x" * 9), "error: xxxxxxxxx: File name too long"),
        (MemoryError(), "error: there is not enough memory for this; smaller batches or sets need less"),
        (ZeroDivisionError(), None),
    ],
)
def test_what_a_user_may_meet_is_one_line_and_status_1_and_a_mistake_of_ours_is_not_hidden(user, raised, line):
    def main(args) -> None:
        raise raised

    with pytest.raises(SystemExit if line else ZeroDivisionError) as ended:
        user(main, cli.parser(""))
    # sys.exit with a text prints it to stderr and ends with 1.
    assert line is None or ended.value.code == line


def test_an_argument_that_is_no_utf_8_is_named(user):
    with pytest.raises(SystemExit) as ended:
        user(lambda args: None, train.parser(), "--config=x", "--workdir=a\udcff")
    assert ended.value.code == r"error: the argument b'--workdir=a\xff' is no UTF-8"


PROCESSES = [
    ("--coordinator=here --processes=2 --process=1", "expected HOST:PORT, the number of processes"),
    ("--coordinator=here:1 --processes=2 --process=2", "one of 0 to that less one"),
    ("--distributed --processes=2", "leave them out"),
]


@pytest.mark.parametrize(("given", "message"), PROCESSES)
def test_bad_numbers_of_processes_are_named(user, given, message):
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        user(lambda args: None, train.parser(), "--config=x", "--workdir=x", *given.split())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train --conf=configs/folder.py --workdir=x", "--config"),
        ("train --config=configs/folder.py", "--workdir"),
        ("train --config=configs/folder.py --workdir=", "--workdir: is empty; expected a path"),
        ("train --config=configs/folder.py --workdir=x --steps=3", "unrecognized arguments: --steps=3"),
        ("train --config=configs/folder.py --workdir=x extra", "unrecognized arguments: extra"),
        ("prepare --source=x --output=x --config.steps=3", "unrecognized arguments: --config.steps=3"),
        ("convert --source=x --output=x --to=keras", "invalid choice: 'keras'"),
        # Path("") is the folder one is in.
        ("descriptors --reports= --output=x", "is empty; expected a path"),
        ("prepare --source= --output=x", "is empty; expected a path"),
        ("explain --model=m --images= --output=x", "is empty; expected a path"),
        ("explain --model=m --images=in --output=", "is empty; expected a path"),
    ],
)
def test_a_wrong_command_line_shows_the_usage(user, capsys, command, message):
    name, *arguments = command.split()
    module = importlib.import_module(f"ecor_jax.commands.{name}")
    with pytest.raises(SystemExit) as ended:
        user(module.main, module.parser(), *arguments)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("usage:") and message in errors
    assert not Path("x").exists()


def test_orbax_does_not_log_what_it_raises(user):
    user(lambda args: None, cli.parser(""))
    record = logging.ABSLLogger("absl").makeRecord
    handled = [
        python_logging.getLogger("absl").filter(record("absl", 40, path, 1, "stack", (), None))
        for path in ("/x/orbax/checkpoint/future.py", "/x/ecor_jax/data/encode.py")
    ]
    assert [bool(kept) for kept in handled] == [False, True]
