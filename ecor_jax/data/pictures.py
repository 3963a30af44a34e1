"""Conversion of user input (files, folders, zips, arrays, PIL images) to records, used by the Python API."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ecor_jax.data.array_records import is_array_records
from ecor_jax.data.decode import in_rgb, picture_of, pixels_of
from ecor_jax.data.files import IMAGE_SUFFIXES, open_files, read_picture
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.labelled_list import LabelledFiles
from ecor_jax.data.records import Record
from ecor_jax.data.tally import UNREADABLE, Tally
from ecor_jax.errors import UserError
from ecor_jax.untrusted.archives import is_zip

Picture = Any
"""A file, folder, zip or ArrayRecord directory; or one image: a PIL image, the bytes of an image file, or a NumPy, JAX
or PyTorch array (`data.decode.pixels_of`)."""


def as_list(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Returns the input as a sequence: a single image becomes a list of one; a 4-D array is a sequence of images."""
    return [pictures] if _is_single(pictures) else pictures


def is_one(picture: Any) -> bool:
    """Returns whether the input is a single image: neither a sequence of images nor a folder or zip."""
    return _is_single(picture) and not _is_collection(picture)


def _is_single(pictures: Any) -> bool:
    return isinstance(pictures, str | Path | Image.Image | bytes) or getattr(pictures, "ndim", 4) < 4


def _is_collection(picture: Any) -> bool:
    if not isinstance(picture, str | Path):
        return False
    path, suffix = Path(picture), Path(picture).suffix.lower()
    return path.is_dir() or (suffix not in IMAGE_SUFFIXES and (suffix == ".zip" or is_zip(path)))


def records_of(pictures: Sequence[Picture], tally: Tally, *, skip_bad: bool, most: int | None = None) -> list[Record]:
    """Reads the images of files, folders, zips, ArrayRecord directories and in-memory inputs, in their order.

    Raises UserError naming every unreadable image. With `skip_bad`, unreadable images are skipped with a warning as
    long as others are readable. `tally` counts the images. most: maximum number of images that are read, the first.
    """
    records, bad = [], []
    for read in itertools.chain.from_iterable(_readers(n, picture, tally) for n, picture in enumerate(pictures, 1)):
        if most is not None and len(records) == most:
            break
        try:
            record = read()
            picture_of(record)
            records.append(record)
        except UserError as error:
            bad.append(str(error))
    if bad and not (records and skip_bad):
        count = f"{len(bad)} pictures cannot" if records or not skip_bad else "no picture can"
        raise UserError(f"{count} be read: {'; '.join(bad)}")
    tally.skip(UNREADABLE, len(bad), lines=bad)
    tally.log()
    return records


def _readers(number: int, picture: Picture, tally: Tally) -> Iterator[Callable[[], Record]]:
    """Yields one reader for a file, or one per image of a folder or zip (at any depth) or ArrayRecord directory."""
    if not _is_collection(picture):
        tally.found += 1
        tally.used += 1
        yield functools.partial(_record, picture, number)
        return
    path = Path(picture)
    if is_array_records(path):
        sources = (open_images(path, split=split) for split in splits_of(path) or ("",))
    else:
        files = open_files(path)
        sources = [LabelledFiles(files, files.members, ("",) * len(files.members))]
    for source in sources:
        tally.add_source(source)
        yield from (functools.partial(source.__getitem__, row) for row in range(len(source)))


def _record(picture: Picture, number: int) -> Record:
    name = str(Path(picture)) if isinstance(picture, str | Path) else f"picture {number}"
    if isinstance(picture, str | Path):
        image = read_picture(Path(picture))
    elif isinstance(picture, Image.Image):
        image = np.asarray(in_rgb(picture))
    else:
        image = picture if isinstance(picture, bytes) else pixels_of(picture, name)
    return Record(image=image, category="", rationales=(), name=name)
