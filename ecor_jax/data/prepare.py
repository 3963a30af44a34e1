"""Any readable images as ArrayRecord files, through a TFDS builder."""

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grain
import tensorflow_datasets as tfds
from tqdm import tqdm

from ecor_jax.atomic import beside
from ecor_jax.data.array_records import CATEGORIES_FILE, open_split, to_record
from ecor_jax.data.decode import decode_image
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.rationale_builder.builder import LabelledImages
from ecor_jax.data.records import BadImage, OnBadImage, Record, Source, raise_bad_images
from ecor_jax.errors import UserError

ONLY_SPLIT = "train"
"""The name TFDS gets for the images of a source without splits."""


@dataclass(frozen=True)
class Prepared:
    """What was written: the number of images of every split, and a message for each image left out."""

    counts: dict[str, int]
    bad: tuple[str, ...]


def prepare(source: str | Path, output: str | Path, split: str = "", on_bad_image: OnBadImage = "error") -> Prepared:
    """Writes the images that `open_images` finds in `source` to a directory `output` that it reads as well.

    Without `split`, all splits of a folder or zip are written. Every image is decoded once, to find bad ones,
    and stored as it was. `output` appears at the end, whole, or not at all.

    Raises:
        UserError: as `open_images`; `output` is there and not empty, or cannot be written; images are bad.
    """
    source, output = Path(source), Path(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} is there already and is not an empty directory: nothing was written")
    sources = _open_splits(source, split)
    bad: list[BadImage] = []
    with _writing(output), beside(output) as folder:
        # TFDS announces a download and shows bars without an end; the bars here know the number of images.
        tfds.disable_progress_bar()
        readers = {name: partial(_good_records, images, name, bad) for name, images in sources.items()}
        builder = LabelledImages(splits=readers, data_dir=str(folder))
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
        count = sum(map(len, sources.values()))
        raise_bad_images(bad, count, str(source), on_bad_image, "--on_bad_image=skip")
        written = Path(builder.data_path)
        counts = _write_categories(written, list(sources))
        os.replace(written, output)
    return Prepared(counts, tuple(map(str, bad)))


def _open_splits(path: Path, split: str) -> dict[str, Source]:
    # What TFDS takes as a name: `all` and brackets have meanings of their own.
    if split == "all" or re.search(r"[^\w-]", split):
        raise UserError(f"the split {split!r} cannot be written: rename its folder to letters and digits")
    splits = (split,) if split else splits_of(path) or ("",)
    return {name or ONLY_SPLIT: open_images(path, split=name) for name in splits}


def _good_records(source: Source, split: str, bad: list[BadImage]) -> Iterator[Record]:
    """The readable records of a split, in order; the others are added to `bad`."""

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
    found: list[BadImage] = []
    for record in tqdm(loads, f"reading {split}", len(source), unit="image"):
        if isinstance(record, BadImage):
            found.append(record)
        else:
            yield record
    bad += found
    if len(found) == len(source):
        raise_bad_images(found, len(source), source.origin, "skip")


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # as ArrayRecord's writer reports a full disk
        if "write() failed" not in str(error):
            raise
        raise UserError(f"{output} cannot be written: {str(error).partition(';')[0]}") from error


def _write_categories(folder: Path, splits: list[str]) -> dict[str, int]:
    """Reads back what was written, which proves it whole, and lists its categories. Returns the counts."""
    labels = {}
    for split in splits:
        examples = open_split(folder, split)
        rows = range(len(examples))
        categories = [to_record(examples[row])["category"] for row in tqdm(rows, f"checking {split}", unit="image")]
        classes = sorted(set(categories))
        row_of = {name: row for row, name in enumerate(classes)}
        labels[split] = {"classes": classes, "records": [row_of[name] for name in categories]}
    (folder / CATEGORIES_FILE).write_text(json.dumps(labels), encoding="utf-8")
    return {split: len(label["records"]) for split, label in labels.items()}
