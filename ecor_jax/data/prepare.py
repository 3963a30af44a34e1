"""`prepare`: converts any readable image set to ArrayRecord files with a TFDS builder."""

import contextlib
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils.shard_utils import ShardConfig
from tqdm import tqdm

from ecor_jax.atomic import temporary_folder
from ecor_jax.data.array_records import CATEGORIES_FILE, open_builder, open_split, to_record
from ecor_jax.data.decode import decode_image
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.records import BadImage, OnBadImage, Record, Source, raise_bad_images
from ecor_jax.data.tally import UNREADABLE, Tally
from ecor_jax.errors import UserError

ONLY_SPLIT = "train"
"""The TFDS split name for the images of a source without splits."""
SHARD_SIZE = 256 << 20
"""Bytes per file: large enough for an object store, small enough that every host of a pod gets its own files."""


class LabelledImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder for images with their class and, if known, the rationales of each image.

    `splits` yields the records of each split. Images are encoded bytes: TFDS needs TensorFlow to encode arrays.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, splits: Mapping[str, Iterable[Record]], data_dir: str):
        self._splits_to_write = splits
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, None)),
                "category": tfds.features.Text(),
                "rationales": tfds.features.Sequence(tfds.features.Text()),
                "name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, description="Images with rationales.")

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(records) for split, records in self._splits_to_write.items()}

    def _generate_examples(self, records: Iterable[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, record in enumerate(records):
            assert isinstance(record["image"], bytes)
            yield key, {**record, "image": io.BytesIO(record["image"]), "rationales": list(record["rationales"])}


class _Shards(ShardConfig):
    """A shard configuration with files of at most `max_shard_size`; TFDS's own always chooses 64 MiB to 1 GiB."""

    def get_number_shards(self, total_size: int, num_examples: int, uses_precise_sharding: bool = True) -> int:
        del uses_precise_sharding
        return max(1, min(num_examples, math.ceil(total_size / self.max_shard_size)))


class _Writing(tfds.download.DownloadConfig):
    def get_shard_config(self) -> ShardConfig:
        return _Shards(max_shard_size=self.max_shard_size)


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`: the number of images written per split, and the tally of found and skipped images."""

    counts: dict[str, int]
    tally: Tally


def prepare(
    source: str | Path,
    output: str | Path,
    split: str = "",
    on_bad_image: OnBadImage = "error",
    *,
    shard_size: int = SHARD_SIZE,
) -> Prepared:
    """Writes the images that `open_images` finds in `source` to a directory `output`, which `open_images` can read.

    Without `split`, all splits of `source` are written. Every image is decoded once, to find bad ones, and stored
    unchanged. A split becomes files of about equal size, of at most `shard_size` bytes unless a single image is larger.
    `output` appears atomically at the end.

    Raises:
        UserError: as `open_images`; `output` exists and is not empty, or cannot be written; images are bad.
    """
    source, output = Path(source), Path(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} is there already and is not an empty directory: nothing was written")
    sources = _open_splits(source, split)
    bad: list[BadImage] = []
    tally = Tally()
    for images in sources.values():
        tally.add_source(images)
    with _writing(output), temporary_folder(output) as folder:
        # TFDS announces a download and its bars lack a total; the bars below have one.
        tfds.disable_progress_bar()
        records = {name: _good_records(images, name, bad) for name, images in sources.items()}
        builder = LabelledImages(splits=records, data_dir=str(folder))
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=_Writing(max_shard_size=shard_size))
        count = sum(map(len, sources.values()))
        raise_bad_images(bad, count, str(source), on_bad_image, "--on_bad_image=skip")
        written = Path(builder.data_path)
        counts = _write_categories(written, list(sources))
        os.replace(written, output)
    tally.skip(UNREADABLE, len(bad), lines=list(map(str, bad)))
    return Prepared(counts, tally)


def _open_splits(path: Path, split: str) -> dict[str, Source]:
    # TFDS gives `all` and brackets in split names a special meaning.
    if split == "all" or re.search(r"[^\w-]", split):
        raise UserError(f"the split {split!r} cannot be written: rename its folder to letters and digits")
    splits = (split,) if split else splits_of(path) or ("",)
    return {name or ONLY_SPLIT: open_images(path, split=name) for name in splits}


def _good_records(source: Source, split: str, bad: list[BadImage]) -> Iterator[Record]:
    """Yields the readable records of a split, in order; appends the others to `bad`."""

    def load(index: int) -> Record | BadImage:
        try:
            record = source[index]
            assert isinstance(record["image"], bytes)
            decode_image(record["image"], record["name"])
            return record
        except BadImage as error:
            return error

    threads = os.cpu_count() or 1
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * threads)
    loads = grain.MapDataset.range(len(source)).map(load).to_iter_dataset(options)
    before = len(bad)
    for record in tqdm(loads, f"reading {split}", len(source), unit="image"):
        if isinstance(record, BadImage):
            bad.append(record)
        else:
            yield record
    raise_bad_images(bad[before:], len(source), source.origin, "skip")


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # raised by ArrayRecord's writer if the disk is full
        if "write() failed" not in str(error):
            raise
        raise UserError(f"{output} cannot be written: {str(error).partition(';')[0]}") from error


def _write_categories(folder: Path, splits: list[str]) -> dict[str, int]:
    """Reads the written records back, which verifies them, and writes CATEGORIES_FILE. Returns the counts by split."""
    labels = {}
    builder = open_builder(folder)
    for split in splits:
        examples = open_split(builder, split)
        indices = tqdm(range(len(examples)), f"checking {split}", unit="image")
        categories = [to_record(examples[index])["category"] for index in indices]
        classes = sorted(set(categories))
        number_of = {name: number for number, name in enumerate(classes)}
        labels[split] = {"classes": classes, "records": [number_of[name] for name in categories]}
    (folder / CATEGORIES_FILE).write_text(json.dumps(labels), encoding="utf-8")
    return {split: len(label["records"]) for split, label in labels.items()}
