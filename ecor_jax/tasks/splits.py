"""Opens the labelled pictures that a config names as train, validation and test splits, for tasks with classes."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np

from ecor_jax.config.options import BatchSize, OnBad, Seed, Share, Within, Workers, comma_list, path_list
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.procedural import Procedural, Style
from ecor_jax.data.records import Source
from ecor_jax.data.sources import Concatenated, Renamed, split_by_class
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError

PROCEDURAL = "procedural"
HOLDOUT = "holdout"
"""The test split that `holdout` keeps out of the training, also in an evaluation without training."""
Drawn = Annotated[int, Within(0, 10**8)]


@dataclasses.dataclass(frozen=True)
class LabelledPictures:
    """Options of pictures with classes.

    name: of the set, for the results and the page.
    images: a folder tree, a zip, an ArrayRecord directory or tfds:NAME (`data.tfds_sets`), several with commas; or
      'procedural', the built-in drawings, of which train_count and test_count are generated in one `style`
      (`data.procedural`).
    train_count, test_count: number of drawings of each split. style: of the drawings.
    test_images: the pictures of the test split, if they are stored separately.
    train_split, test_split: the splits to train on and to evaluate, of pictures that have splits.
    holdout: share of every class for the test split if the pictures have no splits. An evaluation without training
      takes all pictures instead, unless test_split is 'holdout'.
    validation: the split to choose settings on: a share of every class of the training split, or a split's name.
    on_bad_image: 'error', or 'skip' pictures that cannot be read. batch_size: pictures of a training step. workers:
      processes that read and decode pictures; 0: threads of this process; -1: as many as Grain chooses.
    slash: replacement of / in class names. aliases: pairs PICTURES' CLASS=TEXTS' CLASS, with commas.
    seed: of the holdout, the validation split and the drawings.
    """

    name: str = ""
    images: str = ""
    test_images: str = ""
    train_split: str = ""
    test_split: str = ""
    holdout: Share = 0.2
    validation: str = ""
    slash: str = " or "
    aliases: str = ""
    on_missing: Literal["error", "allow"] = "error"
    on_bad_image: OnBad = "error"
    batch_size: BatchSize = 64
    workers: Workers = 0
    seed: Seed = 0
    train_count: Drawn = 0
    test_count: Drawn = 0
    style: Style = "target"


def drawings(data: LabelledPictures, size: int) -> dict[str, Procedural]:
    """Returns the built-in drawings as "train" and "test", `size` x `size` pixels each."""
    seeds = np.random.SeedSequence(data.seed).generate_state(2)
    counts = {"train": data.train_count, "test": data.test_count}
    return {
        name: Procedural(count, style=data.style, seed=int(seed), size=size)
        for (name, count), seed in zip(counts.items(), seeds, strict=True)
    }


def with_validation(
    splits: Mapping[str, Source], data: LabelledPictures, folders: Mapping[str, str], tally: Tally
) -> dict[str, Source]:
    """Adds "validation", a share of "train" or a split of the images, to the splits if `data.validation` is set."""
    splits = dict(splits)
    if not data.validation:
        return splits
    share = share_of(data.validation)
    if share is None:
        return splits | {"validation": _open(data, data.images, data.validation, folders, tally)}
    # The seed differs from that of the holdout, which may be drawn from the same images.
    kept, validation = split_by_class(splits["train"], holdout=share, seed=data.seed + 1)
    return splits | {"train": kept, "validation": validation}


def share_of(validation: str) -> float | None:
    """Parses `data.validation`: a share, or None for the name of a split. Raises UserError if not within 0 to 1."""
    try:
        share = float(validation)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UserError(f"data.validation is {share}; expected a share between 0 and 1, or the name of a split")
    return share


def open_splits(
    data: LabelledPictures, folders: Mapping[str, str], tally: Tally, *, training: bool
) -> dict[str, Source]:
    """Opens the pictures as "train" (if `training`) and "test".

    The test split is `test_images` if set, else the split `test_split`. If the options name no split, it is the folder
    test, provided that the folders train and test exist. Otherwise it is a share `holdout` of every class; unless
    `training`, this share only if `test_split` is HOLDOUT, else all images.

    folders: {folder: class name} for folders with other names than their class. tally: counts files found and skipped.
    """
    train, test = data.train_split, data.test_split
    if data.test_images:
        sets = {"test": _open(data, data.test_images, test, folders, tally)}
        return sets | ({"train": _open(data, data.images, train, folders, tally)} if training else {})
    if not (train or test) and all({"train", "test"} <= set(splits_of(path)) for path in path_list(data.images)):
        train, test = "train", "test"
    if not training and test != HOLDOUT:
        return {"test": _open(data, data.images, test, folders, tally)}
    if train and test not in ("", HOLDOUT):
        return {
            name: _open(data, data.images, split, folders, tally) for name, split in (("train", train), ("test", test))
        }
    whole = _open(data, data.images, train, folders, tally)
    train_part, test_part = split_by_class(whole, holdout=data.holdout, seed=data.seed)
    if not training:
        tally.skip("of the training split", train_part.names, whole.origin)
        return {"test": test_part}
    if test not in ("", HOLDOUT):
        tally.skip("of the holdout, for which test_split has others", test_part.names, whole.origin)
        test_part = _open(data, data.images, test, folders, tally)
    return {"train": train_part, "test": test_part}


def _open(data: LabelledPictures, paths: str, split: str, folders: Mapping[str, str], tally: Tally) -> Source:
    """Opens the images of one path, or of several with commas; classes are renamed as in the texts."""
    sources = [open_images(path, split=split) for path in path_list(paths)]
    source = sources[0] if len(sources) == 1 else Concatenated(sources)
    tally.add_source(source)
    known = {folder: name for folder, name in folders.items() if folder in source.classes}
    aliases = known | aliases_of(data.aliases)
    return Renamed(source, aliases) if aliases else source


def aliases_of(text: str) -> dict[str, str]:
    """Parses `a=b,c=d` as {a: b, c: d}."""
    pairs = [item.partition("=") for item in comma_list(text)]
    if bad := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[2].strip())]:
        raise UserError(f"data.aliases: {', '.join(bad)}; expected image class=vocabulary class")
    return {old.strip(): new.strip() for old, _, new in pairs}
