"""Config files and their options on the command line."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from ml_collections import ConfigDict

from ecor_jax.commands import cli, table, train
from ecor_jax.config import files as config_files
from ecor_jax.config.options import meaning
from ecor_jax.errors import UserError
from ecor_jax.tables.options import Table
from ecor_jax.tasks.base import TASKS, task_of

GOOD = """
from ml_collections import ConfigDict

def get_config():
    sizes = {"path": "", "n": 1, "lfw-a": 1, "keys": 1}
    return ConfigDict({"steps": 3, "rate": 0.5, "on": False, "name": "a", "size": (1, 2), "data": sizes, "none": {}})
"""
KEYS = "data.keys, data.lfw-a, data.n, data.path, name, none, on, rate, size, steps"


@pytest.fixture
def loaded(tmp_path):
    """The config of a file with the given overrides."""

    def load(*overrides: str, body: str = GOOD) -> ConfigDict:
        (tmp_path / "mine.py").write_text(body)
        parser = cli.parser("")
        cli.add_config(parser)
        return cli.config_of(cli.parse(parser, [f"--config={tmp_path / 'mine.py'}", *overrides]))

    return load


def test_overrides_are_read_as_what_stands_there(loaded):
    config = loaded(
        "--config.steps=7", "--config.rate", "1e-3", "--config.on=true", "--config.name=b=c", "--config.size=(3, 4)",
        "--config.data.path", "--x y\n", "--config.data.n=-2", "--config.data.lfw-a=2", "--config.data.keys", "-3",
    )  # fmt: skip
    data = {"path": "--x y\n", "n": -2, "lfw-a": 2, "keys": -3}
    expected = {"steps": 7, "rate": 0.001, "on": True, "name": "b=c", "size": (3, 4), "data": data, "none": {}}
    assert config.to_dict() == expected and config.is_locked


def test_a_whole_number_is_a_rate_too_the_last_of_two_holds_and_an_empty_text_is_one(loaded):
    config = loaded("--config.rate=1", "--config.rate=2", "--config.name=", "--config.on=1")
    assert isinstance(config.rate, float) and (config.rate, config.name, config.on) == (2.0, "", True)


def test_no_value_is_run_as_code(loaded):
    assert loaded("--config.size=__import__('os')").size == ("__import__('os')",)
    with pytest.raises(UserError, match="expected ConfigDict"):
        loaded("--config.none=dict(a=1)")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.step=1", f"--config.step: no such option; there are: {KEYS}$"),
        ("--config.parallel.patience=1", "--config.parallel.patience: is called parallel.peer_timeout now$"),
        ("--config.pretrain.parallel.accumulate=1", "accumulate: is called pretrain.parallel.grad_accumulation now$"),
        ("--config.data.m=1", "--config.data.m: no such option"),
        ("--config.data.to_json=1", "--config.data.to_json: no such option"),
        ("--config.steps.more=1", "--config.steps.more: no such option"),
        ("--config.size[0]=1", r"--config.size\[0\]: no such option"),
        ("--config.=1", "--config.: no such option"),
        ("--config.data=1", "--config.data is a group of options: data.keys, data.lfw-a, "),
        ("--config.steps=many", "--config.steps=many: expected int, like 3"),
        ("--config.steps=1.5", "--config.steps=1.5: expected int"),
        ("--config.steps=", "--config.steps=: expected int"),
        ("--config.steps", "--config.steps=: expected int"),
        ("--config.rate=fast", "--config.rate=fast: expected float, like 0.5"),
        ("--config.on=maybe", "--config.on=maybe: expected bool, like False"),
        ("--config.size=(1, 2", r"--config.size=\(1, 2: expected tuple, like \(1, 2\)"),
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


@pytest.mark.parametrize("name", ["nope.py", "configs/nope.py", "configs", "", "elsewhere/folder.py"])
def test_a_config_that_is_not_there_lists_those_that_ship(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no such config; there are: configs/caltech101\.py, ") as error:
        config_files.load_config(name, ())
    assert "configs/common.py" not in str(error.value)


@pytest.mark.parametrize("name", ["configs/faces_orl.py", "faces_orl.py", "./configs/faces_orl.py:table5/base"])
def test_a_config_that_ships_is_found_from_any_folder(name, tmp_path, monkeypatch):
    def imported() -> dict:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "configs"}

    monkeypatch.chdir(tmp_path)
    before = imported()
    assert config_files.load_config(name, ()).task == "verification" and imported() == before


def test_a_file_that_is_there_comes_before_one_that_ships(tmp_path, monkeypatch):
    """As do the modules beside it."""
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/face_rows.py").write_text("ROWS = {'steps': 7}\n")
    Path("configs/folder.py").write_text(
        "from ml_collections import ConfigDict\nfrom configs.common import data_folder\nfrom configs import face_rows\n"
        "def get_config():\n    return ConfigDict(face_rows.ROWS)\n"
    )
    assert config_files.load_config("configs/folder.py", ()).steps == 7
    assert config_files.load_config("faces_orl.py:table5/base", ()).task == "verification"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("configs/xray_nih.py:best", r"configs/xray_nih\.py: found the row 'best'; expected none"),
        ("common.py:a", r"expected none|expected a function get_config\(\)"),
    ],
)
def test_a_row_of_a_config_without_rows(name, message):
    with pytest.raises(UserError, match=message):
        config_files.load_config(name, ())


def test_help_lists_the_options_of_a_config(capsys):
    for arguments in (["--config=quickstart.py", "--help"], ["-h", "--config", "quickstart.py"]):
        with pytest.raises(SystemExit):
            cli.parse(train.parser(), arguments)
        told = capsys.readouterr().out
        assert "options of quickstart.py, with its values:\n" in told
        assert "\n  --config.data.test_count=600\n" in told and "\n  --config.model=drawings\n" in told
        assert "\n        share of every class for the test split if the pictures have no splits." in told
        assert "(cosine, linear, constant)" in told
    with pytest.raises(UserError, match="no such config"):
        cli.parse(train.parser(), ["--config=nope.py", "--help"])
    with pytest.raises(SystemExit):
        cli.parse(table.parser(), ["--config=tables/rationales.py", "--help"])
    assert "the row whose model is evaluated" in capsys.readouterr().out


def options(kind: type, prefix: str = "") -> Iterator[str]:
    """The keys of all options of a dataclass; of an entry with a name of the user's, those of one."""
    for name, hint in get_type_hints(kind).items():
        groups = [each for each in (hint, *get_args(hint)) if dataclasses.is_dataclass(each)]
        entry = "mine." if get_origin(hint) is Mapping else ""
        yield from options(groups[0], f"{prefix}{name}.{entry}") if groups else [prefix + name]


@pytest.mark.parametrize("task", [*TASKS, "table"])
def test_every_option_has_a_meaning(task):
    kind = Table if task == "table" else task_of(task).Options
    silent = [key for key in options(kind) if not meaning(kind, key).split(" (")[0]]
    assert not silent
    assert meaning(kind, "no.such") == meaning(kind, "nosuch") == meaning(kind, "seed.more") == ""
