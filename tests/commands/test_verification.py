"""Faces, as a user runs them: train, results, evaluate, explain a pair; and what goes wrong."""

import json

import pytest

from ecor_jax.commands import evaluate, explain, train
from ecor_jax.errors import UserError


def test_results(recognised):
    results = json.loads((recognised / "results.json").read_text())
    assert results["seed"] == 0
    assert list(results["verification"]) == ["noise", "celebrity_pairs"]
    noise, pairs = results["verification"].values()
    # Two people of six pictures: 2 * 15 pairs of one person, as many of two.
    assert (noise["pairs"], noise["same"], pairs["pairs"], pairs["same"]) == (60, 30, 12, 6)
    for scores in (noise, pairs):
        assert 0 <= scores["accuracy"] <= 1 and 0 <= scores["auc"] <= 1 and -1 <= scores["threshold"] <= 1
    assert results["average"] == pytest.approx((noise["accuracy"] + pairs["accuracy"]) / 2)
    assert results["alignment_proxy"] * 15 == pytest.approx(round(results["alignment_proxy"] * 15))
    kept = results["faithfulness"]["kept"]
    # All concepts kept is the decision itself; none deleted, the similarity itself.
    assert kept["120"] == noise["accuracy"] and next(iter(kept)) == "1"
    deleted = results["faithfulness"]["deleted"]
    assert deleted["by share"]["0"] == deleted["at random"]["0"] > deleted["by share"]["80"]


def test_a_plain_clip_is_evaluated_untrained(called, tiny_clip, recognised, face_options, tmp_path):
    called(evaluate, f"--model={tiny_clip}", *face_options, f"--output={tmp_path / 'r.json'}",
           "--config.bottleneck.output=features")  # fmt: skip
    results, trained = (json.loads(path.read_text()) for path in (tmp_path / "r.json", recognised / "results.json"))
    assert results["baselines"]["clip"] == trained["baselines"]["clip"]


def test_faces_are_explained_and_concepts_of_the_second_one_are_set(called, recognised, people, tmp_path):
    first, second = people / "faces" / "p0" / "0.png", people / "faces" / "p1" / "0.png"
    asked = ("--what_if", "a round face=0.9", "--what_if", "brown skin=0")
    called(explain, f"--model={recognised / 'model'}", "--pair", first, first, "--pair", first, second, *asked,
           f"--output={tmp_path / 'page'}")  # fmt: skip
    page = (tmp_path / "page" / "index.html").read_text()
    assert "similarity" in page and "eyebrows" in page and page.count("<img") == 4
    lines = page[page.index("Were it otherwise") :].split("<li>")[1:3]
    assert "a round face" in lines[0] and ": 90.0" in lines[0] and "brown skin" in lines[1] and ": 0.0" in lines[1]
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert len(explained) == 2 and len(explained[0]["concepts"]) == 120
    assert "pairs of" in explained[0]["threshold_source"] and set(explained[0]["typical"]) >= {"eyebrows"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("log_every=0", "log_every is 0"),
        ("data.images=/nowhere", "/nowhere"),
        ("data.held_out=5", "data.held_out is 5; expected 0 to 4"),
        ("alignment.images=/nowhere", "/nowhere"),
        ("pairs.celebrity_pairs.path=/nowhere.bin", "/nowhere.bin"),
        ("bottleneck.tuned=nose", "bottleneck.tuned names 'nose'"),
        ("bottleneck.adapter.width=0", "adapter.width is 0"),
        ("bottleneck.template=a face", "expected {d} as the only braces"),
        ("bottleneck.size=7", "an identity needs that of the descriptors, 120"),
        ("bottleneck.wise_ft=0", "bottleneck.wise_ft is 0"),
        ("bottleneck.output=activations", "aggregation, which bottleneck.output=activations leaves out"),
        ("bottleneck.descriptors=/nowhere.json", "/nowhere.json: cannot be read"),
    ],
)
def test_options_are_checked_before_a_clip_is_pretrained(called, face_options, option, message, tmp_path):
    with pytest.raises(UserError, match=message):
        called(train, *face_options, "--config.model=", f"--config.{option}", f"--workdir={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "clip").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("data.image_size=112", "is 20x20 pixels; expected 112x112"),
        ("data.batch_size=100", "a batch of 100|data.batch_size is 100"),
        ("model=", "tinyimagenet_train_a.zip"),
    ],
)
def test_what_goes_wrong_later_is_named(called, face_options, option, message, tmp_path, monkeypatch):
    monkeypatch.setenv("ECOR_DATA", "/nowhere")
    with pytest.raises(UserError, match=message):
        called(train, *face_options, f"--config.{option}", f"--workdir={tmp_path / 'run'}")


def test_pairs_that_cannot_be_explained(called, recognised, tiny_clip, people, tmp_path):
    face = people / "faces" / "p0" / "0.png"
    (tmp_path / "torn.png").write_bytes(face.read_bytes()[:60])
    with pytest.raises(UserError, match=r"2 pictures cannot be read: .*absent\.png.*torn\.png"):
        called(explain, f"--model={recognised / 'model'}", "--pair", tmp_path / "absent.png", tmp_path / "torn.png",
               f"--output={tmp_path / 'page'}")  # fmt: skip
    with pytest.raises(UserError, match="no descriptor bottleneck"):
        called(explain, f"--model={tiny_clip}", "--pair", face, face, f"--output={tmp_path / 'page'}")
    for option, message in (("--threshold=3", "--threshold is 3"),
                            ("--what_if=a rond face=1", "no such descriptor; the nearest: a round face"),
                            ("--what_if=a round face=1.5", "a share of its group from 0 to 1")):  # fmt: skip
        with pytest.raises(UserError, match=message):
            called(explain, f"--model={recognised / 'model'}", "--pair", face, face, option,
                   f"--output={tmp_path / 'page'}")  # fmt: skip
    assert not (tmp_path / "page").exists()
