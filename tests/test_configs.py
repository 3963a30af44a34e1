"""Every config of the project can be read and names things that exist."""

from pathlib import Path

import pytest

from configs.face_rows import ROWS
from configs.imagenet import ROWS as IMAGENET_ROWS
from ecor_jax.clip.config import PRESETS
from ecor_jax.config.files import read_config
from ecor_jax.config.options import plain, read
from ecor_jax.data.procedural.questions import QUESTIONS
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import options_of
from ecor_jax.tasks.pretrain.options import PretrainOptions

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in FOLDER.glob("*.py") if "def get_config" in path.read_text())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_can_be_read_and_its_docstring_has_the_command(path):
    config = read_config(path).lock()
    task, options = options_of(config)
    assert plain(options) == config.to_dict() and read(task.Options, plain(options)) == options
    assert options.data.images or path.stem == "folder"
    if isinstance(options, PretrainOptions):
        assert options.model in PRESETS
    else:
        assert options.data.name and (options.model or options.pretrain or path.stem == "folder")
    docstring = path.read_text().split('"""')[1]
    assert f"--config=configs/{path.name}" in docstring and "ecor-jax train" in docstring


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", ["faces_orl.py", "faces_ms1mv2.py"])
def test_rows(name, row):
    changed, usual = read_config(FOLDER / name, row), read_config(FOLDER / name)
    same = row in ("table6/base_adapter", "table7/adaface")
    assert (changed.to_json() == usual.to_json()) == same
    assert changed.bottleneck.tuned or changed.bottleneck.output


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_about_drawings(question):
    config = read_config(FOLDER / "drawings_questions.py", question)
    options = read(options_of(config)[0].Options, config)
    assert options.data.question == question and options.pretrain.data.questions
    assert not read_config(FOLDER / "pretrain_drawings.py", "small").data.questions


def test_rows_of_imagenet_see_as_many_pictures():
    usual = read_config(FOLDER / "imagenet.py")
    assert read_config(FOLDER / "imagenet.py", "b32").to_json() == usual.to_json()
    for row in IMAGENET_ROWS:
        config = read_config(FOLDER / "imagenet.py", row)
        size, batch, group = row[1:3], config.data.batch_size, config.parallel.model
        assert read(options_of(config)[0].Options, config) and config.model.endswith(size)
        assert abs(config.steps * batch - usual.steps * usual.data.batch_size) < batch
        assert config.evaluation.batch_size % group == batch % group == 0
        assert (group > 1) == (row.partition("/")[2] in ("pod", "gpu"))


@pytest.mark.parametrize(
    ("name", "known"),
    [("faces_orl.py", "table4/b16_datacomp, "), ("imagenet.py", "b32, b16, l14, b32/dror, b32/pod, ")],
)
def test_an_unknown_row_names_the_known_ones(name, known):
    with pytest.raises(UserError, match=rf"{name}: no row 'table9'; there are: {known}"):
        read_config(FOLDER / name, "table9")
