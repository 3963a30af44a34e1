"""Faces, as a user runs them: train, results, evaluate, explain a pair; and what goes wrong."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from ecor_jax.commands import evaluate, explain, train
from ecor_jax.errors import UserError


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """A folder of six people with six noisy pictures each, and a zip of pairs of them."""
    root = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    for person in range(6):
        face = rng.integers(0, 256, (20, 20, 3))
        (root / "faces" / f"p{person}").mkdir(parents=True)
        for number in range(6):
            noisy = np.clip(face + rng.normal(0, 20, face.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / "faces" / f"p{person}" / f"{number}.png")
    rows = [
        (f"p{n % 6}-0.png", f"p{(n % 6 + n % 2) % 6}-{1 + n // 6}.png", "No" if n % 2 else "Yes") for n in range(12)
    ]
    with zipfile.ZipFile(root / "pairs.zip", "w") as archive:
        archive.writestr("set/pairs.csv", "file_x,file_y,Decision\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
        for name in {name for row in rows for name in row[:2]}:
            person, number = name.split("-")
            archive.write(root / "faces" / person / number, f"set/{name}")
    return root


@pytest.fixture(scope="session")
def face_options(people, tiny_clip, tiny_pictures) -> list[str]:
    return [
        "--config=configs/faces_orl.py",
        f"--config.model={tiny_clip}",
        f"--config.data.images={people / 'faces'}",
        "--config.data.name=noise",
        "--config.data.held_out=2",
        f"--config.pairs.celebrity_pairs.path={people / 'pairs.zip'}",
        f"--config.alignment.images={tiny_pictures[0]}",
        "--config.data.batch_size=8",
        "--config.bottleneck.tuned=adapter,last_mlp,aggregation",
        "--config.bottleneck.adapter.width=4",
        "--config.steps=4",
        "--config.log_every=1",
        "--config.checkpoint_every=2",
    ]


@pytest.fixture(scope="session")
def recognised(commands, face_options, tmp_path_factory):
    """The workdir of a short run."""
    workdir = tmp_path_factory.mktemp("recognised") / "run"
    printed = commands.run("train", *face_options, f"--workdir={workdir}")
    assert [line.split()[0] for line in printed.splitlines()[1:-1]] == [
        "tuned",
        "clip",
        "group_softmax",
        "group_softmax_random",
    ]
    return workdir


def test_the_workdir(recognised):
    names = {entry.name for entry in recognised.iterdir()}
    assert names == {".lock", "checkpoints", "config.json", "metrics.jsonl", "model", "report", "results.json"}
    page = (recognised / "report" / "index.html").read_text()
    assert page.count("<img") >= 8 and "celebrity_pairs" in page and "group_softmax_random" in page


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


def test_the_model_is_a_clip_that_others_read(recognised, tiny_clip):
    from ecor_jax.checkpoints.model_dir import load_clip

    tuned, before = (load_file(path / "model.safetensors") for path in (recognised / "model", tiny_clip))
    changed = {name for name in tuned if not np.array_equal(tuned[name], before[name])}
    last = "vision_model.encoder.layers.1.mlp"
    assert changed == {f"{last}.{layer}.{kind}" for layer in ("fc1", "fc2") for kind in ("weight", "bias")}
    assert load_clip(recognised / "model").clip.config == load_clip(tiny_clip).clip.config


def test_evaluation_gives_the_figures_of_the_run(commands, recognised, face_options, tmp_path):
    commands.run("evaluate", f"--model={recognised / 'model'}", *face_options, f"--output={tmp_path / 'r.json'}")
    results, trained = (json.loads(path.read_text()) for path in (tmp_path / "r.json", recognised / "results.json"))
    assert results["verification"] == trained["verification"]
    assert results["alignment_proxy"] == trained["alignment_proxy"]


def test_a_plain_clip_is_evaluated_untrained(called, tiny_clip, recognised, face_options, tmp_path):
    called(evaluate, f"--model={tiny_clip}", *face_options, f"--output={tmp_path / 'r.json'}",
           "--config.bottleneck.output=features")  # fmt: skip
    results, trained = (json.loads(path.read_text()) for path in (tmp_path / "r.json", recognised / "results.json"))
    # On one device there, on eight here: the last bits may differ.
    for name, scores in results["baselines"]["clip"]["verification"].items():
        expected = trained["baselines"]["clip"]["verification"][name]
        assert scores.pop("tar_at_far") == expected.pop("tar_at_far")
        assert scores == pytest.approx(expected, abs=1e-5)


def test_two_faces_are_explained(commands, recognised, people, tmp_path):
    first, second = people / "faces" / "p0" / "0.png", people / "faces" / "p1" / "0.png"
    model = recognised / "model"
    printed = commands.run("explain", f"--model={model}", "--pair", first, second, "--pair", first, first,
                           f"--output={tmp_path / 'page'}")  # fmt: skip
    assert printed == f"wrote {tmp_path / 'page' / 'index.html'}\n"
    page = (tmp_path / "page" / "index.html").read_text()
    assert "similarity" in page and "eyebrows" in page and page.count("<img") == 4
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert len(explained) == 2 and len(explained[0]["concepts"]) == 120


def test_two_steps_and_a_stop_are_four_steps(commands, recognised, face_options, tmp_path):
    """The statistics of AdaFace are part of what is restored."""
    workdir = tmp_path / "run"
    shutil.copytree(recognised, workdir)
    for step in (workdir / "checkpoints" / "verification").glob("4"):
        shutil.rmtree(step)
    commands.run("train", *face_options, f"--workdir={workdir}")
    for file in ("bottleneck.safetensors", "model.safetensors"):
        again, once = ((path / "model" / file).read_bytes() for path in (workdir, recognised))
        assert again == once


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config.bottleneck.adapter.width=0"], "adapter.width is 0"),
        (["--config.bottleneck.template=a face"], "expected {d} as the only braces"),
        (["--config.bottleneck.size=7"], "an identity needs that of the descriptors, 120"),
        (["--config.bottleneck.wise=0"], "bottleneck.wise is 0"),
        (["--config.bottleneck.output=activations"], "aggregation, which bottleneck.output=activations leaves out"),
        (["--config.data.image_size=112"], "is 20x20 pixels; expected 112x112"),
        (["--config.bottleneck.descriptors=/nowhere.json"], "/nowhere.json: cannot be read"),
        (["--config.data.batch_size=100"], "a batch of 100|data.batch_size is 100"),
        (["--config.model="], "tinyimagenet_train_a.zip"),
    ],
)
def test_what_goes_wrong_is_named(called, face_options, options, message, tmp_path, monkeypatch):
    monkeypatch.setenv("ECOR_DATA", "/nowhere")
    with pytest.raises(UserError, match=message):
        called(train, *face_options, *options, f"--workdir={tmp_path / 'run'}")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("bottleneck.tuned=nose", "bottleneck.tuned names 'nose'"),
        ("log_every=0", "log_every is 0"),
        ("data.images=/nowhere", "/nowhere"),
        ("data.held_out=5", "data.held_out is 5; expected 0 to 4"),
        ("alignment.images=/nowhere", "/nowhere"),
        ("pairs.celebrity_pairs.path=/nowhere.bin", "/nowhere.bin"),
    ],
)
def test_options_are_checked_before_a_clip_is_pretrained(called, face_options, option, message, tmp_path):
    with pytest.raises(UserError, match=message):
        called(train, *face_options, "--config.model=", f"--config.{option}", f"--workdir={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "clip").exists()


def test_a_concept_of_the_second_face_is_set(called, recognised, people, tmp_path):
    face = people / "faces" / "p0" / "0.png"
    asked = ("--what_if", "a round face=0.9", "--what_if", "brown skin=0")
    called(explain, f"--model={recognised / 'model'}", "--pair", face, face, f"--output={tmp_path / 'page'}", *asked)
    page = (tmp_path / "page" / "index.html").read_text()
    lines = page[page.index("Were it otherwise") :].split("<li>")[1:3]
    assert "a round face" in lines[0] and ": 90.0" in lines[0] and "brown skin" in lines[1] and ": 0.0" in lines[1]


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
