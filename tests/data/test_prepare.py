import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.prepare import LabelledImages, prepare
from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.errors import UserError
from tests.data.toys import records_of, square


def sorted_records(source: Source) -> list[Record]:
    return sorted(records_of(source), key=lambda record: record["name"])


def squares(*names: str) -> dict[str, bytes]:
    return {name: square(shade) for shade, name in enumerate(names)}


@pytest.fixture
def folder(make_folder):
    return make_folder(squares("dog/long-tail/1.png", "dog/Fur/2.png", "dog/Fur/Zoë.png", "cat/3.png", "cat/4.png"))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "records"


def test_prepared_images_are_those_of_the_source(folder, output):
    prepared = prepare(folder, output)
    assert prepared.counts == {"train": 5} and prepared.tally.skipped == {}
    records, files = open_images(output), open_images(folder)
    assert sorted_records(records) == sorted_records(files) == sorted_records(pickle.loads(pickle.dumps(records)))
    assert records.classes == files.classes == ("cat", "dog")
    assert splits_of(output) == ()
    assert list(output.parent.glob(".*")) == []


def test_all_splits_of_a_zip_are_written(make_zip, output, tmp_path):
    path = make_zip(squares("train/dog/1.png", "train/cat/2.png", "test/dog/3.png"))
    assert prepare(path, output).counts == {"test": 1, "train": 2}
    assert splits_of(output) == ("test", "train")
    assert [record["name"] for record in sorted_records(open_images(output, split="test"))] == ["test/dog/3.png"]
    with pytest.raises(UserError, match=r"several splits: choose one .*; it has test, train"):
        open_images(output)
    with pytest.raises(UserError, match="no split 'val'; it has test, train"):
        open_images(output, split="val")
    assert prepare(path, tmp_path / "one", split="train").counts == {"train": 2}
    assert open_images(tmp_path / "one", split="train").classes == ("cat", "dog")


@pytest.mark.parametrize(("size", "expected"), [(1, 12), (4000, 4), (1 << 20, 1)])
def test_files_have_a_set_size(make_folder, output, size, expected):
    noise = np.random.default_rng(0).bytes(900)  # behind the picture, stored as it is
    files = squares(*(f"dog/{number}.png" for number in range(12)))
    folder = make_folder({name: content + noise for name, content in files.items()})
    prepare(folder, output, shard_size=size)
    lengths = list(map(int, tfds.builder_from_directory(output).info.splits["train"].shard_lengths))
    assert len(list(output.glob("*.array_record-*"))) == len(lengths) == expected
    assert set(lengths) == {12 // expected}
    assert sorted_records(open_images(output)) == sorted_records(open_images(folder))


def test_bad_images_are_all_named_and_nothing_is_written_or_they_are_skipped(folder, output):
    (folder / "cat/3.png").write_bytes(b"no image")
    (folder / "dog/Fur/2.png").write_bytes(square(0)[:40])
    with pytest.raises(UserError) as error:
        prepare(folder, output)
    message = str(error.value)
    assert message.startswith(f"2 of 5 images in {folder} cannot be read: cat/3.png is not an image")
    assert "dog/Fur/2.png is not an image" in message and "--on_bad_image=skip" in message
    assert list(output.parent.iterdir()) == [folder]
    prepared = prepare(folder, output, on_bad_image="skip")
    assert prepared.counts == {"train": 3} and prepared.tally.lines[0].startswith("cat/3.png is not an image")
    names = [record["name"] for record in sorted_records(open_images(output))]
    assert names == ["cat/4.png", "dog/Fur/Zoë.png", "dog/long-tail/1.png"]


def test_a_split_of_bad_images_alone_is_an_error(make_folder, output):
    folder = make_folder({**squares("train/dog/1.png"), "test/dog/2.png": b"no image"})
    with pytest.raises(UserError, match=r"1 of 1 images in .* cannot be read: test/dog/2\.png"):
        prepare(folder, output, on_bad_image="skip")


@pytest.mark.parametrize("split", ["all", "a b", "train[:50%]"])
def test_splits_that_have_no_name_in_tfds(folder, output, split):
    with pytest.raises(UserError, match=f"the split {re.escape(repr(split))} cannot be written"):
        prepare(folder, output, split)


def test_an_output_in_use_is_not_touched(folder, output):
    mine = output / "mine.txt"
    output.mkdir()
    mine.write_text("x")
    for place, message in {
        output: "records is there already and is not an empty directory",
        mine: "is there already",
        mine / "records": r"mine\.txt/records: cannot be written \((Not a directory|File exists)",
    }.items():
        with pytest.raises(UserError, match=message):
            prepare(folder, place)
    assert list(output.iterdir()) == [mine]
    mine.unlink()
    assert prepare(folder, output).counts == {"train": 5}


@pytest.mark.parametrize(
    ("error", "told", "message"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (OSError(28, "No space left on device"), UserError, r"records: cannot be written \(No space"),
    ],
)
def test_what_stops_half_way_leaves_nothing(folder, output, monkeypatch, error, told, message):
    def write(builder: LabelledImages, **_) -> None:
        (Path(builder.data_path).parent / "half").mkdir(parents=True)
        raise error

    monkeypatch.setattr(LabelledImages, "download_and_prepare", write)
    with pytest.raises(told, match=message):
        prepare(folder, output)
    assert list(output.parent.iterdir()) == [folder]


def test_damaged_directories_are_user_errors(folder, output):
    prepare(folder, output)
    [data] = output.glob("*.array_record-*")
    labels = output / "categories.json"

    whole = json.loads(labels.read_text())
    labels.write_text(json.dumps({"train": {**whole["train"], "records": whole["train"]["records"][1:]}}))
    with pytest.raises(UserError, match="records is damaged: 5 records, 4 labels in 'train'"):
        open_images(output)
    labels.unlink()
    with pytest.raises(UserError, match=r"or the categories\.json that `ecor-jax prepare` writes; found none of "):
        open_images(output)
    labels.write_text(json.dumps(whole))

    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    with pytest.raises((UserError, BadImage)):
        open_images(output)[0]
    (output / "dataset_info.json").write_text("no json")
    with pytest.raises(UserError, match=r"dataset_info\.json: not JSON"):
        open_images(output)
