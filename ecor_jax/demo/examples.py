"""The pictures that the page offers: the user's, or drawings for a model of the built-in drawings."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ecor_jax.data.decode import picture_of
from ecor_jax.data.pictures import records_of
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.data.records import Record
from ecor_jax.data.tally import Tally
from ecor_jax.data.vocabulary import Vocabulary

MOST = 24
"""Maximum number of examples; the first ones are offered."""
DRAWINGS = 6
SEED = 20_266
"""A seed that no shipped config draws pictures with."""
SHOWN = 192
"""Longer side of an example's thumbnail in pixels."""


class Example(NamedTuple):
    """The files of a picture and of its thumbnail, both PNG."""

    picture: Path
    thumbnail: Path


def write_examples(paths: Sequence[Path], own: Vocabulary | None, folder: Path) -> list[Example]:
    """Writes the examples to a new folder: the pictures of `paths`, files, folders or zips.

    Without paths, drawings if the model's `own` vocabulary is theirs, otherwise none. Raises UserError if no picture
    of `paths` can be read.
    """
    folder.mkdir()
    records = records_of(paths, Tally(), skip_bad=True, most=MOST) if paths else _drawings(own)
    return [_written(record, folder, number) for number, record in enumerate(records, 1)]


def _drawings(own: Vocabulary | None) -> list[Record]:
    if own is None or own.to_json() != vocabulary().to_json():
        return []
    source = Procedural(DRAWINGS * 7, style="shifted", seed=SEED, size=128)
    return [source[index] for index in range(0, len(source), 7)]  # classes alternate, so these differ


def _written(record: Record, folder: Path, number: int) -> Example:
    picture = picture_of(record)
    example = Example(folder / f"example {number}.png", folder / f"thumbnail {number}.png")
    picture.save(example.picture)
    picture.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    picture.save(example.thumbnail)
    return example
