"""A directory of ArrayRecord files, as `prepare` writes it, as a `Source`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.errors import UserError

CATEGORIES_FILE = "categories.json"
"""{split: {"classes": [name, ...], "records": [index into classes, ...]}}: labels, without reading images."""


def is_array_records(path: Path) -> bool:
    """Whether the path is a directory that TFDS wrote."""
    return (path / "dataset_info.json").is_file()


def splits_of_array_records(path: Path) -> tuple[str, ...]:
    """The splits of a directory that `prepare` wrote; () if it has only one."""
    splits = tuple(_read_labels(path))
    return splits if len(splits) > 1 else ()


class ArrayRecords(Source):
    """One split of a directory written by `ecor_jax.data.prepare`; TensorFlow is not needed.

    `split` may be '' where there is only one. Raises UserError if the directory was not written by `prepare`,
    is damaged, or has no such split.
    """

    def __init__(self, path: Path, split: str = ""):
        labels = _read_labels(path)
        if not split and len(labels) == 1:
            split = next(iter(labels))
        if split not in labels:
            wanted = f"no split {split!r}" if split else "several splits: choose one (the option `split`)"
            raise UserError(f"{path} has {wanted}; it has {', '.join(labels)}")
        self.origin = str(path)
        try:
            classes, rows = labels[split]["classes"], labels[split]["records"]
            self._categories = tuple(classes[row] for row in rows)
        except (KeyError, IndexError, TypeError) as error:
            raise UserError(f"{path} is damaged: no labels in {CATEGORIES_FILE} for {split!r}") from error
        self._records = open_split(path, split)
        if len(self._records) != len(rows):
            raise UserError(f"{path} is damaged: {len(self._records)} records, {len(rows)} labels in {split!r}")

    @property
    def categories(self) -> tuple[str, ...]:
        return self._categories

    def __len__(self) -> int:
        return len(self._categories)

    def __getitem__(self, index: int) -> Record:
        try:
            return to_record(self._records[index])
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # as ArrayRecord reports a damaged or missing file
            raise BadImage(f"record {index} cannot be read: {error}") from error


def open_split(path: Path, split: str) -> Sequence[dict[str, Any]]:
    """TFDS's own data source of a split, images left as encoded bytes."""
    import tensorflow_datasets as tfds  # takes half a second, and most runs read no ArrayRecord

    try:
        builder = tfds.builder_from_directory(str(path))
        return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})  # pyright: ignore
    except Exception as error:  # of many kinds, for a file of its own that is missing, cut off or altered
        raise UserError(f"{path} is not a readable ArrayRecord directory: {error}") from error


def to_record(example: dict[str, Any]) -> Record:
    """An example as TFDS gives it (texts as UTF-8 bytes) as a record."""
    return Record(
        image=bytes(example["image"]),
        category=example["category"].decode(),
        rationales=tuple(text.decode() for text in example["rationales"]),
        name=example["name"].decode(),
    )


def _read_labels(path: Path) -> dict[str, dict[str, list]]:
    try:
        return json.loads((path / CATEGORIES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} has no readable {CATEGORIES_FILE}: write it with `python -m launch.prepare` ({error})"
        ) from error
