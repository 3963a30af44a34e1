"""Pretraining through ecor-jax train: a CLIP from drawings, and what is refused."""

import json
from pathlib import Path

import pytest

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.commands import cli, train
from ecor_jax.config.options import read
from ecor_jax.data.images import open_images
from ecor_jax.data.sources import Renamed, split_by_class
from ecor_jax.errors import UserError
from ecor_jax.tasks.pretrain.options import PretrainOptions
from ecor_jax.tasks.pretrain.task import Pretrain


@pytest.fixture
def pretrain():
    """ecor-jax train of a few steps on drawings in `workdir`, with the given changes."""

    def call(workdir: Path, **changes: object) -> None:
        options = {"model": "tiny/16-8", "kept_patches": 0, "steps": 2, "log_every": 1}
        options |= {"data.count": 24, "data.batch_size": 8}
        given = [f"--config.{key}={value}" for key, value in {**options, **changes}.items()]
        arguments = ["--config=configs/pretrain_drawings.py", f"--workdir={workdir}", *given]
        train.main(cli.parse(train.parser(), arguments))

    return call


@pytest.mark.slow
def test_a_clip_is_made_and_not_made_again(pretrain, tmp_path):
    pretrain(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["run"], line["step"]) for line in lines] == [("pretrain", 1), ("pretrain", 2)]
    # Softmax over 8 texts that say nothing yet: about log 8, equal captions aside.
    assert 1.0 < lines[0]["loss"] < 4.0
    assert 0 <= lines[0]["retrieval"] <= 1
    model = load_clip(tmp_path / "model")
    # It is told in the drawings' words: nothing of a caption is unknown to it.
    ids = model.tokenizer("a drawing")["input_ids"]
    assert model.tokenizer.decode(ids, skip_special_tokens=True).strip() == "a drawing"
    pretrain(tmp_path)
    again = load_clip(tmp_path / "model")
    assert again.digest == model.digest
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_captions_of_several_sets_and_a_holdout(pretrain, tmp_path, tiny_pictures):
    """A set with the split gives it; of the others the share that tests have is left out, after the aliases."""
    images, _ = tiny_pictures
    (tmp_path / "words.json").write_text(json.dumps({"cat": ["claws"]}))
    given = {"data.descriptors": tmp_path / "words.json", "data.split": "train", "data.holdout": 0.4}
    given |= {"data.aliases": "cat=kitten", "data.positives": "category"}
    pretrain(tmp_path / "run", **given, **{"data.images": f"{images},{images / 'test'}"})
    # 8 of each of three classes in train, and three of five of the folder test.
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    source = Pretrain(read(PretrainOptions, config), training=True).source
    assert len(source) == 24 + 9 and source.classes == ("dog", "grey seal", "kitten")
    folder = Renamed(open_images(images / "test"), {"cat": "kitten"})
    kept, _ = split_by_class(folder, holdout=0.4, seed=0)
    assert source.names[24:] == kept.names
    with pytest.raises(UserError, match=r"data.aliases: no images have the class 'wolf'"):
        pretrain(tmp_path / "other", **given | {"data.aliases": "wolf=dog", "data.images": images})


OPTIONS = {
    "data.count=0": "no images in",
    "data.batch_size=32": "a batch of 32 is larger than the 24 images",
    "data.batch_size=12": "a batch of 12 cannot be shared evenly among 8 devices",
    "data.text_length=78": "data.text_length is 78; expected 2 to 77",
    "data.images=": "--config.data.images is not set",
    "data.images=/nowhere": "--config.data.captions is not set",
    "kept_patches=5": "kept_patches is 5; the tower has 4 patches",
    "model=huge/9-9": "huge/9-9",
    "dtype=float16": "dtype is 'float16'",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option(pretrain, tmp_path, option):
    key, _, value = option.partition("=")
    with pytest.raises(UserError) as error:
        pretrain(tmp_path, **{key: value})
    assert OPTIONS[option] in str(error.value)
