"""Data sets that TFDS has prepared, written here by TFDS itself; nothing is downloaded and TensorFlow is not there."""

import io
import json
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data import tfds_sets
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.prepare import prepare
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.data import open_dataset
from ecor_jax.tasks.rationale.options import RationaleData
from tests.data.toys import pairs_of, records_of, square

WNIDS = ("n01440764", "n01443537", "n02123045")
LABELS = {"train": [0, 1, 1, 2, 0, 2], "validation": [2, 1]}
IMAGE_AND_LABEL = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=WNIDS)}


def picture(split: str, row: int) -> bytes:
    return square(len(split), row)


def build(
    root: Path,
    labels: Mapping[str, Sequence[int]] = LABELS,
    features: Mapping[str, Any] = IMAGE_AND_LABEL,
    name: str = "pets",
    config: str = "",
    version: str = "1.2.0",
) -> Path:
    """A set as `tfds build` leaves it; every feature beside the image has the label. Returns its directory."""

    class Pets(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            keys = ("image", "label") if {"image", "label"} <= set(features) and len(features) < 4 else None
            described = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=described, supervised_keys=keys)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in labels}

        def _generate_examples(self, split):
            for row, label in enumerate(labels[split]):
                yield row, {key: io.BytesIO(picture(split, row)) if key == "image" else label for key in features}

    Pets.name = name
    builder = Pets(data_dir=root, file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_path)


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """The folder that TFDS users name by $TFDS_DATA_DIR, and a cache of labels for this test alone."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setenv("ECOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "sets"


def known(source) -> list[tuple[str, bytes]]:
    """Categories and pictures, sorted: TFDS shuffles what it writes."""
    records = records_of(source)
    assert all(record["rationales"] == () for record in records)
    assert len({record["name"] for record in records}) == len(records)
    return sorted(pairs_of(source))


def test_a_set_by_its_name_is_what_tfds_wrote(root):
    directory = build(root)
    assert splits_of("tfds:pets") == ("train", "validation")
    for split, labels in LABELS.items():
        source = open_images("tfds:pets", split=split)
        assert known(source) == sorted((WNIDS[label], picture(split, row)) for row, label in enumerate(labels))
        assert known(pickle.loads(pickle.dumps(source))) == known(source) == known(open_images(directory, split=split))
    assert source.origin == str(directory)
    with pytest.raises(UserError, match=r"several splits: choose one .*; it has train, validation"):
        open_images("tfds:pets")
    with pytest.raises(UserError, match="no split 'test'"):
        open_images("tfds:pets", split="test")


def test_versions_and_configurations(root):
    for version in ("1.2.0", "1.10.0"):
        build(root, {"train": [0] * int(version.split(".")[1])}, version=version)
    assert [len(open_images(f"tfds:pets{version}")) for version in ("", ":1.2.0", ":1.10.0")] == [10, 2, 10]
    build(root, name="birds", config="small")
    assert splits_of("tfds:birds") == splits_of("tfds:birds/small:1.2.0") == ("train", "validation")
    build(root, name="birds", config="large", labels={"train": [1]})
    assert open_images("tfds:birds/large").classes == (WNIDS[1],)
    with pytest.raises(UserError, match="several configurations; choose one: tfds:birds/large, tfds:birds/small"):
        open_images("tfds:birds")
    with pytest.raises(UserError, match=r"pets has no version 9\.0\.0; it has 1\.2\.0, 1\.10\.0"):
        open_images("tfds:pets:9.0.0")


def test_labels_get_their_names_from_the_rationale_file(root, tmp_path):
    build(root)
    build(root, name="more", labels={"train": [2, 2], "validation": [0]})
    tench, tabby = ({"name": name, "rationales": ["fur"]} for name in ("tench", "Tabby"))
    (tmp_path / "texts.json").write_text(json.dumps({"n01440764": tench, "n02123045": tabby}))
    sets = {"images": "tfds:pets,tfds:more", "train_split": "train", "test_split": "validation"}
    data = RationaleData(**sets, rationales=str(tmp_path / "texts.json"), on_missing="allow")
    dataset = open_dataset(data, Preprocess(8), training=True)
    assert dataset.train is not None
    assert sorted(dataset.train.categories) == ["tabby"] * 4 + ["tench"] * 2
    assert dataset.test.categories == ("tabby", "tench")
    with pytest.raises(UserError, match="1 image classes that are not in the rationale file: n01443537"):
        open_dataset(replace(data, on_missing="error"), Preprocess(8), training=True)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The splits whose labels are read, which takes a while."""
    splits, read = [], tfds_sets._read_labels

    def slowly(*given):
        splits.append(given[2])
        time.sleep(0.3)
        return read(*given)

    monkeypatch.setattr(tfds_sets, "_read_labels", slowly)
    return splits


def test_labels_are_read_once_and_again_when_the_set_changes(root, tmp_path, reads):
    directory = build(root)
    for _ in range(2):
        open_images("tfds:pets", split="train")
    assert reads == ["train"]
    [kept] = (tmp_path / "cache" / "labels").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1])
    open_images("tfds:pets", split="train")
    assert reads == ["train"] * 2
    (directory / "dataset_info.json").write_text((directory / "dataset_info.json").read_text() + "\n")
    assert len(open_images("tfds:pets", split="train")) == 6 and reads == ["train"] * 3


def test_who_shares_the_cache_waits_for_the_first(root, reads):
    build(root)
    with ThreadPoolExecutor(3) as pool:
        sources = list(pool.map(lambda _: open_images("tfds:pets", split="train"), range(3)))
    assert len(reads) == 1 and len({source.categories for source in sources}) == 1


def test_more_records_than_are_read_at_once(root, monkeypatch):
    monkeypatch.setattr(tfds_sets, "_AT_ONCE", 4)
    labels = [row % 3 for row in range(30)]
    build(root, {"train": labels})
    expected = sorted((WNIDS[label], picture("train", row)) for row, label in enumerate(labels))
    assert known(open_images("tfds:pets")) == expected


NUMBERED = tfds.features.ClassLabel(num_classes=10**12)


@pytest.mark.parametrize(
    ("features", "label"),
    [
        ({"image": tfds.features.Image(), "kind": NUMBERED, "size": tfds.features.Scalar(np.int64)}, "2"),
        (IMAGE_AND_LABEL | {"coarse": NUMBERED}, WNIDS[2]),  # its supervised keys name one of the two
    ],
)
def test_the_features_that_are_read(root, features, label):
    build(root, {"train": [2]}, features)
    assert open_images("tfds:pets").categories == (label,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tfds:", "tfds:: expected tfds:NAME, tfds:NAME/CONFIG or either with :VERSION"),
        ("tfds:../pets", "expected tfds:NAME"),
        ("tfds:pets/../..", "expected tfds:NAME"),
        ("tfds:pets:latest", "expected tfds:NAME"),
        ("tfds:imagenet2012", "tfds build imagenet2012 --file_format=array_record --data_dir="),
        ("tfds:pets/tiny", r"where there is pets; prepare it once, .*: tfds build pets/tiny --file_format"),
    ],
)
def test_a_name_that_is_not_prepared_says_how(root, name, expected):
    build(root)
    for use in (open_images, splits_of):
        with pytest.raises(UserError, match=expected) as error:
            use(name)
        assert "\n" not in str(error.value)


def test_a_bucket_is_mounted_first(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/sets")
    with pytest.raises(UserError, match=r"\$TFDS_DATA_DIR is gs://bucket/sets; expected a folder: mount the bucket"):
        open_images("tfds:pets")


def replaced(file: str, old: str, new: str):
    """Damage to a file of a set."""
    return lambda directory: (directory / file).write_text((directory / file).read_text().replace(old, new))


def of_other_records(directory: Path) -> None:
    """In a file that is whole, records that are no examples of anything."""
    [data] = directory.glob("*-train.array_record-*")
    writer = ArrayRecordWriter(str(data), "group_size:1")
    for _ in range(6):
        writer.write(b"\xff" * 40)
    writer.close()


def cut_off(directory: Path) -> None:
    [data] = directory.glob("*-train.array_record-*")
    os.truncate(data, 100)


NO_LABEL = {"image": tfds.features.Image()}
THREE_LABELS = IMAGE_AND_LABEL | {"a": NUMBERED, "b": NUMBERED}
# As most sets are, which cannot be written here without TensorFlow.
OF_OLD = replaced("dataset_info.json", "array_record", "tfrecord")
FOREIGN = replaced("features.json", "tensorflow_datasets.core.features.class_label", "evil")
# With more records than any memory holds the numbers of.
BOASTING = replaced("dataset_info.json", '"6"', '"1000000000000"')


@pytest.mark.parametrize(
    ("given", "damage", "expected"),
    [
        ({}, OF_OLD, "is prepared as tfrecord; convert it once: tfds convert_format --dataset_version_dir="),
        ({"labels": {"train": [0, -1, -1]}}, None, r"2 of 3 records have a label without a name, such as -1 of record"),
        ({"features": NO_LABEL}, None, "expected one class label among its features, .* found none of image"),
        ({"features": THREE_LABELS}, None, "expected one class label .* found a, b, label of a, b, image, label"),
        ({}, FOREIGN, r"names 'evil.*'; only features of tensorflow_datasets are read, so it was not imported"),
        ({}, BOASTING, r"dataset_info\.json: lists 1,000,000,000,000 records, more than there are bytes"),
        ({}, of_other_records, r"pets/1\.2\.0 is damaged: "),
        ({}, cut_off, r"pets/1\.2\.0 is (damaged|not a readable ArrayRecord directory): "),
    ],
)
def test_a_set_that_cannot_be_read_is_one_line(root, given, damage, expected):
    directory = build(root, **given)
    if damage:
        damage(directory)
    with pytest.raises(UserError, match=expected) as error:
        open_images("tfds:pets", split="train")
    assert "\n" not in str(error.value)


def test_a_set_can_be_prepared_again_with_its_labels_listed(root, tmp_path):
    build(root)
    assert prepare("tfds:pets", tmp_path / "again").counts == {"train": 6, "validation": 2}
    for split in LABELS:
        assert known(open_images(tmp_path / "again", split=split)) == known(open_images("tfds:pets", split=split))


def test_tfds_itself_reads_what_prepare_writes(root, make_folder):
    prepare(make_folder({"cat/1.png": picture("train", 1), "dog/2.png": picture("train", 2)}), root / "mine" / "1.0.0")
    examples = tfds.data_source("mine", split="train", data_dir=root)
    read = sorted((example["category"], *example["image"][0, 0]) for example in examples)
    assert read == [(b"cat", 5, 1, 0), (b"dog", 5, 2, 0)]
    assert sorted(open_images("tfds:mine").categories) == ["cat", "dog"]
