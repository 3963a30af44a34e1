"""The wheel: what it holds, and that it works without the clone it was built from."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = {".css", ".html", ".json", ".md", ".safetensors", ".typed"}
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


def test_it_holds_the_package_alone_with_its_data(unpacked):
    assert {path.name for path in unpacked.iterdir()} == {"ecor_jax", *(p.name for p in unpacked.glob("*.dist-info"))}
    expected = {path.relative_to(ROOT) for path in (ROOT / "ecor_jax").rglob("*") if path.suffix in {".py", *DATA}}
    expected |= {Path("ecor_jax") / path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.py")}
    files = {path.relative_to(unpacked) for path in (unpacked / "ecor_jax").rglob("*") if path.is_file()}
    assert files == expected and Path("ecor_jax/py.typed") in files
    (information,) = unpacked.glob("*.dist-info")
    assert "Apache License" in (information / "licenses" / "LICENSE").read_text()
    assert "ecor-jax = ecor_jax.commands:main" in (information / "entry_points.txt").read_text()


QUICKSTART = """
import sys
import ecor_jax.tasks.base as base
def run(config, workdir):
    print(base.__file__, workdir, config.model, [name for name in sys.modules if name.startswith("configs")])
base.run = run
"""


@pytest.mark.parametrize(
    ("before", "arguments", "told"),
    [
        ("", ["train", "--config=a.py", "--workdir=x"], ["no such config; there are: configs/caltech101.py, "]),
        (
            "",
            ["train", "--config=configs/faces_orl.py:table5/base", "--help"],
            ["usage: ecor-jax train", "--config.bottleneck.tuned=last_mlp,aggregation"],
        ),
        (
            "",
            ["table", "--config=configs/tables/rationales.py:cifar10", "--help"],
            ["usage: ecor-jax table", "--config.rows.ecor.config=configs/cifar10_small.py"],
        ),
        (QUICKSTART, ["quickstart", "--workdir=out"], ["site/ecor_jax/tasks/base.py out drawings []"]),
    ],
)
def test_the_console_script_finds_its_configs(unpacked, tmp_path, before, arguments, told):
    """With the unpacked wheel on its path, in an empty folder."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(unpacked), *sys.path[1:]])}
    command = [sys.executable, "-P", "-c", f"{before}from ecor_jax.commands import main; main()", *arguments]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    output = result.stdout + result.stderr
    assert all(text in output for text in told) and "Traceback" not in output, output
