"""Chest X-rays, as a user runs them: results, explanations, other findings and descriptors; and what goes wrong."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from ecor_jax.commands import descriptors, evaluate, explain, train
from ecor_jax.errors import UserError


def test_results(diagnosed):
    results = json.loads((diagnosed / "results.json").read_text())
    methods, others = results["methods"], [name for name in results["methods"] if name != "bottleneck"]
    assert (results["dataset"], results["seed"], len(others)) == ("nih", 0, 4)
    # 12 of 40 patients, of two images each, as many with an effusion as without.
    assert results["studies"]["test"] == {"count": 24, "patients": 12, "positive": {"No Finding": 12, "Effusion": 12}}
    assert results["studies"]["train"]["patients"] == 28
    for scores in methods.values():
        assert scores["count"] == 24 and scores["patients"] == 12
        assert all(0 <= scores[name] <= 1 for name in ("accuracy", "precision", "recall", "f1", "auroc"))
        low, high = scores["auroc_interval"]
        assert 0 <= low <= high <= 1
    assert list(results["auroc_differences"]) == [f"bottleneck - {name}" for name in others]
    # All weights kept is the model itself.
    assert list(results["kept"]) == ["bottleneck", "random_descriptors"]
    whole = results["kept"]["bottleneck"]["55"]
    assert whole["auroc"] == pytest.approx(methods["bottleneck"]["auroc"], abs=1e-9)
    assert whole["accuracy"] == pytest.approx(methods["bottleneck"]["accuracy"])
    assert {"rouge_l", "rouge_lsum"} <= set(results["explanations"]["text"])


def test_an_x_ray_is_explained(called, diagnosed, radiographs, tmp_path):
    images = [radiographs / "images" / f"{patient:08}_000.png" for patient in (0, 1)]
    called(explain, f"--model={diagnosed / 'model'}", "--images", *images, "--what_if", "clear lungs=0.5",
           f"--output={tmp_path / 'page'}")  # fmt: skip
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<img") == 2 and "Effusion" in page and "clear lungs" in page and "medical device" in page
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert explained[0]["answers"][0]["label"] == "Effusion" and len(explained) == 2


def test_several_findings_at_once(called, xray_options, tmp_path):
    called(train, *xray_options, "--config.data.findings=Effusion,Edema", "--config.data.single_label=false",
           "--config.methods=bottleneck,black_box", f"--workdir={tmp_path / 'run'}")  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(results["methods"]["black_box"]["findings"]) == ["Effusion", "Edema"]
    assert results["methods"]["bottleneck"]["count"] == 24


def test_descriptors_of_reports_of_a_mimic_shaped_tree(called, mimic_tree, xray_options, tmp_path):
    """By the rules within the run, and by the command `descriptors` before it: the same model."""
    mimic = mimic_tree.write_tree(tmp_path / "mimic", mimic_tree.synthetic(16))
    options = [
        *xray_options,
        f"--config.data.images={mimic}",
        f"--config.data.tables={mimic}",
        "--config.data.findings=No Finding,Pleural Effusion",
        "--config.data.test=0.5",
        "--config.concepts.source=reports",
        "--config.concepts.min_reports=2",
        "--config.methods=bottleneck",
    ]
    called(train, *options, f"--workdir={tmp_path / 'rules'}")
    called(descriptors, f"--reports={mimic}", f"--output={tmp_path / 'split'}")
    saved = f"--config.concepts.statements={tmp_path / 'split' / 'statements.jsonl'}"
    called(train, *options, saved, f"--workdir={tmp_path / 'saved'}")
    description = json.loads((tmp_path / "rules" / "model" / "ecor.json").read_text())
    assert {"no pneumothorax", "clear lungs"} <= {text for group in description["groups"].values() for text in group}
    files = [tmp_path / run / "model" / "bottleneck.safetensors" for run in ("rules", "saved")]
    assert files[0].read_bytes() == files[1].read_bytes()
    results = json.loads((tmp_path / "rules" / "results.json").read_text())
    assert results["explanations"]["reference"] == "reports"
    assert "the radiologist" in (tmp_path / "rules" / "report" / "index.html").read_text()


def test_a_clip_is_pretrained_on_the_training_patients_alone(called, xray_options, tmp_path, monkeypatch):
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
    names = {
        "images": sorted(path.name for path in (radiographs / "images").iterdir()),
        "texts": list(Descriptors.from_file(XRAYS).phrases),
    }
    arrays = {kind: rng.normal(size=(len(known), 6)).astype(np.float32) for kind, known in names.items()}
    file = tmp_path / "biovil.safetensors"
    save_file(arrays, file, {kind: json.dumps(known) for kind, known in names.items()})
    called(train, *xray_options, "--config.model=", f"--config.embeddings={file}",
           "--config.methods=bottleneck,black_box", f"--workdir={tmp_path / 'run'}")  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["methods"]["bottleneck"]["count"] == 24
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["methods=bottleneck,white_box"], "methods is 'bottleneck,white_box'; expected some of bottleneck"),
        (["methods="], "methods is ''"),
        (["data.test=0"], "no official split"),
        (["data.patients=41"], "data.patients is 41; expected 0"),
        (["data.batch_size=64"], "data.batch_size is 64; there are 56 images to train on"),
        (["head.adapter.width=0"], "head.adapter.width is 0 and loss.concept_weight 2.0"),
        (["concepts.template=x-ray"], "expected {d} and {c} as the only braces"),
        (["model=", "concepts.source=reports"], "--config.model is not set, and concepts.source"),
        (["embeddings=e.safetensors"], "both --config.model and --config.embeddings"),
        (["model=", "embeddings=e.safetensors"], "e.safetensors: cannot be read"),
    ],
)
def test_what_goes_wrong_is_named(called, xray_options, options, message, tmp_path):
    given = [f"--config.{option}" for option in options]
    with pytest.raises(UserError, match=message):
        called(train, *xray_options, *given, f"--workdir={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "model").exists()


def test_models_of_another_kind_are_refused(called, diagnosed, recognised, radiographs, tiny_clip, xray_options,
                                            tmp_path):  # fmt: skip
    xrays, faces, output = diagnosed / "model", recognised / "model", f"--output={tmp_path / 'new'}"
    for other, message in ((tiny_clip, "no descriptor bottleneck"), (faces, "is a bottleneck for faces")):
        with pytest.raises(UserError, match=message):
            called(evaluate, f"--model={other}", *xray_options, output)
    for option, asked in (("findings=No Finding,Edema", r"No Finding, Edema \(one label\)"),
                          ("single_label=false", r"No Finding, Effusion \(several labels\)")):  # fmt: skip
        with pytest.raises(UserError, match=rf"tells No Finding, Effusion \(one label\); the config names {asked}"):
            called(evaluate, f"--model={xrays}", *xray_options, output, f"--config.data.{option}")
    image = radiographs / "images" / "00000000_000.png"
    with pytest.raises(UserError, match="tells No Finding, Effusion; expected a model for faces"):
        called(explain, f"--model={xrays}", "--pair", image, image, "--threshold=0.5", output)
    with pytest.raises(UserError, match="compares faces; expected --pair"):
        called(explain, f"--model={faces}", "--images", image, output)
    # Another seed draws other patients for the test, some of whom the model was trained on.
    with pytest.raises(UserError, match=r"test images: a patient in two splits is refused, found \d+: \d+, "):
        called(evaluate, f"--model={xrays}", *xray_options, output, "--config.data.seed=1")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--what_if=clear lung=0", "no such descriptor; the nearest: clear lungs"),
        ("--what_if=clear lungs=2", "expected DESCRIPTOR=COSINE, a cosine from -1 to 1"),
        ("--threshold=0.5", "--threshold has no meaning"),
        ("--rationales=r.json", "--rationales has no meaning"),
        ("--top_k=3", "--top_k has no meaning"),
    ],
)
def test_explanations_that_cannot_be_made(called, diagnosed, radiographs, tmp_path, option, message):
    image = radiographs / "images" / "00000000_000.png"
    with pytest.raises(UserError, match=message):
        called(explain, f"--model={diagnosed / 'model'}", "--images", image, f"--output={tmp_path / 'page'}", option)
