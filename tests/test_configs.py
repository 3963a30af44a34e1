"""Every config of the project can be read and names things that exist."""

from pathlib import Path

import pytest

from configs.face_rows import ROWS
from ecor_jax.clip.config import PRESETS
from ecor_jax.errors import UserError
from ecor_jax.tasks import base
from ecor_jax.tasks.concepts.task import METHODS
from ecor_jax.tasks.rationale.methods import find_methods
from launch.cli import read_config

CONFIGS = sorted(path for path in Path("configs").glob("*.py") if "def get_config" in path.read_text())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config(path):
    config = read_config(path).lock()
    assert config.task in base.KINDS
    if config.task == "rationale":
        assert find_methods(config.method)
        assert config.data.name
    elif config.task == "verification":
        assert config.data.name and config.pairs
        assert config.model or config.pretrain.task == "pretrain"
    elif config.task == "diagnosis":
        assert config.data.name and config.data.tables and set(config.methods.split(",")) <= set(METHODS)
        assert config.model or config.pretrain.model in PRESETS
    else:
        assert config.model in PRESETS
        assert config.data.images


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("path", ["configs/faces_orl.py", "configs/faces_ms1mv2.py"])
def test_rows(path, row):
    changed, usual = read_config(Path(path), row), read_config(Path(path))
    same = row in ("table6/base_adapter", "table7/adaface")
    assert (changed.to_json() == usual.to_json()) == same
    assert changed.bottleneck.tuned or changed.bottleneck.output


def test_an_unknown_row_names_the_known_ones():
    with pytest.raises(UserError, match=r"faces_orl\.py: no row 'table9'; there are: table4/b16_datacomp, "):
        read_config(Path("configs/faces_orl.py"), "table9")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_docstring_has_the_command(path):
    docstring = path.read_text().split('"""')[1]
    assert f"--config=configs/{path.name}" in docstring
    assert "python -m launch.train" in docstring
