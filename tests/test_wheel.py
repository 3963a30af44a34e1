"""The wheel: what it holds, and that it works without the clone it was built from."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = {".css", ".html", ".json", ".typed"}
"""Suffixes of files of the package that are no code."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The wheel, unpacked; built from this clone by the tools that are installed, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    program = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(*folder.glob("*.whl")) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def installed(unpacked, tmp_path):
    """A program with the unpacked wheel on its path, in an empty folder."""

    def run(program: str, *arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(unpacked), *sys.path[1:]])}
        command = [sys.executable, "-P", "-c", program, *arguments]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return result.stdout + result.stderr

    return run


def test_it_holds_the_package_alone_with_its_data(unpacked):
    assert {path.name for path in unpacked.iterdir()} == {"ecor_jax", *(p.name for p in unpacked.glob("*.dist-info"))}
    expected = {path.relative_to(ROOT) for path in (ROOT / "ecor_jax").rglob("*") if path.suffix in {".py", *DATA}}
    expected |= {Path("ecor_jax") / path.relative_to(ROOT) for path in (ROOT / "configs").glob("*.py")}
    files = {path.relative_to(unpacked) for path in (unpacked / "ecor_jax").rglob("*") if path.is_file()}
    assert files == expected and Path("ecor_jax/py.typed") in files
    (information,) = unpacked.glob("*.dist-info")
    assert "Apache License" in (information / "licenses" / "LICENSE").read_text()
    assert "ecor-jax = ecor_jax.commands:main" in (information / "entry_points.txt").read_text()


CONSOLE = "from ecor_jax.commands import main; main()"


def test_the_console_script_finds_its_configs(installed):
    assert "no such config; there are: configs/caltech101.py, " in installed(
        CONSOLE, "train", "--config=a.py", "--workdir=x"
    )
    told = installed(CONSOLE, "train", "--config=configs/faces_orl.py:table5/base", "--help")
    assert "usage: ecor-jax train" in told and "--config.bottleneck.tuned=last_mlp,aggregation" in told
    program = """
import sys
from pathlib import Path
import ecor_jax.tasks.base as base
def run(config, workdir):
    print(base.__file__, workdir, config.pretrain.model, [name for name in sys.modules if name.startswith("configs")])
base.run = run
"""
    told = installed(program + CONSOLE, "quickstart", "--workdir=out")
    assert "site/ecor_jax/tasks/base.py out small/64-16 []" in told and "Traceback" not in told
