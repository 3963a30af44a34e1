"""Hub ids, revisions, cards and pushes, against a stand-in of the hub: folders of repositories and their commits."""

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


def missing(kind: type, text: str) -> Exception:
    return kind(text, response=SimpleNamespace(headers={}, request=None))


class StandIn:
    """What of huggingface_hub is called, on folders NAME/snapshots/COMMIT; the newest commit is `main`."""

    def __init__(self, root: Path):
        self.root, self.asked, self.token = root, [], True

    def commits(self, name: str) -> list[Path]:
        return sorted((self.root / name.replace("/", "--") / "snapshots").glob("*"))

    def commit(self, name: str, files: list[Path]) -> Path:
        target = self.root / name.replace("/", "--") / "snapshots" / f"c{len(self.commits(name))}"
        target.mkdir(parents=True)
        for path in files:
            shutil.copy(path, target)
        return target

    def snapshot_download(self, name: str, *, revision: str | None = None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, *allow_patterns))
        commits = {path.name: path for path in self.commits(name)}
        if not commits:
            raise missing(RepositoryNotFoundError, f"404: {name}\n\nmore")
        chosen = revision or max(commits)
        if chosen not in commits:
            raise missing(RevisionNotFoundError, f"404: no revision {chosen}")
        return str(commits[chosen])

    def repo_info(self, name: str) -> None:
        if not self.commits(name):
            raise missing(RepositoryNotFoundError, "404")

    def list_repo_files(self, name: str, revision: str = "") -> list[str]:
        chosen = [path for path in self.commits(name) if path.name == revision] or self.commits(name)[-1:]
        return [path.name for path in chosen[0].iterdir()]

    def hf_hub_download(self, name: str, file: str) -> str:
        return str(self.commits(name)[-1] / file)

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        if not self.token:
            raise LocalTokenNotFoundError("Token is required")

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, delete_patterns, commit_message):
        before = [path for old in self.commits(repo_id)[-1:] for path in old.iterdir()]
        allowed = {path for pattern in allow_patterns for path in Path(folder_path).glob(pattern)}
        kept = [path for path in before if path.name not in delete_patterns]
        target = self.commit(repo_id, [*kept, *allowed])
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
        fields.pop("ecor_jax", None)
        (files / "config.json").write_text(json.dumps(fields))
        (files / "README.md").write_text("---\ntags:\n- clip\nlicense: apache-2.0\n---\n# Theirs\n")
        if number:
            tensors = load_file(files / "model.safetensors")
            save_file(tensors | {"logit_scale": np.asarray(2.5, np.float32)}, files / "model.safetensors")
        stand_in.commit("someone/clip", [*files.iterdir()])
    return stand_in


def test_a_revision_is_read_and_its_commit_is_known(published):
    newest, first = load_clip("someone/clip"), load_clip("someone/clip@c0")
    assert newest.digest != first.digest == ecor_jax.load_clip("someone/clip", revision="c0").model.digest
    origin = newest.origin
    assert (origin.base_model, origin.revision, origin.license) == ("someone/clip", "c1", "apache-2.0")
    assert first.origin.read == "someone/clip@c0"
    # Weights are in one form, and of the commit whose configuration was read, whatever was pushed in between.
    asked = [asked[:3] for asked in published.asked[:2]]
    assert asked == [("someone/clip", None, "*.json"), ("someone/clip", "c1", "model*.safetensors")]


def test_of_several_weights_it_is_said_which_are_read(published, caplog):
    (published.commits("someone/clip")[-1] / "pytorch_model.bin").touch()
    with caplog.at_level("INFO"):
        load_clip("someone/clip")
    said = "of several weights {} read, first of the forms known; not ['pytorch_model.bin']"
    assert f"someone/clip: {said.format('model*.safetensors is')}" in caplog.text
    assert said.format("model.safetensors are") in caplog.text


OF_AN_ID = "a revision, 'c1', is of a hub id without one"


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("someone/clip@c9", "", "someone/clip@c9: .* cannot be fetched .404: no revision c9.; give the path"),
        ("nobody/clip", "", "nobody/clip: .* cannot be fetched .404: nobody/clip.; give the path"),
        ("someone/clip@", "", "someone/clip@: no such file or directory"),
        ("../up/clip@x", "", "no such file or directory"),
        ("/", "c1", OF_AN_ID),
        ("someone/clip@c0", "c1", OF_AN_ID),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(published, source, revision, message):
    with pytest.raises(UserError, match=message) as caught:
        ecor_jax.load_clip(source, revision=revision)
    assert "\n" not in str(caught.value)


def test_the_base_is_kept_through_conversion_training_and_a_push(published, options, called, tmp_path):
    """In config.json, in results.json and on the card; what was pushed is loaded by its id, at its commit."""
    base, model = {"base_model": "someone/clip", "revision": "c0", "license": "apache-2.0"}, tmp_path / "run" / "model"
    said = called(convert, "--source=someone/clip", "--revision=c0", f"--output={tmp_path / 'base'}")
    assert "read: someone/clip@c0" in said
    assert json.loads((tmp_path / "base" / "config.json").read_text())["ecor_jax"] == base
    given = [*options, f"--config.model={tmp_path / 'base'}", "--config.steps=2", "--config.method=ecor"]
    called(train, *given, f"--workdir={tmp_path / 'run'}")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["model"] == base
    metadata = ModelCard.load(model / "README.md").data
    assert (metadata.base_model, metadata.license, metadata.library_name) == ("someone/clip", "apache-2.0", "ecor-jax")
    accuracies = {one.metric_name: one.metric_value for one in metadata.eval_results}
    assert accuracies["accuracy of ecor"] == results["methods"]["ecor"]["accuracy"]
    (model / "diary.txt").write_text("mine")
    assert called(push, model, "me/tuned").strip() == "https://hub/me/tuned/commit/c0"
    assert "diary.txt" not in published.list_repo_files("me/tuned")
    called(evaluate, "--model=me/tuned", *given, f"--output={tmp_path / 'again.json'}")
    again = json.loads((tmp_path / "again.json").read_text())
    assert (again["methods"], again["model"]) == (results["methods"], base | {"read": "me/tuned@c0"})
    assert ecor_jax.load("me/tuned", revision="c0").name == "me/tuned@c0"


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


def no_route(name: str):
    raise OSError("no route to host\nmore")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no token", "log in by `hf auth login`, or set HF_TOKEN"),
        ("another repository", "choose another name"),
        ("no model", r"no model\.safetensors; expected a model directory"),
        ("no name", "mine: no name of a repository; expected USER/NAME"),
        ("no network", "me/mine: cannot be written to .no route to host."),
    ],
)
def test_a_push_that_cannot_be(kind, message, stand_in, tiny_clip, tmp_path, monkeypatch):
    directory = shutil.copytree(tiny_clip, tmp_path / "model")
    write_card(directory)
    stand_in.token = kind != "no token"
    if kind == "another repository":
        (tmp_path / "weights.gguf").touch()
        stand_in.commit("me/mine", [tmp_path / "weights.gguf"])
    elif kind == "no model":
        (directory / "model.safetensors").unlink()
    elif kind == "no network":
        monkeypatch.setattr(stand_in, "repo_info", no_route)
    with pytest.raises(UserError, match=message) as caught:
        push.main(cli.parse(push.parser(), [str(directory), "mine" if kind == "no name" else "me/mine"]))
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
