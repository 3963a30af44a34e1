"""The commands as a user runs them: from the root of the repository, on one device, in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Commands:
    """Starts `python -m launch.X`."""

    cache: Path

    def start(self, name: str, *arguments: object) -> subprocess.Popen[str]:
        environment = os.environ | {"XLA_FLAGS": "", "ECOR_CACHE": str(self.cache)}
        command = [sys.executable, "-m", f"launch.{name}", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, name: str, *arguments: object) -> str:
        """What a command that succeeds prints."""
        process = self.start(name, *arguments)
        printed, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
        assert "Traceback" not in errors
        return printed


@pytest.fixture(scope="session")
def commands(tmp_path_factory) -> Commands:
    return Commands(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def options(tiny_clip, tiny_pictures) -> list[str]:
    """Of a short run of DROR and ECOR on the coloured squares, without its workdir."""
    images, rationales = tiny_pictures
    return [
        "--config=configs/folder.py",
        "--config.method=dror,ecor",
        f"--config.model={tiny_clip}",
        f"--config.data.images={images}",
        f"--config.data.rationales={rationales}",
        "--config.data.name=squares",
        "--config.data.batch_size=8",
        "--config.prompts.layers=deep",
        "--config.steps=6",
        "--config.log_every=1",
        "--config.checkpoint_every=2",
    ]


@pytest.fixture(scope="session")
def trained(commands, options, tmp_path_factory) -> Path:
    """The workdir of that run."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    printed = commands.run("train", *options, f"--workdir={workdir}")
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["dror", "ecor"]
    return workdir


@pytest.fixture
def called(monkeypatch) -> Callable[..., None]:
    """A command in this process: its `main`, with arguments as on the command line."""

    def call(module, *arguments: object) -> None:
        from ecor_jax.commands import cli

        module.main(cli.parse(module.parser(), [str(argument) for argument in arguments]))

    monkeypatch.chdir(ROOT)
    return call
