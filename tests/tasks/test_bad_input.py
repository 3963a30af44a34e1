"""What users get wrong, through ecor-jax train: one clear line, before any long work, and nothing of theirs is lost."""

import json
import shutil
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ecor_jax.commands import cli, train
from ecor_jax.commands.config_files import read_config
from ecor_jax.errors import UserError
from ecor_jax.options import read
from ecor_jax.tasks import base
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale

ROOT = Path(__file__).parents[2]


@pytest.fixture
def refused(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    """The message of ecor-jax train with the given changes to a good run; no step may be trained."""

    def never(*_):
        raise AssertionError("the training began")

    def message(**changes: object) -> str:
        options = {
            "model": tiny_clip,
            "data.images": tiny_pictures[0],
            "data.rationales": tiny_pictures[1],
            "data.batch_size": 8,
            "steps": 2,
        }
        given = [f"--config.{key.replace('__', '.')}={value}" for key, value in {**options, **changes}.items()]
        arguments = ["--config=configs/folder.py", f"--workdir={tmp_path / 'run'}", *given]
        with pytest.raises(UserError) as error:
            train.main(cli.parse(train.parser(), arguments))
        assert "\n" not in str(error.value)
        return str(error.value)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("ecor_jax.training.loop.MetricsLog.write", never)
    return message


OPTIONS = {
    "model=": "--config.model is not set: expected a CLIP, as a model directory or a hub id",
    "model=/nowhere/clip": "/nowhere/clip: no such file or directory",
    "model=openai/no-such-clip": "give the path of a local copy",
    "task=tuning": "task is 'tuning'; expected one of pretrain, rationale",
    "method=best": "method is 'best'; expected one or several of clip, dror, ecor",
    "method=": "method is ''; expected one or several of",
    "dtype=float99": "dtype is 'float99'; expected one of float32, bfloat16",
    "dtype=int32": "dtype is 'int32'; expected",
    "data.seed=99999999999999999999": "data.seed is 99999999999999999999; expected",
    "optimizer.name=adam": "optimizer.name is 'adam'",
    "prompts.layers=foo": "prompts.layers is 'foo'; expected 'shallow', 'deep' or ascending numbers from 0 to 1",
    "prompts.layers=1,9": "prompts.layers is '1,9'; expected",
    "prompts.position=top": "prompts.position is 'top'; expected",
    "prompts.initialisation=zero": "prompts.initialisation is 'zero'; expected",
    "templates.pair={x}": "templates.pair is '{x}'; expected {c} and {r} as the only braces",
    "loss.candidates=all": "loss.candidates is 'all'; expected one of vocabulary, batch",
    "loss.gold=best": "loss.gold is 'best'; expected one of draw, pseudo",
    "evaluation.top_k=0": "evaluation.top_k is 0; expected 1 to 1,000,000",
    "evaluation.top_k=16": "evaluation.top_k is 16; expected 1 to 15, the number of pairs",
    "evaluation.mode=kind": "evaluation.mode is 'kind'; expected one of strict, dror",
    "evaluation.batch_size=0": "evaluation.batch_size is 0; expected 1 to 16,384",
    "evaluation.batch_size=12": "evaluation.batch_size is 12; expected a multiple of 8",
    "data.batch_size=12": "data.batch_size is 12; expected a multiple of 8",
    "data.batch_size=0": "data.batch_size is 0; expected 1 to 1,048,576",
    "data.batch_size=1000": "a batch of 1000 is larger than the 24 images in",
    "data.images=": "--config.data.images is not set: expected a path",
    "data.images=/nowhere": "/nowhere does not exist: expected a folder of images, a zip",
    "data.rationales=": "--config.data.rationales is not set: expected a path",
    "data.rationales=/nowhere.json": "/nowhere.json: cannot be read (No such file or directory)",
    "data.on_bad_image=ignore": "data.on_bad_image is 'ignore'; expected one of error, skip",
    "data.on_missing=ignore": "data.on_missing is 'ignore'; expected one of error, allow",
    "data.on_long=cut": "data.on_long is 'cut'; expected one of error, skip",
    "data.augment=all": "data.augment is 'all'; expected one of none, flip, crop_flip",
    "data.train_split=first": "has no images in a folder 'first'; at its top: test, train",
    "data.aliases=seal": "data.aliases: seal; expected image class=vocabulary class",
    "eval_every=1": "eval_every is 1 and best '', but the config keeps no validation part (data.validation)",
    "best=rr": "best is 'rr', but eval_every is 0: nothing is evaluated on the way",
    "data.validation=2": "data.validation is 2.0; expected a share between 0 and 1, or the name of a split",
    "parallel.model=3": "parallel.model is 3; expected a divisor of the 8 devices",
    "report.pictures=-1": "report.pictures is -1; expected 0 to 10,000",
    "data.colour=red": "--config.data.colour: no such option; there are: best, checkpoint_every",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option(refused, option):
    key, _, value = option.partition("=")
    assert OPTIONS[option] in refused(**{key: value})


@pytest.fixture
def model(tiny_clip, tmp_path):
    return shutil.copytree(tiny_clip, tmp_path / "model")


def test_a_model_without_weights(refused, model):
    (model / "model.safetensors").unlink()
    assert f"{model}: no weights; expected one of model.safetensors" in refused(model=model)


@pytest.mark.parametrize("length", [0, 3, 5000])
def test_truncated_weights(refused, model, length):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    assert f"{weights}: not a whole safetensors file" in refused(model=model)


def test_weights_that_do_not_fit(refused, model):
    config = json.loads((model / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    (model / "config.json").write_text(json.dumps(config))
    message = refused(model=model)
    assert "the weights do not fit the configuration; 16 missing: vision_model.encoder.layers.2." in message


@pytest.mark.parametrize(("name", "expected"), [("config.json", "not JSON"), ("tokenizer.json", "tokenizer")])
def test_torn_json(refused, model, name, expected):
    (model / name).write_text('{"a": ')
    assert expected in refused(model=model)


RATIONALES = {
    "no JSON": ("cats have tails", "not JSON: Expecting value, line 1 column 1"),
    "no object": ('["cat"]', "expected an object {class: [rationale, ...]}, found a list"),
    "an empty text": ('{"cat": ["a tail", " "]}', "class 'cat': a rationale is empty (' ')"),
    "a number": ('{"cat": [3]}', "class 'cat': expected a rationale in words, found 3"),
    "no list": ('{"cat": "a tail"}', "class 'cat': expected a list of rationales, found \"a tail\""),
    "a class with no image": (
        '{"cat": ["a"], "dog": ["b"], "grey seal": ["c"], "owl": ["d"]}',
        "1 classes of the rationale file with no image: owl (--config.data.on_missing=allow",
    ),
    "an image class with no entry": ('{"cat": ["a"], "dog": ["b"]}', "not in the rationale file: grey seal"),
    "an image class with no rationale": (
        '{"cat": ["a"], "dog": ["b"], "grey seal": []}',
        "1 image classes with an empty list of rationales: grey seal",
    ),
    "a prompt too long": (
        json.dumps({"cat": ["a"], "dog": ["very " * 90 + "wet"], "grey seal": ["c"]}),
        "1 of 3 rationales have prompts of more tokens than the text tower reads",
    ),
}


@pytest.mark.parametrize("case", RATIONALES)
def test_rationales(refused, tmp_path, case):
    content, expected = RATIONALES[case]
    (tmp_path / "rationales.json").write_text(content)
    assert expected in refused(**{"data.rationales": tmp_path / "rationales.json"})


@pytest.fixture
def pictures(tiny_pictures, tmp_path):
    return shutil.copytree(tiny_pictures[0], tmp_path / "pictures")


def test_bad_images_are_counted_and_named(refused, pictures):
    (pictures / "train" / "cat" / "3.png").write_bytes(b"nothing")
    torn = pictures / "train" / "dog" / "1.png"
    torn.write_bytes(torn.read_bytes()[:60])
    message = refused(**{"data.images": pictures})
    assert f"2 of 24 images in {pictures} cannot be read: train/cat/3.png" in message
    assert "; train/dog/1.png" in message and "(--config.data.on_bad_image=skip leaves them out)" in message


def test_all_images_bad_cannot_be_skipped(refused, pictures):
    for path in pictures.rglob("*.png"):
        path.write_bytes(b"")
    assert "15 of 15 images" in refused(**{"data.images": pictures, "data.on_bad_image": "skip"})


def test_bad_images_are_skipped_and_told(tiny_clip, tiny_pictures, pictures, tmp_path, caplog):
    (pictures / "test" / "cat" / "3.png").write_bytes(b"nothing")
    config = read_config(ROOT / "configs" / "folder.py")
    config.model, config.data.images, config.data.rationales = str(tiny_clip), str(pictures), str(tiny_pictures[1])
    config.data.on_bad_image = "skip"
    assert len(opened(config, training=True).dataset.test) == 14
    assert "left out: test/cat/3.png" in caplog.text


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert f"no images in {tmp_path / 'empty'}" in refused(**{"data.images": tmp_path / "empty"})


def test_a_file_that_is_no_zip(refused, tmp_path, tiny_pictures):
    (tmp_path / "images.zip").write_bytes(b"PK\3\4 and no more")
    assert "images.zip: is a broken zip file, or cut off" in refused(**{"data.images": tmp_path / "images.zip"})
    assert "is a file of another kind" in refused(**{"data.images": tiny_pictures[1]})


def test_the_workdir_of_a_refused_run_can_be_used_again(refused, tmp_path):
    """With the option put right, and with the same command once what it named is there."""
    missing = tmp_path / "later.json"
    assert "cannot be read" in refused(**{"data.rationales": missing})
    assert "steps is 0" in refused(steps=0)
    missing.write_text('{"cat": ["a"]}')
    assert "not in the rationale file: dog, grey seal" in refused(**{"data.rationales": missing})


def test_evaluation_asks_for_no_training_batch(tiny_clip, tiny_pictures):
    config = read_config(ROOT / "configs" / "folder.py")
    config.model, config.data.images, config.data.rationales = str(tiny_clip), *map(str, tiny_pictures)
    config.data.batch_size = 7
    assert opened(config, training=False).dataset.train is None


def opened(config, *, training: bool) -> Rationale:
    task = Rationale(read(RationaleOptions, config), training=training)
    task.open(config.model)
    return task


def test_a_config_without_a_task(tmp_path):
    with pytest.raises(UserError, match="the config names no task; start from one of those in configs/"):
        base.run(ConfigDict({"seed": 0}), tmp_path)
    assert not list(tmp_path.iterdir())
