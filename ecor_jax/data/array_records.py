"""`ArrayRecords`: a directory of ArrayRecord files, as written by `prepare`, as a `Source`; and safe access to TFDS."""

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

CATEGORIES_FILE = "categories.json"
"""{split: {"classes": [name, ...], "records": [index into classes, ...]}}: the labels, readable without the images."""

FEATURES_FILE = "features.json"
INFO_FILE = "dataset_info.json"
_SHARD_KEYS, _TEMPLATE_KEYS = ("shardLengths", "shard_lengths"), ("filepathTemplate", "filepath_template")
_CLASS_KEYS = ("pythonClassName", "python_class_name", "type", "proto_cls")
"""The keys under which TFDS looks for a class name, in the current format and in the old one."""
_OWN_FEATURE = re.compile(r"tensorflow_datasets\.(core\.features\.\w+\.)?\w+|[A-Z_]+")
"""TFDS's own classes, or a word such as BYTES, which is a type in the statistics of old data sets and no class."""


def is_array_records(path: Path) -> bool:
    """Returns whether the path is a directory that TFDS wrote."""
    return (path / INFO_FILE).exists()


def splits_of_array_records(path: Path) -> tuple[str, ...]:
    """Returns the splits of a directory that `prepare` wrote."""
    return tuple(_read_labels(path))


def chosen_split(path: Path, split: str, splits: Collection[str]) -> str:
    """Returns `split`, or the only one if it is ''. Raises UserError if there is no such split, or none was chosen."""
    if not split and len(splits) == 1:
        return next(iter(splits))
    if split not in splits:
        wanted = f"no split {split!r}" if split else "several splits: choose one (the option `split`)"
        raise UserError(f"{path} has {wanted}; it has {', '.join(splits)}")
    return split


class ArrayRecords(Source):
    """One split of a directory written by `ecor_jax.data.prepare`; TensorFlow is not needed.

    `split` may be '' if there is only one. Raises UserError if the directory was not written by `prepare`,
    is damaged, or lacks the split.
    """

    def __init__(self, path: Path, split: str = ""):
        labels = _read_labels(path)
        split = chosen_split(path, split, labels)
        self.origin = str(path)
        try:
            classes, rows = labels[split]["classes"], labels[split]["records"]
            if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or min(rows) < 0:
                raise TypeError(classes)
            self.categories = tuple(classes[row] for row in rows)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: no labels in {CATEGORIES_FILE} for {split!r}") from error
        self._records = open_split(open_builder(path), split)
        if len(self._records) != len(rows):
            raise UserError(f"{path} is damaged: {len(self._records)} records, {len(rows)} labels in {split!r}")

    def __getitem__(self, index: int) -> Record:
        try:
            return to_record(self._records[index])
        except Exception as error:  # TFDS raises many types for a damaged or unexpected record
            raise BadImage(f"record {index} cannot be read: {error}") from error


def open_builder(path: Path) -> Any:
    """Returns the read-only TFDS builder of a directory. Raises UserError if it is unsafe or unreadable for TFDS."""
    _check_features(path)
    import tensorflow_datasets as tfds  # slow to import, and most runs read no ArrayRecord

    with _readable(path):
        return tfds.builder_from_directory(str(path), file_format="array_record")


def open_split(builder: Any, split: str) -> Sequence[dict[str, Any]]:
    """Returns TFDS's data source of a split, with images left as encoded bytes."""
    import tensorflow_datasets as tfds

    with _readable(Path(builder.data_dir)):
        images = [name for name, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)]
        skip = tfds.decode.SkipDecoding()  # pyright: ignore[reportPrivateImportUsage]
        return builder.as_data_source(split, decoders=dict.fromkeys(images, skip))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # TFDS raises many types for a missing or damaged file
        raise UserError(f"{path} is not a readable ArrayRecord directory: {error}") from error


def _check_features(path: Path) -> None:
    """Raises UserError unless a directory is safe to open with TFDS, which trusts its content.

    TFDS imports the module of any feature that is not its own, opens pipes, follows file names out of the directory,
    and lists as many files as the directory announces.
    """
    files = [entry for entry in path.iterdir() if not entry.is_dir()]
    if odd := [file for file in files if not file.is_file()]:
        raise UserError(f"{odd[0]}: is a pipe, a device or a broken link; expected a file")
    waiting: list[Any] = [read_object(path / FEATURES_FILE), read_object(path / INFO_FILE)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            shards = next((value[key] for key in _SHARD_KEYS if isinstance(value.get(key), list)), [])
            if len(shards) > len(files):
                raise UserError(f"{path / INFO_FILE}: lists {len(shards):,} files; there are {len(files)}")
            if any("/" in str(value.get(key, "")) for key in _TEMPLATE_KEYS):
                raise UserError(f"{path / INFO_FILE}: names files outside of its directory, which are not read")
            named = [value[key] for key in _CLASS_KEYS if isinstance(value.get(key), str) and value[key]]
            if foreign := [name for name in named if not _OWN_FEATURE.fullmatch(name)]:
                raise UserError(
                    f"{path / FEATURES_FILE}: names {foreign[0]!r}; only features of tensorflow_datasets are read, "
                    "so it was not imported"
                )
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def to_record(example: dict[str, Any]) -> Record:
    """Converts a TFDS example, whose texts are UTF-8 bytes, to a record."""
    category, name = example["category"].decode(), example["name"].decode()
    rationales = tuple(text.decode() for text in example["rationales"])
    return Record(image=bytes(example["image"]), category=category, rationales=rationales, name=name)


def _read_labels(path: Path) -> dict[str, dict[str, list]]:
    try:
        labels = read_object(path / CATEGORIES_FILE)
    except UserError as error:
        raise UserError(f"{error}; write the directory with `ecor-jax prepare`") from error
    if not labels:
        raise UserError(f"{path / CATEGORIES_FILE}: names no split")
    return labels
