"""Data sets that TFDS has prepared, written here by TFDS itself; nothing is downloaded and TensorFlow is not there."""

import io
import json
import pickle
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data import tfds_sets
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.prepare import prepare
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.data import open_dataset
from ecor_jax.tasks.rationale.options import RationaleData

WNIDS = ("n01440764", "n01443537", "n02123045")
LABELS = {"train": [0, 1, 1, 2, 0, 2], "validation": [2, 1]}
IMAGE_AND_LABEL = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=WNIDS)}


def picture(split: str, row: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 5), (len(split), row, 0)).save(file, "PNG")
    return file.getvalue()


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
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=keys
            )

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
    records = [source[index] for index in range(len(source))]
    assert source.categories == tuple(record["category"] for record in records)
    assert all(record["rationales"] == () for record in records)
    assert len({record["name"] for record in records}) == len(records)
    return sorted((record["category"], record["image"]) for record in records)


def test_a_set_by_its_name_is_what_tfds_wrote(root):
    directory = build(root)
    assert splits_of("tfds:pets") == ("train", "validation")
    for split, labels in LABELS.items():
        source = open_images("tfds:pets", split=split)
        assert known(source) == sorted((WNIDS[label], picture(split, row)) for row, label in enumerate(labels))
        assert known(pickle.loads(pickle.dumps(source))) == known(source) == known(open_images(directory, split=split))
    assert source.origin == str(directory)
    for split, message in {
        "": r"several splits: choose one .*; it has train, validation",
        "test": "no split 'test'",
    }.items():
        with pytest.raises(UserError, match=message):
            open_images("tfds:pets", split=split)


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
    texts = {
        "n01440764": {"name": "tench", "rationales": ["fins"]},
        "n02123045": {"name": "Tabby", "rationales": ["fur"]},
    }
    (tmp_path / "rationales.json").write_text(json.dumps(texts))
    data = RationaleData(
        images="tfds:pets,tfds:more",
        train_split="train",
        test_split="validation",
        rationales=str(tmp_path / "rationales.json"),
        on_missing="allow",
    )
    dataset = open_dataset(data, Preprocess(8), training=True)
    assert dataset.train is not None
    assert sorted(dataset.train.categories) == ["tabby"] * 4 + ["tench"] * 2
    assert dataset.test.categories == ("tabby", "tench")
    with pytest.raises(UserError, match="1 image classes that are not in the rationale file: n01443537"):
        open_dataset(RationaleData(**(vars(data) | {"on_missing": "error"})), Preprocess(8), training=True)


def test_labels_are_read_once_and_again_when_the_set_changes(root, tmp_path, monkeypatch):
    counts = []
    read = tfds_sets._read_labels
    monkeypatch.setattr(tfds_sets, "_read_labels", lambda *given: counts.append(given[2]) or read(*given))
    directory = build(root)
    for _ in range(2):
        open_images("tfds:pets", split="train")
    assert counts == ["train"]
    [kept] = (tmp_path / "cache" / "labels").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1])
    open_images("tfds:pets", split="train")
    assert counts == ["train"] * 2
    (directory / "dataset_info.json").write_text((directory / "dataset_info.json").read_text() + "\n")
    assert len(open_images("tfds:pets", split="train")) == 6 and counts == ["train"] * 3


def test_who_shares_the_cache_waits_for_the_first(root, monkeypatch):
    counts = []
    read = tfds_sets._read_labels

    def slowly(*given):
        counts.append(1)
        time.sleep(0.3)
        return read(*given)

    monkeypatch.setattr(tfds_sets, "_read_labels", slowly)
    build(root)
    with ThreadPoolExecutor(3) as pool:
        sources = list(pool.map(lambda _: open_images("tfds:pets", split="train"), range(3)))
    assert len(counts) == 1 and len({source.categories for source in sources}) == 1


def test_more_records_than_are_read_at_once(root, monkeypatch):
    monkeypatch.setattr(tfds_sets, "_AT_ONCE", 4)
    labels = [row % 3 for row in range(30)]
    build(root, {"train": labels})
    assert known(open_images("tfds:pets")) == sorted(
        (WNIDS[label], picture("train", row)) for row, label in enumerate(labels)
    )


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


THREE_LABELS = IMAGE_AND_LABEL | {"a": NUMBERED, "b": NUMBERED}


def test_a_bucket_is_mounted_first(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/sets")
    with pytest.raises(UserError, match=r"\$TFDS_DATA_DIR is gs://bucket/sets; expected a folder: mount the bucket"):
        open_images("tfds:pets")


def without_classes(directory: Path) -> None:
    features = json.loads((directory / "features.json").read_text())
    del features["featuresDict"]["features"]["label"]
    (directory / "features.json").write_text(json.dumps(features))


def foreign(directory: Path) -> None:
    features = (directory / "features.json").read_text()
    (directory / "features.json").write_text(features.replace("tensorflow_datasets.core.features.class_label", "evil"))


def of_old(directory: Path) -> None:
    """As most sets are, which cannot be written here without TensorFlow."""
    info = (directory / "dataset_info.json").read_text()
    (directory / "dataset_info.json").write_text(info.replace("array_record", "tfrecord"))


def of_other_records(directory: Path) -> None:
    """In a file that is whole, records that are no examples of anything."""
    [data] = directory.glob("*-train.array_record-*")
    writer = ArrayRecordWriter(str(data), "group_size:1")
    for _ in range(6):
        writer.write(b"\xff" * 40)
    writer.close()


def boasting(directory: Path) -> None:
    """With more records than any memory holds the numbers of."""
    info = json.loads((directory / "dataset_info.json").read_text())
    for split in info["splits"]:
        split["shardLengths"] = ["1000000000000"]
    (directory / "dataset_info.json").write_text(json.dumps(info))


def cut_off(directory: Path) -> None:
    [data] = directory.glob("*-train.array_record-*")
    data.write_bytes(data.read_bytes()[:100])


@pytest.mark.parametrize(
    ("given", "damage", "expected"),
    [
        ({}, of_old, "is prepared as tfrecord; convert it once: tfds convert_format --dataset_version_dir="),
        ({"labels": {"train": [0, -1, -1]}}, None, r"2 of 3 records have a label without a name, such as -1 of record"),
        ({}, without_classes, "expected one class label among its features, .* found none of image"),
        ({"features": THREE_LABELS}, None, "expected one class label .* found a, b, label of a, b, image, label"),
        ({}, foreign, r"names 'evil.*'; only features of tensorflow_datasets are read, so it was not imported"),
        ({}, boasting, r"dataset_info\.json: lists 1,000,000,000,000 records, more than there are bytes"),
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
    assert re.fullmatch(r"[^\n]+", str(error.value))


def test_a_set_can_be_prepared_again_with_its_labels_listed(root, tmp_path):
    build(root)
    assert prepare("tfds:pets", tmp_path / "again").counts == {"train": 6, "validation": 2}
    for split in LABELS:
        assert known(open_images(tmp_path / "again", split=split)) == known(open_images("tfds:pets", split=split))


def test_tfds_itself_reads_what_prepare_writes(root, make_folder):
    prepare(make_folder({"cat/1.png": picture("train", 1), "dog/2.png": picture("train", 2)}), root / "mine" / "1.0.0")
    examples = tfds.data_source("mine", split="train", data_dir=root)
    assert sorted((example["category"], *example["image"][0, 0]) for example in examples) == [
        (b"cat", 5, 1, 0),
        (b"dog", 5, 2, 0),
    ]
    assert sorted(open_images("tfds:mine").categories) == ["cat", "dog"]
