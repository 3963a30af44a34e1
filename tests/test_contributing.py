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

import ecor_jax
from ecor_jax.checkpoints import source
from ecor_jax.checkpoints.weights import weights_digest
from ecor_jax.commands import cli
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.methods import METHODS, Method

ROOT = Path(__file__).parents[1]


def examples(heading: str) -> list[str]:
    """The blocks of Python below a heading."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def call(name: str, *arguments: object) -> None:
    command = importlib.import_module(f"ecor_jax.commands.{name}")
    command.main(cli.parse(command.parser(), list(map(str, arguments))))


SHORT = ["--config.steps=2", "--config.data.batch_size=8", "--config.log_every=1"]


def test_a_dataset(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    (config,) = examples("Add a dataset")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pets.py").write_text(config)
    shutil.copytree(tiny_pictures[0], tmp_path / "data" / "pets")
    shutil.copy(tiny_pictures[1], tmp_path / "data" / "pets.json")
    monkeypatch.setenv("ECOR_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall("ecor-jax train (.*)\n", config)
    call("train", *command.replace("CLIP_DIR_OR_HUB_ID", str(tiny_clip)).split(), *SHORT)
    results = json.loads((tmp_path / "runs" / "pets" / "results.json").read_text())
    assert results["dataset"] == "pets" and list(results["methods"]) == ["ecor"]


def test_a_method(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    (entry,) = examples("Add a method")
    monkeypatch.setitem(METHODS, "ecor_shows", None)
    exec(entry, {"METHODS": METHODS, "Method": Method})
    data = [f"--config.data.{kind}={path}" for kind, path in zip(("images", "rationales"), tiny_pictures, strict=True)]
    method = ["--config.method=ecor_shows", f"--config.model={tiny_clip}", f"--workdir={tmp_path / 'run'}"]
    call("train", "--config=folder.py", *data, *method, *SHORT)
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


def test_a_task(tiny_pictures, tmp_path, monkeypatch, module):
    """Under 60 lines of code, and no file of the package, for a task that trains, is evaluated and explains."""
    (example,) = examples("Add a task")
    assert sum(bool(line.strip()) for line in example.splitlines()) < 60
    module("colours", example)
    shutil.copytree(tiny_pictures[0] / "train", tmp_path / "pictures")
    config = tmp_path / "colours_config.py"
    config.write_text(
        "from colours import ColourOptions\nfrom ecor_jax.config.options import defaults\n\n"
        "def get_config():\n    return defaults(ColourOptions)\n"
    )
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a task")[1]
    for line in re.findall(r"^ecor-jax (.*)$", text, re.MULTILINE):
        name, *arguments = line.replace("picture.png", "pictures/grey_seal/0.png").split()
        more = ["--config.data.batch_size=8", "--config.optimizer.learning_rate=0.1", "--config.steps=60"]
        call(name, *arguments, *(more if name != "explain" else []))
    for results in (tmp_path / "runs" / "colours" / "results.json", tmp_path / "results.json"):
        assert json.loads(results.read_text())["methods"]["mean_colour"]["accuracy"] > 0.9
    assert "mean_colour" in (tmp_path / "runs" / "colours" / "report" / "index.html").read_text()
    (told,) = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert told == {"name": "pictures/grey_seal/0.png", "category": 2}, "cat, dog, grey seal"
    with pytest.raises(UserError, match="has no meaning"):
        ecor_jax.load("runs/colours/model", task="colours:Colours").explain("pictures/grey_seal/0.png", top_k=3)
