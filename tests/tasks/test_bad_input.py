"""What users get wrong, through ecor-jax train: one clear line, before any long work, and nothing of theirs is lost.

What can be wrong in a file or a folder is tested with its reader.
"""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ecor_jax.commands import cli, train
from ecor_jax.config.files import read_config
from ecor_jax.config.options import read
from ecor_jax.errors import UserError
from ecor_jax.features import text_bank
from ecor_jax.tasks import base
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale


@pytest.fixture
def refused(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    """The message of ecor-jax train with the given changes to a good run; no step may be trained."""

    def never(*_):
        raise AssertionError("the training began")

    def message(changes: dict[str, object]) -> str:
        images, rationales = tiny_pictures
        options = {
            "model": tiny_clip, "data.images": images, "data.rationales": rationales, "data.batch_size": 8, "steps": 2,
        }  # fmt: skip
        given = [f"--config.{key}={value}" for key, value in (options | changes).items()]
        arguments = ["--config=configs/folder.py", f"--workdir={tmp_path / 'run'}", *given]
        with pytest.raises(UserError) as error:
            train.main(cli.parse(train.parser(), arguments))
        assert "\n" not in str(error.value)
        return str(error.value)

    monkeypatch.setattr("ecor_jax.training.loop.MetricsLog.write", never)
    return message


OPTIONS = {
    "model=": "--config.model is not set: expected a CLIP, as a model directory or a hub id",
    "model=/nowhere/clip": "/nowhere/clip: no such file or directory",
    "model=openai/no-such-clip": "give the path of a local copy",
    "task=tuning": "task is 'tuning'; expected one of rationale, verification",
    "method=best": "method is 'best'; expected one or several of clip, dror, ecor",
    "method=": "method is ''; expected one or several of",
    "dtype=float99": "dtype is 'float99'; expected one of float32, bfloat16",
    "data.seed=99999999999999999999": "data.seed is 99999999999999999999; expected",
    "prompts.layers=foo": "prompts.layers is 'foo'; expected 'shallow', 'deep' or ascending numbers from 0 to 1",
    "prompts.layers=1,9": "prompts.layers is '1,9'; expected",
    "prompts.initialisation=zero": "prompts.initialisation is 'zero'; expected",
    "templates.pair={x}": "templates.pair is '{x}'; expected {c} and {r} as the only braces",
    "evaluation.top_k=16": "evaluation.top_k is 16; expected 1 to 15, the number of pairs",
    "evaluation.batch_size=12": "evaluation.batch_size is 12; expected a multiple of 8",
    "data.batch_size=12": "data.batch_size is 12; expected a multiple of 8",
    "data.batch_size=1000": "a batch of 1000 is larger than the 24 images in",
    "data.images=": "--config.data.images is not set: expected a path",
    "data.images=/nowhere": "/nowhere does not exist: expected a folder of images, a zip",
    "data.rationales=": "--config.data.rationales is not set: expected a path",
    "data.rationales=/nowhere.json": "/nowhere.json: cannot be read (No such file or directory)",
    "data.augment=all": "data.augment is 'all'; expected one of none, flip, crop_flip",
    "data.train_split=first": "has no images in a folder 'first'; at its top: test, train",
    "eval_every=1": "eval_every is 1 and best '', but the config keeps no validation split (data.validation)",
    "best=rr": "best is 'rr', but eval_every is 0: nothing is evaluated on the way",
    "data.validation=2": "data.validation is 2.0; expected a share between 0 and 1, or the name of a split",
    "parallel.model=3": "parallel.model is 3; expected a divisor of the 8 devices",
    "data.colour=red": "--config.data.colour: no such option; there are: best, checkpoint_every",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option(refused, option):
    key, _, value = option.partition("=")
    assert OPTIONS[option] in refused({key: value})


def test_the_workdir_of_a_refused_run_can_be_used_again(refused, tmp_path):
    """With the option put right, and with the same command once what it named is there."""
    missing = tmp_path / "later.json"
    assert "cannot be read" in refused({"data.rationales": missing})
    assert "steps is 0" in refused({"steps": 0})
    missing.write_text('{"cat": ["a"]}')
    assert "not in the rationale file: dog, grey seal" in refused({"data.rationales": missing})


def test_evaluation_asks_for_no_training_batch(tiny_clip, tiny_pictures):
    config = read_config(Path("configs/folder.py"))
    config.data.images, config.data.rationales = map(str, tiny_pictures)
    config.data.batch_size = 7
    task = Rationale(read(RationaleOptions, config), training=False)
    task.open(str(tiny_clip))
    assert task.dataset.train is None


def test_the_time_of_the_first_method_is_without_the_prompts_of_all(tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("ECOR_CACHE", str(tmp_path))
    encode, encoded = text_bank.encode, []
    monkeypatch.setattr(text_bank, "encode", lambda *given: encoded.append(len(given[1])) or encode(*given))
    config = read_config(Path("configs/folder.py"))
    config.data.images, config.data.rationales = map(str, tiny_pictures)
    config.method = "clip,ecor_untuned"
    task = Rationale(read(RationaleOptions, config), training=False)
    task.open(str(tiny_clip))
    assert sum(encoded) == 2 * 3 * 5 and task.seconds > 0
    encoded.clear()
    for method in task.methods:
        task.evaluate(method, None)
    assert encoded == [5], "the rationales alone, which ecor_untuned asks for first"


def test_a_config_without_a_task(tmp_path):
    with pytest.raises(UserError, match="the config names no task; start from one of those in configs/"):
        base.run(ConfigDict({"seed": 0}), tmp_path)
    assert not list(tmp_path.iterdir())
