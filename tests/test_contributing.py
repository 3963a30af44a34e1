"""The worked examples of CONTRIBUTING.md do what it says."""

import importlib
import json
import re
import shutil
import sys
import types
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from ecor_jax.checkpoints import source
from ecor_jax.checkpoints.weights import weights_digest
from ecor_jax.commands import cli
from ecor_jax.tasks.rationale.methods import METHODS, Method

ROOT = Path(__file__).parents[1]


def examples(heading: str) -> list[str]:
    """The blocks of Python below a heading."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def train(*arguments: object) -> None:
    command = importlib.import_module("ecor_jax.commands.train")
    short = ["--config.steps=2", "--config.data.batch_size=8", "--config.log_every=1"]
    command.main(cli.parse(command.parser(), [*map(str, arguments), *short]))


def test_a_dataset(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    (config,) = examples("Add a dataset")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pets.py").write_text(config)
    shutil.copytree(tiny_pictures[0], tmp_path / "data" / "pets")
    shutil.copy(tiny_pictures[1], tmp_path / "data" / "pets.json")
    monkeypatch.setenv("ECOR_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall("ecor-jax train (.*)\n", config)
    train(*command.replace("CLIP_DIR_OR_HUB_ID", str(tiny_clip)).split())
    results = json.loads((tmp_path / "runs" / "pets" / "results.json").read_text())
    assert results["dataset"] == "pets" and list(results["methods"]) == ["ecor"]


def test_a_method(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    (entry,) = examples("Add a method")
    monkeypatch.setitem(METHODS, "ecor_shows", None)
    exec(entry, {"METHODS": METHODS, "Method": Method})
    images, rationales = tiny_pictures
    train(
        "--config=folder.py", "--config.method=ecor_shows", f"--config.model={tiny_clip}",
        f"--config.data.images={images}", f"--config.data.rationales={rationales}", f"--workdir={tmp_path / 'run'}",
    )  # fmt: skip
    (kept,) = json.loads((tmp_path / "run" / "model" / "ecor.json").read_text())["methods"].values()
    assert kept["outer"] == "A photo that shows {r}." and kept["pair"] == "A {c}, which shows {r}."


@pytest.fixture
def module(monkeypatch):
    """Makes a module of a name and a text, for the time of a test."""

    def make(name: str, text: str) -> types.ModuleType:
        made = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        exec(text, made.__dict__)
        return made

    return make


def test_a_weight_format(tiny_clip, tmp_path, module):
    reader, branch = examples("Add a weight format")
    wrapped = module("ecor_jax.checkpoints.wrapped", reader)
    text = Path(source.__file__).read_text()
    assert text.count("\n    else:\n") == 1
    changed = module("changed_source", text.replace("\n    else:\n", f"\n{branch}    else:\n"))
    changed.wrapped = wrapped
    shutil.copytree(tiny_clip, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    tensors = load_file(tiny_clip / "model.safetensors")
    save_file({f"model.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "model" / wrapped.FILE)
    read = changed.read_source(tmp_path / "model")
    assert weights_digest(read.clip) == weights_digest(source.read_source(tiny_clip).clip)
    assert read.tokenizer is not None and read.preprocess.size == 16
