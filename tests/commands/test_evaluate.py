"""launch.evaluate on tuned and plain models."""

import json
import os
import shutil

import pytest

from ecor_jax.commands import evaluate, explain, train
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale import task as rationale


def results(path) -> dict:
    return json.loads(path.read_text())["methods"]


def test_a_tuned_model_scores_what_its_run_did(commands, trained, options, tmp_path):
    output = tmp_path / "new" / "results.json"
    printed = commands.run(
        "evaluate", f"--model={trained / 'model'}", *options, f"--output={output}",
        f"--report={tmp_path / 'page'}", f"--answers={tmp_path / 'answers.jsonl'}",
    )  # fmt: skip
    assert "<img" in (tmp_path / "page" / "index.html").read_text()
    assert len([json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]) == 15
    assert results(output) == results(trained / "results.json")
    assert "accuracy" in printed.splitlines()[0] and printed.splitlines()[2].split()[0] == "ecor"
    assert [entry.name for entry in output.parent.iterdir()] == ["results.json"]


def test_a_plain_clip_is_evaluated_untuned(called, tiny_clip, options, tmp_path):
    called(
        evaluate, f"--model={tiny_clip}", *options, "--config.method=clip,ecor", f"--output={tmp_path / 'r'}",
        "--config.evaluation.mode=dror", "--config.evaluation.top_k=15",
    )  # fmt: skip
    for rates in results(tmp_path / "r").values():
        assert rates["count"] == 15
        # With every pair among the top, a gold one is always found; DROR's walk ends there, and few are wrong.
        assert rates["rw"] == 0 and rates["ww"] == 0


def test_methods_without_prompts_run_the_tower_once(called, tiny_clip, options, tmp_path, monkeypatch):
    seen, real = [], rationale.predict

    def predict(model, recipe, batches, **options):
        batches = list(batches)
        seen.append("image" in batches[0])
        return real(model, recipe, batches, **options)

    monkeypatch.setattr(rationale, "predict", predict)
    found = {}
    for methods in ("clip,ecor", "clip", "ecor"):
        arguments = [f"--config.method={methods}", f"--output={tmp_path / methods}", f"--answers={tmp_path / 'a'}"]
        called(evaluate, f"--model={tiny_clip}", *options, *arguments)
        answers = [json.loads(line)["methods"] for line in (tmp_path / "a").read_text().splitlines()]
        found[methods] = {name: [answer[name]["category"] for answer in answers] for name in answers[0]}
    assert seen == [False, False, True, True]
    assert found["clip,ecor"] == found["clip"] | found["ecor"]


def test_another_vocabulary(called, trained, options, tiny_pictures, tmp_path):
    """Prompts tuned on one set of rationales, tried on another one with more classes: zero-shot."""
    other = tmp_path / "other.json"
    words = {"cat": ["red fur"], "dog": ["green fur"], "grey seal": ["grey skin"], "owl": ["eyes"]}
    other.write_text(json.dumps(words))
    arguments = [f"--model={trained / 'model'}", *options, f"--config.data.rationales={other}"]
    arguments.append("--config.evaluation.top_k=1")
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


def test_a_method_that_was_not_tuned(called, trained, options, tmp_path):
    given = [f"--model={trained / 'model'}", *options, f"--output={tmp_path / 'r'}", "--config.method=ecor_short,dror"]
    with pytest.raises(UserError, match="model: no prompts for 'ecor_short'; it has those of dror, ecor"):
        called(evaluate, *given)
    assert not (tmp_path / "r").exists()


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
    # As many devices as tests have share a batch.
    both += ["--config.data.batch_size=8", "--config.evaluation.batch_size=8"]
    called(train, *options, *both, f"--workdir={tmp_path / 'run'}")
    model, output = tmp_path / "run" / "model", tmp_path / "r.json"
    with pytest.raises(UserError, match=r"rationales_per_prompt is 1; .*model was tuned with 2"):
        called(evaluate, f"--model={model}", *options, "--config.method=ecor", f"--output={output}")
    called(evaluate, f"--model={model}", *options, *both, f"--output={output}")
    assert results(output) == results(tmp_path / "run" / "results.json")
    picture = tiny_pictures[0] / "test" / "cat" / "0.png"
    called(explain, f"--model={model}", "--images", picture, f"--output={tmp_path / 'page'}")
    assert "a long tail and whiskers" in (tmp_path / "page" / "index.html").read_text()
