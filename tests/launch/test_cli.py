"""What the commands share: options, configs, errors as one line, and ends that are asked for."""

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl import logging
from ml_collections import ConfigDict

from ecor_jax import stopping
from ecor_jax.errors import UserError
from launch import cli, train

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(path.stem for path in (ROOT / "launch").glob("*.py") if path.stem not in ("__init__", "cli"))


@pytest.fixture
def user(monkeypatch):
    """`cli.run` as by `python -m launch.X ARGUMENTS`; this process goes on taking signals as it did."""
    verbosity = logging.get_verbosity()
    monkeypatch.setattr(stopping, "install", lambda: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.chdir(ROOT)

    def run(main, parser, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        cli.run(main, parser)

    yield run
    logging.set_verbosity(verbosity)


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    """Quickly: before JAX is imported."""
    start = time.monotonic()
    command = [sys.executable, "-X", "importtime", "-m", f"launch.{name}", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0
    assert f"python -m launch.{name}" in result.stdout
    assert not any(line.endswith(("| jax", "| orbax", "| tensorflow")) for line in result.stderr.splitlines())
    assert time.monotonic() - start < 20


@pytest.fixture
def config_file(tmp_path):
    def write(body: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(body)
        return path

    return write


GOOD = """
from ml_collections import ConfigDict

def get_config():
    return ConfigDict({"steps": 3, "rate": 0.5, "on": False, "name": "a", "size": (1, 2), "data": {"path": "", "n": 1}})
"""


@pytest.fixture
def loaded(config_file):
    """The config of a file with the given overrides."""

    def load(*overrides: str, body: str = GOOD) -> ConfigDict:
        parser = cli.parser("")
        cli.add_config(parser)
        return cli.load_config(parser.parse_args(cli._joined([f"--config={config_file(body)}", *overrides])))

    return load


def test_overrides_are_read_as_what_stands_there(loaded):
    config = loaded(
        "--config.steps=7", "--config.rate", "1e-3", "--config.on=true", "--config.name=b=c", "--config.size=(3, 4)",
        "--config.data.path", "/x", "--config.data.n=-2",
    )  # fmt: skip
    assert config.to_dict() == {
        "steps": 7,
        "rate": 0.001,
        "on": True,
        "name": "b=c",
        "size": (3, 4),
        "data": {"path": "/x", "n": -2},
    }
    assert config.is_locked


def test_a_whole_number_is_a_rate_too_and_the_last_of_two_holds(loaded):
    assert loaded("--config.rate=1", "--config.rate=2").rate == 2.0


def test_an_empty_text_is_a_value(loaded):
    assert loaded("--config.name=").name == ""


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.step=1", "--config.step: no such option; there are: data.n, data.path, name, on, rate, size, steps"),
        ("--config.data.m=1", "--config.data.m: no such option; there are: data.n"),
        ("--config.steps.more=1", "--config.steps.more: no such option"),
        ("--config.=1", "--config.: no such option"),
        ("--config.data=1", "--config.data is a group of options: n, path"),
        ("--config.steps=many", "--config.steps=many: expected int, like 3"),
        ("--config.steps=1.5", "--config.steps=1.5: expected int"),
        ("--config.steps=", "--config.steps=: expected int"),
        ("--config.steps", "--config.steps=: expected int"),
        ("--config.rate=fast", "--config.rate=fast: expected float, like 0.5"),
        ("--config.on=maybe", "--config.on=maybe: expected bool, like False"),
        ("--config.size=3", r"--config.size=3: expected tuple, like \(1, 2\)"),
        ("--config.size=__import__('os')", "expected tuple"),
    ],
)
def test_a_wrong_override_is_named(loaded, override, message):
    with pytest.raises(UserError, match=message):
        loaded(override)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def get_config(:\n", "mine.py, line 1: invalid syntax"),
        ("x = 1\n\nimport nothing_of_that_name\n", "mine.py, line 3: No module named 'nothing_of_that_name'"),
        ("def get_config():\n    return 1 / 0\n", "mine.py, line 2: division by zero"),
        ("x = 1\n", r"mine.py: expected a function get_config\(\)"),
        ("def get_config():\n    return {}\n", "mine.py: .* returns a ConfigDict"),
        ("\0", "mine.py: .*null bytes"),
        ("raise SystemExit(3)\n", r"mine.py, line 1: SystemExit\(3\)"),
    ],
)
def test_a_config_that_is_wrong(loaded, body, message):
    with pytest.raises(UserError, match=message) as error:
        loaded(body=body)
    assert "\n" not in str(error.value)


def test_a_row_of_a_config_without_rows(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=r"configs/xray_nih\.py: found the row 'best'; expected none"):
        cli.read_config(Path("configs/xray_nih.py"), "best")


def test_a_config_that_is_not_there_lists_those_that_are(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in ("configs/nope.py", "configs"):
        with pytest.raises(UserError, match=f"{path}: no such config; there are: .*configs/folder.py"):
            cli.read_config(Path(path))


def test_every_config_here_is_read(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in sorted(Path("configs").glob("*.py")):
        if "def get_config" in path.read_text():
            config = cli.read_config(path)
            assert config.task in ("pretrain", "rationale", "verification", "diagnosis"), path
            assert ConfigDict(config.to_dict()).keys() == config.keys()


def test_an_error_is_one_line_and_status_1(user, capsys):
    def main(args: argparse.Namespace) -> None:
        raise UserError("images: 3 of 5 cannot be read")

    with pytest.raises(SystemExit) as ended:
        user(main, cli.parser("what it does"))
    # sys.exit with a text prints it to stderr and ends with 1.
    assert ended.value.code == "error: images: 3 of 5 cannot be read"


def test_bytes_of_a_file_do_not_reach_the_terminal(user):
    def main(args: argparse.Namespace) -> None:
        raise UserError("a\nb\0.png \x1b[31m é")

    with pytest.raises(SystemExit) as ended:
        user(main, cli.parser("what it does"))
    assert ended.value.code == r"error: a\nb\x00.png \x1b[31m é"


@pytest.mark.parametrize("command", ["descriptors --reports=", "prepare --source=", "explain --model=m --images"])
@pytest.mark.parametrize("paths", [("", "out"), ("in", "")])
def test_an_empty_path_is_not_the_folder_one_is_in(command, paths, capsys):
    name, *arguments = command.split()
    first = [*arguments[:-1], arguments[-1] + paths[0]] if arguments[-1].endswith("=") else [*arguments, paths[0]]
    with pytest.raises(SystemExit):
        importlib.import_module(f"launch.{name}").parser().parse_args([*first, f"--output={paths[1]}"])
    assert "is empty; expected a path" in capsys.readouterr().err


def test_the_line_and_the_status_of_the_process():
    command = [sys.executable, "-m", "launch.train", "--config=nope.py", "--workdir=/nowhere"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: nope.py: no such config") and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (OSError(36, "File name too long", "x" * 9), "error: xxxxxxxxx: File name too long"),
        (MemoryError(), "error: there is not enough memory for this; smaller batches or sets need less"),
        (UserError("a\x1b[2J\u202eb\n"), r"error: a\x1b[2J\u202eb\n"),
    ],
)
def test_what_a_user_may_meet_is_one_line(user, raised, line):
    def main(args: argparse.Namespace) -> None:
        raise raised

    with pytest.raises(SystemExit) as ended:
        user(main, cli.parser(""))
    assert ended.value.code == line


def test_an_argument_that_is_no_utf_8_is_named(user):
    with pytest.raises(SystemExit) as ended:
        user(lambda args: None, train.parser(), "--config=x", "--workdir=a\udcff")
    assert ended.value.code == r"error: the argument b'--workdir=a\xff' is no UTF-8"


def test_a_mistake_of_ours_is_not_hidden(user):
    def main(args: argparse.Namespace) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        user(main, cli.parser(""))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conf=configs/folder.py", "--workdir=x"], "--config"),
        (["--config=configs/folder.py"], "--workdir"),
        (["--config=configs/folder.py", "--workdir="], "--workdir: is empty"),
        (["--config=configs/folder.py", "--workdir=x", "--steps=3"], "unrecognized arguments: --steps=3"),
        (["--config=configs/folder.py", "--workdir=x", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_a_wrong_command_line_shows_the_usage(user, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        user(train.main, train.parser(), *arguments)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("usage:") and message in errors
    assert not Path("x").exists()


def test_orbax_does_not_log_what_it_raises(user, caplog):
    user(lambda args: None, cli.parser(""))
    record = logging.ABSLLogger("absl").makeRecord
    handled = [
        __import__("logging").getLogger("absl").filter(record("absl", 40, path, 1, "stack", (), None))
        for path in ("/x/orbax/checkpoint/future.py", "/x/ecor_jax/data/encode.py")
    ]
    assert [bool(kept) for kept in handled] == [False, True]
