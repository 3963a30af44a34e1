"""Classification through descriptors for any pictures: parts, classes, their own or shared descriptors, zero-shot."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import ecor_jax
from ecor_jax.bottleneck.directory import load_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.config.options import defaults, read
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.heads import ClassNames, mean_descriptors
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.task import METHODS, ConceptBottleneck, open_data
from tests.tasks.steps import unit_rows

WORDS = {
    "Cat": ["whiskers", "Four legs"],
    "dog": ["four legs", "a wet nose", "floppy ears"],
    "grey-seal": ["flippers"],
    "yeti": [],
}


@pytest.fixture
def config(tiny_pictures, tmp_path):
    """Eight training and five test pictures of a cat, a dog and a grey seal."""
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    made = defaults(ConceptsOptions)
    made.data.images, made.concepts.descriptors = str(tiny_pictures[0]), str(tmp_path / "words.json")
    made.data.on_missing, made.data.batch_size = "allow", 8
    made.steps, made.log_every, made.evaluation.batch_size = 3, 1, 16
    return made


def opened(config):
    data = open_data(read(ConceptsOptions, config))
    parts = [part.pictures for part in (data.train, data.validation, data.test) if part is not None]
    assert data.tally.used == sum(map(len, parts)) == data.tally.found - sum(data.tally.skipped.values())
    return data


def test_evaluation_asks_for_no_training_batch(config):
    config.data.batch_size = 7
    assert ConceptBottleneck(read(ConceptsOptions, config), training=False).data.test is not None
    with pytest.raises(UserError, match=r"data\.batch_size is 7; expected a multiple of 8"):
        ConceptBottleneck(read(ConceptsOptions, config), training=True)


def refused(config) -> str:
    with pytest.raises(UserError) as error:
        opened(config)
    return str(error.value)


def held(data, name: str) -> set[str]:
    """The descriptors of a class, with the group of each."""
    groups = [data.descriptors.groups[group] for group in data.descriptors.group_of]
    own = data.of_class[data.classes.index(name)]
    return {f"{groups[n]}: {data.descriptors.phrases[n]}" for n in np.flatnonzero(own)}


@pytest.mark.parametrize("template", ["{d}", "a {c}, which has {d}"])
def test_descriptors_are_shared_or_of_each_class(config, template):
    config.concepts.template = template
    data = opened(config)
    assert data.classes == ("cat", "dog", "grey seal") and data.test.patients is None and data.shown == ()
    assert held(data, "grey seal") == {"grey seal: flippers"}
    if template == "{d}":
        assert held(data, "cat") == {"cat: whiskers", "several classes: four legs"}
        assert held(data, "dog") == {"several classes: four legs", "dog: a wet nose", "dog: floppy ears"}
        assert sorted(data.descriptors.prompts(template)) == sorted(data.descriptors.phrases)
    else:
        assert held(data, "cat") == {"cat: whiskers", "cat: four legs"}
        assert held(data, "dog") == {"dog: four legs", "dog: a wet nose", "dog: floppy ears"}
        assert "a dog, which has four legs" in data.descriptors.prompts(template)
        # WaffleCLIP keeps the class, and random letters take the place of the descriptor.
        random = data.descriptors.scrambled(0).prompts(template)
        assert all(text.startswith(("a cat, which", "a dog, which", "a grey seal, which")) for text in random)
        assert not set(random) & set(data.descriptors.prompts(template))
    for part in (data.train, data.test):
        assert [data.classes[n] for n in part.targets.argmax(axis=1)] == list(part.pictures.categories)
        np.testing.assert_array_equal(part.present, part.targets @ data.of_class > 0)
        assert [set(own) for own in part.phrases] == [
            {text.split(": ")[1] for text in held(data, name)} for name in part.pictures.categories
        ]
    assert any("yeti" in line for line in data.tally.lines)


def test_a_validation_part_is_taken_of_the_training_pictures_alone(config):
    before = opened(config)
    config.data.validation = "0.25"
    data = opened(config)
    assert [len(part.pictures) for part in (data.train, data.validation, data.test)] == [18, 6, 15]
    assert data.test.pictures.names == before.test.pictures.names
    assert set(data.train.pictures.names) | set(data.validation.pictures.names) == set(before.train.pictures.names)


def test_pictures_with_several_labels(config, tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        lines = ["a.png\tcat|dog", "b.png\tdog", "c.png\tgrey seal|cat", "d.png\tgrey seal", "e.png\tcat"]
        for line in lines:
            Image.new("RGB", (8, 8)).save(tmp_path / part / line.split("\t")[0])
        (tmp_path / part / "label.txt").write_text("\n".join(lines))
    config.data.images, config.data.single_label = str(tmp_path / "train"), False
    assert "pictures with several labels have no class to split by" in refused(config)
    config.data.test_images = str(tmp_path / "test")
    data = opened(config)
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 0, 0]]
    np.testing.assert_array_equal(data.train.targets, expected)
    np.testing.assert_array_equal(data.test.targets, expected)
    assert data.shown == data.classes == ("cat", "dog", "grey seal")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("data.images", "", "--config.data.images is not set: expected a path"),
        ("data.images", "/nowhere", "/nowhere"),
        ("concepts.descriptors", "xrays", "--config.concepts.descriptors is not set: expected a path"),
        ("concepts.descriptors", "/nowhere.json", "/nowhere.json: cannot be read"),
        ("concepts.source", "reports", "concepts.source is 'reports'; pictures without reports have 'labels' alone"),
        ("concepts.template", "{c}", "concepts.template is '{c}'; expected {d} and {c} as the only braces"),
        ("data.on_missing", "error", "1 classes of the rationale file with no image: yeti"),
        ("data.validation", "1", "data.validation is 1.0; expected a share"),
        ("data.aliases", "cat=yeti,dog=yeti,grey seal=yeti", "no class of the images has rationales"),
        ("data.aliases", "dog=cat,grey seal=cat", "found 1 class with pictures, cat; expected at least 2"),
    ],
)
def test_an_option_out_of_range(config, option, value, expected):
    group, name = option.split(".")
    config[group][name] = value
    assert expected in refused(config)


def test_bad_pictures_are_named_or_left_out(config, tiny_clip, tmp_path, tiny_pictures):
    own = shutil.copytree(tiny_pictures[0], tmp_path / "own")
    (bad := next((own / "train").rglob("*.*"))).write_bytes(b"no picture")
    config.model, config.data.images = str(tiny_clip), str(own)
    with pytest.raises(UserError, match=bad.name):
        ecor_jax.train(config, tmp_path / "run")
    config.data.on_bad_image = "skip"
    data = opened(config)
    assert len(data.train.pictures) == 23 and any(bad.name in line for line in data.tally.lines)


def test_zero_shot_heads_are_their_equations(tiny_clip):
    """Menon and Vondrick's equation 1 in NumPy, and CLIP's own zero-shot classification."""
    clip = ecor_jax.load_clip(tiny_clip)
    directions, bank = (unit_rows(np.random.default_rng(rows), rows, 8) for rows in (4, 5))
    of_class = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
    logits = mean_descriptors(bank, of_class, clip.scale)(jnp.asarray(3 * directions)).output
    expected = [
        [clip.scale * np.mean([row @ bank[d] for d in np.flatnonzero(own)]) for own in of_class] for row in directions
    ]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    logits = ClassNames(bank, clip.scale)(jnp.asarray(3 * directions))
    np.testing.assert_allclose(logits, clip.scale * directions @ bank.T, rtol=1e-4, atol=1e-4)


def test_a_run_of_every_method(config, tiny_clip, tmp_path):
    """Train, evaluate, explain: one config, and the same numbers from the model directory."""
    config.model, config.methods = str(tiny_clip), ",".join(METHODS)
    config.data.validation, config.eval_every, config.best = "0.25", 1, "accuracy"
    results = ecor_jax.train(config, tmp_path / "run")
    assert list(results["methods"]) == list(METHODS) and results["findings"] == ["cat", "dog", "grey seal"]
    for scores in results["methods"].values():
        assert scores["count"] == 15 and not any("interval" in name or "patients" in name for name in scores)
        assert scores["average"] == "macro" and 0 <= scores["accuracy"] <= 1
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"validation_accuracy", "validation_brier"} <= set(lines[0])
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "medical device" not in page and "patient" not in page and "X-ray" not in page
    answers = tmp_path / "answers.jsonl"
    again = ecor_jax.evaluate(tmp_path / "run" / "model", config, answers=answers)
    assert again["methods"] == {"bottleneck": results["methods"]["bottleneck"]}
    told = [json.loads(line) for line in answers.read_text().splitlines()]
    right = [max(own["methods"]["bottleneck"], key=own["methods"]["bottleneck"].get) for own in told]
    assert np.mean([own["labels"][name] for own, name in zip(told, right, strict=True)]) == pytest.approx(
        results["methods"]["bottleneck"]["accuracy"]
    )
    saved = load_bottleneck(load_clip(tmp_path / "run" / "model"))
    assert saved.findings is not None and not saved.findings.medical
    # A plain CLIP is evaluated by what needs no training.
    zero_shot = ecor_jax.evaluate(tiny_clip, config)["methods"]
    assert zero_shot == {name: results["methods"][name] for name in METHODS if not METHODS[name].trained}
    config.methods = "bottleneck"
    with pytest.raises(UserError, match="no descriptor bottleneck"):
        ecor_jax.evaluate(tiny_clip, config)


def test_zero_shot_is_of_exclusive_classes(config, tiny_clip, tmp_path):
    config.methods, config.model = "zero_shot", str(tiny_clip)
    config.data.single_label, config.data.train_split, config.data.test_split = False, "train", "test"
    with pytest.raises(UserError, match="methods has zero_shot, which is for classes"):
        ecor_jax.train(config, tmp_path / "run")
    config.data.single_label, config.evaluation.average = True, "binary"
    with pytest.raises(UserError, match=r"evaluation\.average is 'binary' of 3 classes"):
        ecor_jax.train(config, tmp_path / "run")


def test_a_list_of_concepts_without_classes(config, tiny_clip, tmp_path):
    """As Label-free CBM's: a concept a line. Classes are the pictures'; no concept is known to be present."""
    (tmp_path / "concepts.txt").write_text("a tail\nwhiskers, long ones\nflippers\n")
    config.concepts.descriptors, config.model = str(tmp_path / "concepts.txt"), str(tiny_clip)
    data = opened(config)
    assert data.classes == ("cat", "dog", "grey seal") and data.of_class is None
    assert data.descriptors.phrases == ("a tail", "whiskers, long ones", "flippers")
    assert not data.train.present.any() and not any(data.test.phrases)
    assert data.tally.lines[-1].endswith("there is no concept loss, and explanations are not evaluated")
    results = ecor_jax.train(config, tmp_path / "run")
    assert set(results["methods"]) == set(config.methods.split(","))
    assert results["explanations"]["studies"] == 0
    assert (tmp_path / "run" / "report" / "index.html").exists()
    assert ecor_jax.load(tmp_path / "run" / "model").explain(Image.new("RGB", (9, 9), "red"))
    config.concepts.template = "a {c} with {d}"
    assert "says of no class what it has" in refused(config)
