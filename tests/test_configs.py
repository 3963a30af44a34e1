"""Every config of the project can be read and names things that exist."""

from pathlib import Path

import pytest

from ecor_jax import runs
from ecor_jax.clip.config import PRESETS
from ecor_jax.methods import find_methods
from launch.cli import read_config

CONFIGS = sorted(path for path in Path("configs").glob("*.py") if path.stem not in ("__init__", "common"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config(path):
    config = read_config(path).lock()
    assert config.task in runs.KINDS
    if config.task == "rationale":
        assert find_methods(config.method)
        assert config.data.name
    else:
        assert config.model in PRESETS
        assert config.data.images


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_docstring_has_the_command(path):
    docstring = path.read_text().split('"""')[1]
    assert f"--config=configs/{path.name}" in docstring
    assert "python -m launch.train" in docstring
