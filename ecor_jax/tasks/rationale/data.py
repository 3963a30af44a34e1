"""A rationale dataset as a config names it: a vocabulary, and images to train and to test on."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging
from PIL import Image

from ecor_jax.config import comma_list, path_list
from ecor_jax.data import procedural
from ecor_jax.data.augment import Augment
from ecor_jax.data.encode import Preprocess
from ecor_jax.data.files import some_of
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.in_memory import checked
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.records import Source
from ecor_jax.data.sources import Concatenated, Renamed, split_by_class, without_classes
from ecor_jax.data.vocabulary import Vocabulary, folder_names, match
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.options import RationaleData

PROCEDURAL = "procedural"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """No image is in two parts; `train` and `validation` are None where only an evaluation was asked for.

    validation: to choose settings by; None, too, where the options keep none.
    """

    vocabulary: Vocabulary
    train: Source | None
    validation: Source | None
    test: Source
    left_out: tuple[str, ...]
    """Bad images and classes that were left out, a line each."""

    def __post_init__(self):
        for line in self.left_out:
            logging.warning("left out: %s", line)


def open_dataset(
    data: RationaleData,
    preprocess: Preprocess,
    *,
    training: bool,
    too_long: Callable[[Vocabulary], Sequence[str]] = lambda vocabulary: (),
) -> Dataset:
    """The dataset that the options describe, its images in memory where they fit (`in_memory.checked`).

    too_long: the rationales that the text tower cannot read whole; `on_long` says what becomes of them.
    Test images may lie apart, in `test_images`. Else, where no split is named, a folder's own train and test are
    taken, or a share of `holdout` of every class is kept for the test; an evaluation alone then takes all images.
    """
    if data.images == PROCEDURAL:
        seeds = np.random.SeedSequence(data.seed).generate_state(2)
        size = len(preprocess(Image.new("RGB", (8, 8))))  # drawn as large as the tower looks at it
        sets: dict[str, Source] = {
            name: Procedural(getattr(data, f"{name}_count"), style="target", seed=int(seed), size=size)
            for name, seed in zip(("train", "test"), seeds, strict=True)
        }
        vocabulary = procedural.vocabulary()
    else:
        for option in ("images", "rationales"):
            if not getattr(data, option):
                raise UserError(f"--config.data.{option} is not set: expected a path")
        vocabulary = Vocabulary.from_json(data.rationales, slash=data.slash)
        sets = _splits(data, training)
    left_out: list[str] = []
    vocabulary = fitting(vocabulary, too_long(vocabulary), data.on_long, left_out)
    sets = sets if training else {"test": sets["test"]}
    if training and data.validation:
        sets |= _validation(sets["train"], data)
    for name in sets:
        augment = data.augment if name == "train" else "none"
        sets[name] = _usable(sets[name], vocabulary, data, preprocess, augment, left_out)
    logging.info("%s", vocabulary.describe())
    return Dataset(vocabulary, sets.get("train"), sets.get("validation"), sets["test"], tuple(left_out))


def fitting(vocabulary: Vocabulary, too_long: Sequence[str], on_long: str, left_out: list[str]) -> Vocabulary:
    """The vocabulary without the rationales that are too long, each a line in `left_out`.

    UserError if there are some and `on_long` is "error", if none remain, or for another `on_long`.
    """
    if not too_long:
        return vocabulary
    if on_long == "error" or len(too_long) == len(vocabulary.rationales):
        raise UserError(
            f"{len(too_long)} of {len(vocabulary.rationales)} rationales have prompts of more tokens than the text "
            f"tower reads, with the longest class name: {some_of([repr(text[:80]) for text in too_long])} "
            "(on_long=skip leaves them out)"
        )
    left_out += [f"rationale {text!r}: its prompts have more tokens than the text tower reads" for text in too_long]
    return vocabulary.without(too_long)


def _splits(data: RationaleData, training: bool) -> dict[str, Source]:
    train, test = data.train_split, data.test_split
    if data.test_images:
        sets = {"test": _open(data, data.test_images, test)}
        return sets | ({"train": _open(data, data.images, train)} if training else {})
    if not (train or test) and all({"train", "test"} <= set(splits_of(path)) for path in path_list(data.images)):
        train, test = "train", "test"
    if train and test:
        return {"test": _open(data, data.images, test)} | (
            {"train": _open(data, data.images, train)} if training else {}
        )
    if not training:
        return {"test": _open(data, data.images, test)}
    whole = _open(data, data.images, train)
    train_part, test_part = split_by_class(whole, holdout=data.holdout, seed=data.seed)
    return {"train": train_part, "test": _open(data, data.images, test) if test else test_part}


def _validation(train: Source, data: RationaleData) -> dict[str, Source]:
    """What remains to train on, and the validation part: a share of every class, or a split of the images."""
    try:
        share = float(data.validation)
    except ValueError:
        return {"train": train, "validation": _open(data, data.images, data.validation)}
    if not 0 < share < 1:
        raise UserError(f"data.validation is {share}; expected a share between 0 and 1, or the name of a split")
    # Another draw than the holdout's, which may be of the same images.
    kept, validation = split_by_class(train, holdout=share, seed=data.seed + 1)
    return {"train": kept, "validation": validation}


def _open(data: RationaleData, paths: str, split: str) -> Source:
    """The images of one path, or of several with commas, under the vocabulary's class names."""
    sources = [open_images(path, split=split) for path in path_list(paths)]
    source = sources[0] if len(sources) == 1 else Concatenated(sources)
    folders = folder_names(data.rationales, data.slash)
    known = {folder: name for folder, name in folders.items() if folder in source.classes}
    aliases = known | _aliases(data.aliases)
    return Renamed(source, aliases) if aliases else source


def _aliases(text: str) -> dict[str, str]:
    """`a=b,c=d` as {a: b, c: d}."""
    pairs = [item.partition("=") for item in comma_list(text)]
    if bad := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[2].strip())]:
        raise UserError(f"data.aliases: {', '.join(bad)}; expected image class=vocabulary class")
    return {old.strip(): new.strip() for old, _, new in pairs}


def _usable(
    source: Source,
    vocabulary: Vocabulary,
    data: RationaleData,
    preprocess: Preprocess,
    augment: Augment,
    left_out: list[str],
) -> Source:
    """The images that can be read and judged."""
    if data.images != PROCEDURAL:
        found = match(vocabulary, source.classes, data.on_missing)
        if found.left_out:
            left_out.append(found.describe())
            source = without_classes(source, found.left_out)
    source, bad = checked(source, preprocess, data.on_bad_image, augment)
    left_out += bad
    return source
