"""Chest X-rays, as a user runs them: train, results, evaluate, explain; and what goes wrong."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from ecor_jax.commands import evaluate, explain, train
from ecor_jax.errors import UserError

HEADER = "Image Index,Finding Labels,Patient ID,View Position"


@pytest.fixture(scope="session")
def radiographs(tmp_path_factory):
    """Noise of 40 patients in the shape of NIH's set: of every four one has an effusion, a light patch below."""
    root = tmp_path_factory.mktemp("nih")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = [HEADER]
    for patient in range(40):
        findings = ("Effusion", "No Finding", "Effusion|Edema", "No Finding")[patient % 4]
        for number in range(2):
            pixels = rng.integers(0, 120, (24, 24), np.uint8)
            pixels[14:] += 100 if "Effusion" in findings else 0
            name = f"{patient:08}_{number:03}.png"
            Image.fromarray(pixels).save(root / "images" / name)
            lines.append(f"{name},{findings},{patient},{'PA' if number else 'AP'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def xray_options(radiographs, tiny_clip) -> list[str]:
    return [
        "--config=configs/xray_nih.py",
        f"--config.model={tiny_clip}",
        f"--config.data.images={radiographs / 'images'}",
        f"--config.data.tables={radiographs / 'labels.csv'}",
        "--config.data.batch_size=8",
        "--config.head.adapter.width=4",
        "--config.evaluation.resamples=50",
        "--config.report.studies=3",
        "--config.steps=4",
        "--config.log_every=1",
        "--config.checkpoint_every=2",
    ]


METHODS = ["bottleneck", "bottleneck_push_absent", "random_descriptors", "black_box", "black_box_mlp"]


@pytest.fixture(scope="session")
def diagnosed(commands, xray_options, tmp_path_factory):
    """The workdir of a short run."""
    workdir = tmp_path_factory.mktemp("diagnosed") / "run"
    printed = commands.run("train", *xray_options, f"--workdir={workdir}")
    assert [line.split()[0] for line in printed.splitlines()[1:-1]] == METHODS
    assert "no medical device" in printed.splitlines()[-1]
    return workdir


def test_the_workdir(diagnosed):
    names = {entry.name for entry in diagnosed.iterdir()}
    assert names == {".lock", "checkpoints", "config.json", "metrics.jsonl", "model", "report", "results.json"}
    page = (diagnosed / "report" / "index.html").read_text()
    assert page.count("<img") >= 3 and "Not a medical device" in page and "blunting of the costophrenic angle" in page
    assert all(name in page for name in METHODS)


def test_results(diagnosed):
    results = json.loads((diagnosed / "results.json").read_text())
    assert (results["dataset"], results["seed"], list(results["methods"])) == ("nih", 0, METHODS)
    # 12 of 40 patients, of two images each, as many with an effusion as without.
    assert results["studies"]["test"] == {"count": 24, "patients": 12, "positive": {"No Finding": 12, "Effusion": 12}}
    assert results["studies"]["train"]["patients"] == 28
    for scores in results["methods"].values():
        assert scores["count"] == 24 and scores["patients"] == 12
        assert all(0 <= scores[name] <= 1 for name in ("accuracy", "precision", "recall", "f1", "auroc"))
        low, high = scores["auroc_interval"]
        assert 0 <= low <= high <= 1
    assert list(results["auroc_differences"]) == [f"bottleneck - {name}" for name in METHODS[1:]]
    main = results["methods"]["bottleneck"]
    # All weights kept is the model itself.
    assert list(results["kept"]) == ["bottleneck", "random_descriptors"]
    assert results["kept"]["bottleneck"]["55"]["auroc"] == pytest.approx(main["auroc"], abs=1e-9)
    assert results["kept"]["bottleneck"]["55"]["accuracy"] == pytest.approx(main["accuracy"])
    texts = results["explanations"]["text"]
    assert set(texts) >= {"rouge_l", "rouge_lsum"} and all("value" in one for one in texts.values())


def test_the_clip_is_frozen(diagnosed, tiny_clip):
    saved, before = (load_file(path / "model.safetensors") for path in (diagnosed / "model", tiny_clip))
    assert saved.keys() == before.keys()
    assert all(np.array_equal(saved[name], before[name]) for name in saved)


def test_evaluation_gives_the_figures_of_the_run(commands, diagnosed, xray_options, tmp_path):
    model = diagnosed / "model"
    printed = commands.run("evaluate", f"--model={model}", *xray_options, f"--output={tmp_path / 'r.json'}")
    assert printed.splitlines()[1].startswith("bottleneck")
    found, trained = (json.loads(path.read_text()) for path in (tmp_path / "r.json", diagnosed / "results.json"))
    assert found["methods"]["bottleneck"] == trained["methods"]["bottleneck"]
    assert found["explanations"] == trained["explanations"]
    assert found["kept"]["bottleneck"] == trained["kept"]["bottleneck"]


def test_an_x_ray_is_explained(commands, diagnosed, radiographs, tmp_path):
    images = [radiographs / "images" / f"{patient:08}_000.png" for patient in (0, 1)]
    printed = commands.run("explain", f"--model={diagnosed / 'model'}", "--images", *images,
                           "--what_if", "clear lungs=0.5", f"--output={tmp_path / 'page'}")  # fmt: skip
    assert printed == f"wrote {tmp_path / 'page' / 'index.html'}\n"
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<img") == 2 and "Effusion" in page and "clear lungs" in page and "medical device" in page
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert explained[0]["diagnoses"][0]["finding"] == "Effusion" and len(explained) == 2


def test_two_steps_and_a_stop_are_four_steps(commands, diagnosed, xray_options, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(diagnosed, workdir)
    for step in (workdir / "checkpoints" / "bottleneck").glob("4"):
        shutil.rmtree(step)
    commands.run("train", *xray_options, f"--workdir={workdir}")
    again, once = ((path / "model" / "bottleneck.safetensors").read_bytes() for path in (workdir, diagnosed))
    assert again == once


def test_several_findings_at_once(called, xray_options, tmp_path):
    called(train, *xray_options, "--config.data.findings=Effusion,Edema", "--config.data.single_label=false",
           "--config.methods=bottleneck,black_box", f"--workdir={tmp_path / 'run'}")  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(results["methods"]["black_box"]["findings"]) == ["Effusion", "Edema"]
    assert results["methods"]["bottleneck"]["count"] == 24


@pytest.fixture(scope="session")
def mimic(mimic_tree, tmp_path_factory):
    return mimic_tree.write_tree(tmp_path_factory.mktemp("mimic"), mimic_tree.synthetic(16))


@pytest.fixture
def mimic_options(mimic, xray_options) -> list[str]:
    named = [f"--config.data.{option}={mimic}" for option in ("images", "tables")]
    small = [option for option in xray_options if "data.images" not in option and "data.tables" not in option]
    return [
        *small,
        *named,
        "--config.data.findings=No Finding,Pleural Effusion",
        "--config.data.test=0.5",
        "--config.data.batch_size=8",
        "--config.concepts.source=reports",
        "--config.concepts.least=2",
        "--config.methods=bottleneck,random_descriptors",
    ]


def test_descriptors_of_reports_of_a_mimic_shaped_tree(commands, mimic, mimic_options, tmp_path):
    """By the rules within the run, and by launch.descriptors before it: the same model."""
    commands.run("train", *mimic_options, f"--workdir={tmp_path / 'one'}")
    commands.run("descriptors", f"--reports={mimic}", f"--output={tmp_path / 'split'}")
    saved = f"--config.concepts.statements={tmp_path / 'split' / 'statements.jsonl'}"
    commands.run("train", *mimic_options, saved, f"--workdir={tmp_path / 'two'}")
    description = json.loads((tmp_path / "one" / "model" / "ecor.json").read_text())
    assert {"no pneumothorax", "clear lungs"} <= {text for group in description["groups"].values() for text in group}
    files = [tmp_path / run / "model" / "bottleneck.safetensors" for run in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert results["explanations"]["reference"] == "reports"
    page = (tmp_path / "one" / "report" / "index.html").read_text()
    assert "the radiologist" in page


def test_statements_that_do_not_fit(called, mimic_options, tmp_path):
    file = tmp_path / "statements.jsonl"
    run = ("--config.methods=bottleneck", f"--config.concepts.statements={file}", f"--workdir={tmp_path / 'run'}")
    with pytest.raises(UserError, match=r"statements\.jsonl: cannot be read"):
        called(train, *mimic_options, *run)
    file.write_text('{"name": "a", "statements": []}\n{"name": "b"}\n')
    with pytest.raises(UserError, match=r"statements\.jsonl, line 2: expected"):
        called(train, *mimic_options, *run)
    file.write_text('{"name": "a", "statements": []}\n')
    with pytest.raises(UserError, match=r"no statements of \d+ reports: files/p10/"):
        called(train, *mimic_options, *run)


def test_a_clip_is_pretrained_on_the_training_patients_alone(called, xray_options, radiographs, tmp_path, monkeypatch):
    from ecor_jax.tasks.pretrain import task as pretrain

    seen = []

    def stop(task, model):
        records = [task.source[number] for number in range(len(task.source))]
        seen.extend((record["name"], record["category"]) for record in records)
        raise UserError("stopped")

    monkeypatch.setattr(pretrain.Pretrain, "open", stop)
    with pytest.raises(UserError, match="stopped"):
        called(train, *xray_options, "--config.model=", f"--workdir={tmp_path / 'run'}")
    patients = {int(name[:8]) for name, _ in seen}
    assert len(patients) == 28 and {category for _, category in seen} == {"effusion", "edema", "no finding"}


def test_embeddings_of_another_encoder(called, xray_options, radiographs, tmp_path):
    from ecor_jax.data.descriptors import XRAYS, Descriptors

    rng = np.random.default_rng(0)
    names = sorted(path.name for path in (radiographs / "images").iterdir())
    phrases = Descriptors.from_json(XRAYS).phrases
    file = tmp_path / "biovil.safetensors"
    arrays = {"images": rng.normal(size=(len(names), 6)).astype(np.float32),
              "texts": rng.normal(size=(len(phrases), 6)).astype(np.float32)}  # fmt: skip
    save_file(arrays, file, {"images": json.dumps(names), "texts": json.dumps(phrases)})
    called(train, *xray_options, "--config.model=", f"--config.embeddings={file}",
           "--config.methods=bottleneck,black_box", f"--workdir={tmp_path / 'run'}")  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["methods"]["bottleneck"]["count"] == 24
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config.methods=bottleneck,white_box"], "methods is 'bottleneck,white_box'; expected some of bottleneck"),
        (["--config.methods="], "methods is ''"),
        (["--config.data.findings=Effusion"], "data.findings names Effusion; expected two"),
        (["--config.data.findings=No Finding,Fracture"], "no label column 'Fracture'; there are: "),
        (["--config.data.views=LATERAL"], "no image of view 'LATERAL'; there are: AP, PA"),
        (["--config.data.test=1"], "data.test is 1"),
        (["--config.data.test=0"], "no official split"),
        (["--config.concepts.source=reports"], "no image to train on has a report; set data.reports"),
        (["--config.concepts.statements=s.jsonl"], "concepts.source is 'labels'; expected 'reports'"),
        (["--config.model=", "--config.concepts.source=reports"], "--config.model is not set, and concepts.source"),
        (["--config.data.patients=41"], "data.patients is 41; expected 0"),
        (["--config.data.batch_size=64"], "data.batch_size is 64; there are 56 images to train on"),
        (["--config.head.adapter.width=0"], "head.adapter.width is 0 and loss.concept_weight 2.0"),
        (["--config.concepts.descriptors=faces.json"], "faces.json: cannot be read"),
        (["--config.concepts.template=x-ray"], "expected {d} as the only braces"),
        (["--config.embeddings=e.safetensors"], "both --config.model and --config.embeddings"),
        (["--config.model=", "--config.embeddings=e.safetensors"], "e.safetensors: cannot be read"),
        (["--config.data.images=/nowhere"], "/nowhere"),
        (["--config.data.tables=/nowhere.csv"], "/nowhere.csv"),
    ],
)
def test_what_goes_wrong_is_named(called, xray_options, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        called(train, *xray_options, *options, f"--workdir={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "model").exists()


def test_models_of_another_kind_are_refused(called, diagnosed, face_bottleneck, radiographs, tiny_clip, xray_options,
                                            tmp_path):  # fmt: skip
    model, output = diagnosed / "model", f"--output={tmp_path / 'r.json'}"
    for other, message in ((tiny_clip, "no descriptor bottleneck"), (face_bottleneck, "is a bottleneck for faces")):
        with pytest.raises(UserError, match=message):
            called(evaluate, f"--model={other}", *xray_options, output)
    for option, asked in (("findings=No Finding,Edema", r"No Finding, Edema \(one label\)"),
                          ("single_label=false", r"No Finding, Effusion \(several labels\)")):  # fmt: skip
        with pytest.raises(UserError, match=rf"tells No Finding, Effusion \(one label\); the config names {asked}"):
            called(evaluate, f"--model={model}", *xray_options, output, f"--config.data.{option}")
    image = radiographs / "images" / "00000000_000.png"
    with pytest.raises(UserError, match="tells No Finding, Effusion; expected a model for faces"):
        called(explain, f"--model={model}", "--pair", image, image, "--threshold=0.5", f"--output={tmp_path / 'page'}")
    with pytest.raises(UserError, match="compares faces; expected --pair"):
        called(explain, f"--model={face_bottleneck}", "--images", image, f"--output={tmp_path / 'page'}")


def test_patients_of_the_training_are_no_test(called, diagnosed, xray_options, tmp_path):
    """Another seed draws other patients for the test, some of whom the model was trained on."""
    with pytest.raises(UserError, match=r"test images: a patient in two splits is refused, found \d+: \d+, "):
        called(evaluate, f"--model={diagnosed / 'model'}", *xray_options, f"--output={tmp_path / 'r.json'}",
               "--config.data.seed=1")  # fmt: skip


@pytest.fixture
def face_bottleneck(tiny_clip, tmp_path):
    from flax import nnx

    from ecor_jax.bottleneck import Bottleneck
    from ecor_jax.checkpoints.bottleneck_dir import SavedBottleneck, save_bottleneck
    from ecor_jax.checkpoints.model_dir import load_clip
    from ecor_jax.data.descriptors import Descriptors

    model, words = load_clip(tiny_clip), Descriptors.from_groups({"nose": ["wide", "narrow"]}, "here")
    head = Bottleneck(np.eye(2, 16, dtype=np.float32), (0, 0), scale=1.0, size=2, rngs=nnx.Rngs(0))
    save_bottleneck(tmp_path / "faces", SavedBottleneck(model, head, words, "{d}", "aggregated", 0.5))
    return tmp_path / "faces"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--what_if", "clear lung=0"], "no such descriptor; the nearest: clear lungs"),
        (["--what_if", "clear lungs=2"], "expected DESCRIPTOR=COSINE, a cosine from -1 to 1"),
        (["--threshold=0.5"], "--threshold has no meaning"),
        (["--rationales=r.json"], "--rationales has no meaning"),
        (["--top_k=3"], "--top_k has no meaning"),
    ],
)
def test_explanations_that_cannot_be_made(called, diagnosed, radiographs, tmp_path, options, message):
    image = radiographs / "images" / "00000000_000.png"
    with pytest.raises(UserError, match=message):
        called(explain, f"--model={diagnosed / 'model'}", "--images", image, f"--output={tmp_path / 'page'}", *options)
