"""Hub ids, revisions, cards and pushes, against a stand-in of the hub: folders of repositories and their commits."""

import fnmatch
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.numpy import load_file, save_file

import ecor_jax
from ecor_jax.checkpoints import hub
from ecor_jax.checkpoints import push as pushes
from ecor_jax.checkpoints.card import MARK, card, write_card
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.commands import cli, convert, evaluate, push, train
from ecor_jax.errors import UserError


class StandIn:
    """What of huggingface_hub is called, on folders NAME/snapshots/COMMIT; the newest commit is `main`."""

    def __init__(self, root: Path):
        self.root, self.asked = root, []
        self.token = True

    def commits(self, name: str) -> list[Path]:
        folder = self.root / name.replace("/", "--") / "snapshots"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def commit(self, name: str, files: Path) -> Path:
        target = self.root / name.replace("/", "--") / "snapshots" / f"c{len(self.commits(name))}"
        shutil.copytree(files, target)
        return target

    def snapshot_download(self, name: str, *, revision: str | None = None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, *allow_patterns))
        commits = {path.name: path for path in self.commits(name)}
        if not commits:
            raise RepositoryNotFoundError(f"404: {name}\n\nmore", response=SimpleNamespace(headers={}, request=None))
        chosen = revision or max(commits)
        if chosen not in commits:
            raise RevisionNotFoundError(
                f"404: no revision {chosen}", response=SimpleNamespace(headers={}, request=None)
            )
        return str(commits[chosen])

    def repo_info(self, name: str) -> None:
        if not self.commits(name):
            raise RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None))

    def list_repo_files(self, name: str, revision: str = "") -> list[str]:
        chosen = [path for path in self.commits(name) if path.name == revision] or self.commits(name)[-1:]
        return [path.name for path in chosen[0].iterdir()]

    def hf_hub_download(self, name: str, file: str) -> str:
        return str(self.commits(name)[-1] / file)

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        if not self.token:
            raise LocalTokenNotFoundError("Token is required")

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, delete_patterns, commit_message):
        files = [
            path
            for path in Path(folder_path).iterdir()
            if any(fnmatch.fnmatch(path.name, one) for one in allow_patterns)
        ]
        target = self.root / repo_id.replace("/", "--") / "snapshots" / f"c{len(self.commits(repo_id))}"
        target.mkdir(parents=True)
        for path in [*(self.commits(repo_id)[-2].iterdir() if len(self.commits(repo_id)) > 1 else ()), *files]:
            if path in files or path.name not in delete_patterns:
                shutil.copy(path, target / path.name)
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/{target.name}")


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> StandIn:
    made = StandIn(tmp_path / "hub")
    monkeypatch.setattr(hub, "snapshot_download", made.snapshot_download)
    monkeypatch.setattr(hub, "HfApi", lambda: made)
    monkeypatch.setattr(pushes, "HfApi", lambda: made)
    return made


@pytest.fixture
def published(stand_in, tiny_clip, tmp_path) -> StandIn:
    """someone/clip of two commits, of which the second has other weights, as transformers would write it."""
    for number in range(2):
        files = shutil.copytree(tiny_clip, tmp_path / f"v{number}")
        fields = json.loads((files / "config.json").read_text())
        (files / "config.json").write_text(
            json.dumps({name: value for name, value in fields.items() if name != "ecor_jax"})
        )
        (files / "README.md").write_text("---\ntags:\n- clip\nlicense: apache-2.0\n---\n# Theirs\n")
        if number:
            tensors = load_file(files / "model.safetensors")
            save_file(tensors | {"logit_scale": np.asarray(2.5, np.float32)}, files / "model.safetensors")
        stand_in.commit("someone/clip", files)
    return stand_in


def test_a_revision_is_read_and_its_commit_is_known(published):
    newest, first = load_clip("someone/clip"), load_clip("someone/clip@c0")
    assert newest.digest != first.digest == ecor_jax.load_clip("someone/clip", revision="c0").model.digest
    assert (newest.origin.base_model, newest.origin.revision, newest.origin.license) == (
        "someone/clip",
        "c1",
        "apache-2.0",
    )
    assert first.origin.read == "someone/clip@c0"
    # Weights are in one form, and of the commit whose configuration was read, whatever was pushed in between.
    assert [asked[:3] for asked in published.asked[:2]] == [
        ("someone/clip", None, "*.json"),
        ("someone/clip", "c1", "model*.safetensors"),
    ]


def test_of_several_weights_it_is_said_which_are_read(published, caplog):
    (published.commits("someone/clip")[-1] / "pytorch_model.bin").touch()
    with caplog.at_level("INFO"):
        load_clip("someone/clip")
    said = "of several weights {} read, first of the forms known; not ['pytorch_model.bin']"
    assert f"someone/clip: {said.format('model*.safetensors is')}" in caplog.text
    assert said.format("model.safetensors are") in caplog.text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("someone/clip@c9", "someone/clip@c9: .* cannot be fetched .404: no revision c9.; give the path"),
        ("nobody/clip", "nobody/clip: .* cannot be fetched .404: nobody/clip.; give the path"),
        ("someone/clip@", "someone/clip@: no such file or directory"),
        ("../up/clip@x", "no such file or directory"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(published, source, message):
    with pytest.raises(UserError, match=message) as caught:
        load_clip(source)
    assert "\n" not in str(caught.value)


def test_a_revision_is_of_a_hub_id_alone(published, tiny_clip):
    for source in (tiny_clip, "someone/clip@c0"):
        with pytest.raises(UserError, match="a revision, 'c1', is of a hub id without one"):
            ecor_jax.load_clip(source, revision="c1")


def test_the_base_is_kept_through_conversion_training_and_a_push(published, options, called, tmp_path):
    """In config.json, in results.json and on the card; what was pushed is loaded by its id, at its commit."""
    said = called(convert, "--source=someone/clip", "--revision=c0", f"--output={tmp_path / 'base'}")
    assert "read: someone/clip@c0" in said
    assert json.loads((tmp_path / "base" / "config.json").read_text())["ecor_jax"] == {
        "base_model": "someone/clip",
        "revision": "c0",
        "license": "apache-2.0",
    }
    short = [one for one in options if "model=" not in one and "steps=" not in one]
    given = [*short, f"--config.model={tmp_path / 'base'}", "--config.steps=2"]
    called(train, *given, f"--workdir={tmp_path / 'run'}")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["model"] == {"base_model": "someone/clip", "revision": "c0", "license": "apache-2.0"}
    metadata = ModelCard.load(tmp_path / "run" / "model" / "README.md").data
    assert (metadata.base_model, metadata.license, metadata.library_name) == ("someone/clip", "apache-2.0", "ecor-jax")
    accuracies = {one.metric_name: one.metric_value for one in metadata.eval_results}
    assert accuracies["accuracy of ecor"] == results["methods"]["ecor"]["accuracy"]
    (tmp_path / "run" / "model" / "diary.txt").write_text("mine")
    said = called(push, tmp_path / "run" / "model", "me/tuned")
    assert said.strip() == "https://hub/me/tuned/commit/c0"
    assert "diary.txt" not in published.list_repo_files("me/tuned")
    called(evaluate, "--model=me/tuned", *given, f"--output={tmp_path / 'again.json'}")
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["methods"] == results["methods"]
    assert again["model"] == results["model"] | {"read": "me/tuned@c0"}
    explained = ecor_jax.load("me/tuned", revision="c0")
    assert explained.name == "me/tuned@c0"


@pytest.mark.parametrize(
    ("card", "license"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ('---\r\ntags:\r\n- x\r\nlicense: "cc-by-4.0"\r\n---\r\n', "cc-by-4.0"),
        ("---\ntags: x\n---\nlicense: mit\n", ""),
        ("license: mit\n", ""),
        ("---\n" + "license:\n" * 200_000, ""),
        ("---\nlicense: mit\n---\n" + "text\n" * 400_000, "mit"),
    ],
    ids=["plain", "quoted", "behind the metadata", "no metadata", "without an end", "long"],
)
def test_the_license_of_a_card(card, license, published):
    (published.commits("someone/clip")[-1] / "README.md").write_bytes(card.encode())
    assert load_clip("someone/clip").origin.license == license


def test_a_card_is_written_anew_but_never_over_a_users_own(tiny_clip, tmp_path):
    directory = shutil.copytree(tiny_clip, tmp_path / "model")
    write_card(directory)
    text = (directory / "README.md").read_text()
    assert MARK in text and "scaled to 16 pixels" in text and "load_clip" in text and "AutoProcessor" in text
    write_card(directory, {"dataset": "squares", "methods": {"ecor": {"rr": 12.5, "accuracy": 25.0, "count": 8}}})
    text = (directory / "README.md").read_text()
    assert "| ecor | 12.5 | 25 | 8 |" in text and "On squares, seed 0." in text
    for own in ("# My own words\n", "# Very many words\n" * 100_000):
        (directory / "README.md").write_text(own)
        write_card(directory)
        assert (directory / "README.md").read_text() == own


def test_a_card_tells_what_was_guessed_and_transformers_reads_what_it_says(tiny_clip, tmp_path):
    from transformers import AutoModel, AutoProcessor

    pytest.importorskip("torch")
    directory = shutil.copytree(tiny_clip, tmp_path / "model")
    fields = json.loads((directory / "config.json").read_text())
    fields["ecor_jax"] = {"guessed": ["pictures are prepared as OpenAI's CLIP does"]}
    (directory / "config.json").write_text(json.dumps(fields))
    text = card(directory, {})
    assert "Taken for granted, for its files do not say it: pictures are prepared as OpenAI's CLIP does." in text
    assert "Licence: not known here" in text
    assert AutoModel.from_pretrained(directory).config.model_type == "clip"
    inputs = AutoProcessor.from_pretrained(directory)(text=["a cat"], return_tensors="pt")
    assert inputs["input_ids"].shape[0] == 1


@pytest.mark.parametrize("kind", ["no token", "another repository", "no model", "no name", "no network"])
def test_a_push_that_cannot_be(kind, stand_in, tiny_clip, tmp_path, monkeypatch):
    directory, name = shutil.copytree(tiny_clip, tmp_path / "model"), "me/mine"
    write_card(directory)
    message = "choose another name"
    if kind == "no token":
        stand_in.token, message = False, "log in by `hf auth login`, or set HF_TOKEN"
    elif kind == "another repository":
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "weights.gguf").touch()
        stand_in.commit("me/mine", tmp_path / "other")
    elif kind == "no model":
        (directory / "model.safetensors").unlink()
        message = r"no model\.safetensors; expected a model directory"
    elif kind == "no name":
        name, message = "mine", "mine: no name of a repository; expected USER/NAME"
    else:
        message = "me/mine: cannot be written to .no route to host."

        def fail(name):
            raise OSError("no route to host\nmore")

        monkeypatch.setattr(stand_in, "repo_info", fail)
    with pytest.raises(UserError, match=message) as caught:
        push.main(cli.parse(push.parser(), [str(directory), name]))
    assert "\n" not in str(caught.value)
    assert kind == "another repository" or not stand_in.commits("me/mine")


def test_a_second_push_replaces_the_first(stand_in, tiny_clip, tmp_path):
    directory = shutil.copytree(tiny_clip, tmp_path / "model")
    write_card(directory)
    (directory / "prompts.safetensors").write_bytes(b"of an older model")
    pushes.push(directory, "me/mine")
    (directory / "prompts.safetensors").unlink()
    assert pushes.push(directory, "me/mine").endswith("c1")
    assert "prompts.safetensors" not in stand_in.list_repo_files("me/mine")
    assert load_clip("me/mine").digest == load_clip(tiny_clip).digest
