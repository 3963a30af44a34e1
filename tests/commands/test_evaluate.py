"""ecor-jax evaluate on tuned and plain models."""

import functools
import json
import os
import shutil

import pytest

from ecor_jax.commands import evaluate, explain, train
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale import task as rationale


def results(path) -> dict:
    return json.loads(path.read_text())["methods"]


@pytest.mark.parametrize(
    ("run", "figures", "column", "row"),
    [
        ("trained", [("methods",)], "accuracy", "ecor"),
        ("recognised", [("verification",), ("alignment_proxy",)], "celebrity_pairs", "tuned"),
        ("diagnosed", [("methods", "bottleneck"), ("kept", "bottleneck"), ("explanations",)], "accuracy", "bottleneck"),
    ],
    indirect=["run"],
)
def test_a_tuned_model_has_the_figures_of_its_run_and_of_each_file_it_is_said_what_became(
    called, run, figures, column, row, tmp_path
):
    workdir, options = run
    output, page, answers = tmp_path / "new" / "results.json", tmp_path / "page", tmp_path / "answers.jsonl"
    where = [f"--output={output}", f"--report={page}", *([f"--answers={answers}"] if row == "ecor" else [])]
    printed = called(evaluate, f"--model={workdir / 'model'}", *options, *where)
    header, *rows, last = printed.splitlines()
    assert last == f"page: {page / 'index.html'}"
    assert column in header and row in [line.split()[0] for line in rows if line]
    assert [entry.name for entry in output.parent.iterdir()] == ["results.json"]
    now, then = (json.loads(path.read_text()) for path in (output, workdir / "results.json"))
    for path in figures:
        assert functools.reduce(dict.__getitem__, path, now) == functools.reduce(dict.__getitem__, path, then)
    if row == "ecor":
        assert len([json.loads(line) for line in answers.read_text().splitlines()]) == 15
    for results, report in ((now, page), (then, workdir / "report")):
        data, text = results["data"], (report / "index.html").read_text()
        assert data["found"] == data["used"] + sum(data["skipped"].values()) and data["used"] > 0
        assert f"{data['found']:,} found, {data['used']:,} used" in text and "<img" in text
    assert f"{workdir / 'model'}" in page.joinpath("index.html").read_text()


def test_what_a_model_was_trained_on_is_not_what_it_is_judged_by(called, trained, options, tiny_pictures, tmp_path):
    """All pictures, with those of its training among them, and a model that does not say what it was trained on."""
    images = tmp_path / "images"
    for split in ("train", "test"):
        for path in (tiny_pictures[0] / split).glob("*/*.png"):
            (images / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, images / path.parent.name / f"{split} {path.name}")
    given = [*options, f"--config.data.images={images}", f"--output={tmp_path / 'r'}"]
    called(evaluate, f"--model={trained / 'model'}", *given)
    assert results(tmp_path / "r") == results(trained / "results.json")
    assert json.loads((tmp_path / "r").read_text())["data"]["skipped"] == {"trained on": 24}
    model = shutil.copytree(trained / "model", tmp_path / "model")
    (model / "trained_on.safetensors").unlink()
    called(evaluate, f"--model={model}", *given, f"--report={tmp_path / 'page'}")
    assert results(tmp_path / "r")["ecor"]["count"] == 39
    assert "whether it was trained on some of these pictures is not known" in (tmp_path / "page/index.html").read_text()


def test_plain_clips_are_evaluated_untuned(called, tiny_clip, options, recognised, face_options, tmp_path):
    everything = ["--config.method=clip,ecor", "--config.evaluation.mode=dror", "--config.evaluation.top_k=15"]
    called(evaluate, f"--model={tiny_clip}", *options, *everything, f"--output={tmp_path / 'r'}")
    for rates in results(tmp_path / "r").values():
        assert rates["count"] == 15
        # With every pair among the top, a gold one is always found; DROR's walk ends there, and few are wrong.
        assert rates["rw"] == 0 and rates["ww"] == 0
    given = ["--config.bottleneck.output=features", f"--output={tmp_path / 'faces'}"]
    called(evaluate, f"--model={tiny_clip}", *face_options, *given)
    found, of_run = (json.loads(path.read_text()) for path in (tmp_path / "faces", recognised / "results.json"))
    assert found["baselines"]["clip"] == of_run["baselines"]["clip"]


def test_methods_without_prompts_run_the_tower_once(called, tiny_clip, options, tmp_path, monkeypatch):
    seen, found, real = [], {}, rationale.predict

    def predict(model, recipe, batches, **options):
        batches = list(batches)
        seen.append("image" in batches[0])
        return real(model, recipe, batches, **options)

    monkeypatch.setattr(rationale, "predict", predict)
    for methods in ("clip,ecor", "clip", "ecor"):
        arguments = [f"--config.method={methods}", f"--output={tmp_path / methods}", f"--answers={tmp_path / 'a'}"]
        called(evaluate, f"--model={tiny_clip}", *options, *arguments)
        answers = [json.loads(line)["methods"] for line in (tmp_path / "a").read_text().splitlines()]
        found[methods] = {name: [answer[name]["category"] for answer in answers] for name in answers[0]}
    assert seen == [False, False, True, True]
    assert found["clip,ecor"] == found["clip"] | found["ecor"]


def test_another_vocabulary(called, trained, options, tiny_pictures, tmp_path):
    """Prompts tuned on one set of rationales, tried on another one with more classes: zero-shot."""
    words = {"cat": ["red fur"], "dog": ["green fur"], "grey seal": ["grey skin"], "owl": ["eyes"]}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(words))
    given = [f"--config.data.rationales={other}", "--config.evaluation.top_k=1"]
    arguments = [f"--model={trained / 'model'}", *options, *given]
    with pytest.raises(UserError, match="classes of the rationale file with no image: owl"):
        called(evaluate, *arguments, f"--output={tmp_path / 'r'}")
    called(evaluate, *arguments, "--config.data.on_missing=allow", f"--output={tmp_path / 'r'}")
    rates = results(tmp_path / "r")["ecor"]
    assert rates["count"] == 15
    assert sum(rates[name] for name in ("rr", "rw", "wr", "ww")) == pytest.approx(1)


@pytest.mark.parametrize(("given", "pair"), [([], "{c}: {r}"), (["--config.templates.pair={r} {c}"], "{r} {c}")])
def test_prompts_speak_the_templates_they_were_tuned_with(called, trained, options, tmp_path, monkeypatch, given, pair):
    """The description of the model says which, not this version's defaults."""

    def banks(method, *rest):
        raise UserError(f"the pair is {method.pair}")

    monkeypatch.setattr(rationale, "make_banks", banks)
    model = shutil.copytree(trained / "model", tmp_path / "model")
    description = json.loads((model / "ecor.json").read_text())
    description["methods"]["ecor"]["pair"] = "{c}: {r}"
    (model / "ecor.json").write_text(json.dumps(description))
    given = [f"--model={model}", *options, "--config.method=ecor", f"--output={tmp_path / 'r'}", *given]
    with pytest.raises(UserError, match=f"^the pair is {pair}$"):
        called(evaluate, *given)


def test_the_output_is_tried_before_the_work(called, tiny_clip, options, tmp_path):
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "file" / "r.json", "/proc/r.json", tmp_path / "pipe", "/dev/null"):
        with pytest.raises(UserError, match=str(path)):
            called(evaluate, "--model=/nowhere", *options, f"--output={path}")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "pipe"]


def test_joined_rationales_are_part_of_what_was_tuned(called, options, tiny_pictures, tmp_path):
    """A model tuned on pairs of rationales is evaluated and explained by pairs, or not at all."""
    both = ["--config.data.rationales_per_prompt=2", "--config.method=ecor", "--config.steps=2"]
    both.append("--config.evaluation.batch_size=8")  # as many as there are devices
    called(train, *options, *both, f"--workdir={tmp_path / 'run'}")
    model, output = tmp_path / "run" / "model", tmp_path / "r.json"
    with pytest.raises(UserError, match=r"rationales_per_prompt is 1; .*model was tuned with 2"):
        called(evaluate, f"--model={model}", *options, "--config.method=ecor", f"--output={output}")
    called(evaluate, f"--model={model}", *options, *both, f"--output={output}")
    assert results(output) == results(tmp_path / "run" / "results.json")
    picture = tiny_pictures[0] / "test" / "cat" / "0.png"
    called(explain, f"--model={model}", "--images", picture, f"--output={tmp_path / 'page'}")
    assert "a long tail and whiskers" in (tmp_path / "page" / "index.html").read_text()
