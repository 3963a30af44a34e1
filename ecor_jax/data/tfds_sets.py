"""`TfdsSet`: a data set that TFDS has prepared as ArrayRecord, as a `Source`. Nothing is downloaded or built."""

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from ecor_jax.atomic import cache_folder, read_array, write_array
from ecor_jax.data.array_records import CATEGORIES_FILE, INFO_FILE, chosen_split, open_builder, open_split
from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.data.vocabulary import distinct_names
from ecor_jax.errors import UserError, some_of
from ecor_jax.untrusted.json_text import read_object

PREFIX = "tfds:"
_NAME = re.compile(r"(\w+)(?:/(\w[\w.+-]*))?(?::(\d+\.\d+\.\d+))?")
_AT_ONCE = 256
"""Number of records that a thread reads at a time to collect their labels."""


def dataset_dir(name: str) -> Path:
    """Returns the directory of `tfds:NAME[/CONFIG][:VERSION]` below $TFDS_DATA_DIR or ~/tensorflow_datasets, like TFDS.

    The default version is the newest. Raises UserError, with instructions, if it is not prepared there.
    """
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise UserError(
            f"{name}: expected tfds:NAME, tfds:NAME/CONFIG or either with :VERSION, such as tfds:mnist:3.0.1"
        )
    wanted, config, version = match.groups()
    root = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")
    if "://" in os.environ.get("TFDS_DATA_DIR", ""):
        raise UserError(f"$TFDS_DATA_DIR is {os.environ['TFDS_DATA_DIR']}; expected a folder: mount the bucket")
    folder = root / wanted
    if config is None and not _versions(folder):
        configs = sorted({file.parents[1].name for file in folder.glob(f"*/*/{INFO_FILE}")})
        if len(configs) > 1:
            choices = ", ".join(f"{PREFIX}{wanted}/{choice}" for choice in configs)
            raise UserError(f"{name} has several configurations; choose one: {choices}")
        config = "".join(configs)
    folder /= config or ""
    versions = _versions(folder)
    if not versions:
        files = itertools.chain(root.glob(f"*/*/{INFO_FILE}"), root.glob(f"*/*/*/{INFO_FILE}"))
        there = some_of(sorted({file.relative_to(root).parts[0] for file in files})) or "no set"
        raise UserError(
            f"{name} is not prepared in {root} (the folder is $TFDS_DATA_DIR), where there is {there}; "
            f"prepare it once, where TensorFlow is installed: tfds build {wanted}{f'/{config}' if config else ''} "
            f"--file_format=array_record --data_dir={root}"
        )
    if version is not None and version not in versions:
        raise UserError(f"{name}: {folder} has no version {version}; it has {', '.join(versions)}")
    return folder / (version or versions[-1])


def _versions(folder: Path) -> list[str]:
    """Returns the prepared versions in a folder, the newest last."""
    names = [file.parent.name for file in folder.glob(f"*/{INFO_FILE}")]
    versions = [name for name in names if re.fullmatch(r"\d+\.\d+\.\d+", name)]
    return sorted(versions, key=lambda version: [*map(int, version.split("."))])


def splits_of_set(path: Path) -> tuple[str, ...]:
    """Returns the splits of a TFDS directory."""
    return tuple(_open(path).info.splits)


class TfdsSet(Source):
    """One split of a directory that TFDS prepared as ArrayRecord; TensorFlow is not needed.

    Reads one image and one class label per record. Of several features of one kind it reads the one that is among the
    supervised keys.
    Categories are the normalised label names. Labels are stored beside the images, so all records are read once; the
    labels are then kept in the cache folder. `split` may be '' if there is only one.

    Raises UserError if the directory is of another format or damaged, lacks the split, does not have exactly one image
    and one label, or has a label without a name.
    """

    def __init__(self, path: Path, split: str = ""):
        builder = _open(path)
        split = chosen_split(path, split, tuple(builder.info.splits))
        self.origin, self._split = str(path), split
        self._image, self._label = _image_and_label(path, builder.info)
        label = builder.info.features[self._label]
        labels, count = _labels(path, builder, split, self._label), label.num_classes or 0
        if len(without := np.flatnonzero((labels < 0) | (labels >= count))):
            example = f"such as {labels[without[0]]} of record {without[0]}"
            raise UserError(
                f"{path}, split {split!r}: {len(without)} of {len(labels)} records have a label without a name, "
                f"{example}; expected 0 to {count - 1}"
            )
        # Only the names of labels that occur are looked up, because a set may announce any number of classes.
        spelled = {number: label.int2str(number) for number in np.unique(labels).tolist()}
        names = distinct_names(spelled.values(), f"{path}, labels")
        self.categories = tuple(names[spelled[number]] for number in labels.tolist())
        self._records = open_split(builder, split)

    def __getitem__(self, index: int) -> Record:
        try:
            image = self._records[index][self._image]
        except Exception as error:  # TFDS raises many types for a damaged or unexpected record
            raise BadImage(f"record {index} cannot be read: {error}") from error
        name = f"{self._split}/{index}"
        return Record(image=bytes(image), category=self.categories[index], rationales=(), name=name)


def _open(path: Path) -> Any:
    info = read_object(path / INFO_FILE)
    format_ = info.get("fileFormat", info.get("file_format", "tfrecord"))
    others = info.get("alternativeFileFormats", info.get("alternative_file_formats", []))
    if format_ != "array_record" and not (isinstance(others, list) and "array_record" in others):
        raise UserError(
            f"{path} is prepared as {format_}; convert it once: "
            f"tfds convert_format --dataset_version_dir={path} --out_file_format=array_record"
        )
    return open_builder(path)


def _image_and_label(path: Path, info: Any) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    chosen = []
    supervised = info.supervised_keys or ()
    features = info.features if isinstance(info.features, tfds.features.FeaturesDict) else {}
    for what, kind in (("image", tfds.features.Image), ("class label", tfds.features.ClassLabel)):
        found = [name for name, feature in features.items() if isinstance(feature, kind)]
        named = [name for name in found if len(found) == 1 or name in supervised]
        if len(named) != 1:
            raise UserError(
                f"{path}: expected one {what} among its features, or the {CATEGORIES_FILE} that `ecor-jax prepare` "
                f"writes; found {', '.join(sorted(found)) or 'none'} of {', '.join(sorted(features))}"
            )
        chosen += named
    return chosen[0], chosen[1]


def _labels(path: Path, builder: Any, split: str, feature: str) -> np.ndarray:
    """Returns the label of every record, int [N]; reads them once and keeps them in the cache folder.

    Processes that share the folder wait for the first of them.
    """
    sizes = {file.name: file.stat().st_size for file in os.scandir(path) if file.is_file()}
    if (count := builder.info.splits[split].num_examples) > sum(sizes.values()):
        raise UserError(f"{path / INFO_FILE}: lists {count:,} records, more than there are bytes")
    described = [(path / INFO_FILE).read_bytes(), f"{split} {feature} {sorted(sizes.items())}".encode()]
    kept = cache_folder() / "labels" / f"{hashlib.sha256(b'/'.join(described)).hexdigest()}.safetensors"
    with contextlib.ExitStack() as stack:
        # On a read-only disk or one without locks, labels may be read more than once.
        with contextlib.suppress(OSError, NotImplementedError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(kept.with_suffix(".lock")))
        labels = read_array(kept)
        if labels is None:
            labels = _read_labels(path, open_split(builder, split), split, feature)
            write_array(kept, labels)
    return labels


def _read_labels(path: Path, records: Sequence[dict[str, Any]], split: str, feature: str) -> np.ndarray:
    def read(start: int) -> list[int]:
        rows = range(start, min(start + _AT_ONCE, len(records)))
        return [int(example[feature]) for example in records.__getitems__(rows)]  # pyright: ignore

    labels: list[int] = []
    try:
        with ThreadPoolExecutor() as pool, tqdm(total=len(records), desc=f"labels of {split}", unit="image") as bar:
            for part in pool.map(read, range(0, len(records), _AT_ONCE)):
                labels += part
                bar.update(len(part))
    except Exception as error:  # TFDS raises many types for a damaged or unexpected record
        raise UserError(f"{path} is damaged: {error}") from error
    return np.asarray(labels, np.int64)
