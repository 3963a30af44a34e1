"""A rationale dataset as a config names it: a vocabulary, and images to train and to test on."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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

PROCEDURAL = "procedural"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """`train` and `test` share no image; `train` is None where only an evaluation was asked for."""

    vocabulary: Vocabulary
    train: Source | None
    test: Source
    left_out: tuple[str, ...]
    """Bad images and classes that were left out, a line each."""

    def __post_init__(self):
        for line in self.left_out:
            logging.warning("left out: %s", line)


def open_dataset(
    data: Mapping[str, Any],
    preprocess: Preprocess,
    *,
    training: bool,
    too_long: Callable[[Vocabulary], Sequence[str]] = lambda vocabulary: (),
) -> Dataset:
    """The dataset that `config.data` describes, its images in memory where they fit (`in_memory.checked`).

    data: images, test_images, rationales, train_split, test_split, holdout, slash, aliases, on_missing, on_bad_image,
      on_long, seed, augment; for the built-in set ('procedural') train_count, test_count, seed and augment alone.
    too_long: the rationales that the text tower cannot read whole; `on_long` says what becomes of them.
    Test images may lie apart, in `test_images`. Else, where no split is named, a folder's own train and test are
    taken, or a share of `holdout` of every class is kept for the test; an evaluation alone then takes all images.
    """
    if data["on_missing"] not in ("error", "allow"):
        raise UserError(f"data.on_missing is {data['on_missing']!r}; expected one of error, allow")
    if data["images"] == PROCEDURAL:
        seeds = np.random.SeedSequence(data["seed"]).generate_state(2)
        size = len(preprocess(Image.new("RGB", (8, 8))))  # drawn as large as the tower looks at it
        sets: dict[str, Source] = {
            name: Procedural(data[f"{name}_count"], style="target", seed=int(seed), size=size)
            for name, seed in zip(("train", "test"), seeds, strict=True)
        }
        vocabulary = procedural.vocabulary()
    else:
        for option in ("images", "rationales"):
            if not data[option]:
                raise UserError(f"--config.data.{option} is not set: expected a path")
        vocabulary = Vocabulary.from_json(data["rationales"], slash=data["slash"])
        sets = _splits(data, training)
    left_out: list[str] = []
    vocabulary = fitting(vocabulary, too_long(vocabulary), data["on_long"], left_out)
    for name in sets if training else ("test",):
        augment = data["augment"] if name == "train" else "none"
        sets[name] = _usable(sets[name], vocabulary, data, preprocess, augment, left_out)
    logging.info("%s", vocabulary.describe())
    return Dataset(vocabulary, sets["train"] if training else None, sets["test"], tuple(left_out))


def fitting(vocabulary: Vocabulary, too_long: Sequence[str], on_long: str, left_out: list[str]) -> Vocabulary:
    """The vocabulary without the rationales that are too long, each a line in `left_out`.

    UserError if there are some and `on_long` is "error", if none remain, or for another `on_long`.
    """
    if on_long not in ("error", "skip"):
        raise UserError(f"on_long is {on_long!r}; expected error or skip")
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


def _splits(data: Mapping[str, Any], training: bool) -> dict[str, Source]:
    train, test = data["train_split"], data["test_split"]
    if data["test_images"]:
        sets = {"test": _open(data, data["test_images"], test)}
        return sets | ({"train": _open(data, data["images"], train)} if training else {})
    if not (train or test) and all({"train", "test"} <= set(splits_of(path)) for path in path_list(data["images"])):
        train, test = "train", "test"
    if train and test:
        return {"test": _open(data, data["images"], test)} | (
            {"train": _open(data, data["images"], train)} if training else {}
        )
    if not training:
        return {"test": _open(data, data["images"], test)}
    whole = _open(data, data["images"], train)
    train_part, test_part = split_by_class(whole, holdout=data["holdout"], seed=data["seed"])
    return {"train": train_part, "test": _open(data, data["images"], test) if test else test_part}


def _open(data: Mapping[str, Any], paths: str, split: str) -> Source:
    """The images of one path, or of several with commas, under the vocabulary's class names."""
    sources = [open_images(path, split=split) for path in path_list(paths)]
    source = sources[0] if len(sources) == 1 else Concatenated(sources)
    folders = folder_names(data["rationales"], data["slash"])
    known = {folder: name for folder, name in folders.items() if folder in source.classes}
    aliases = known | _aliases(data["aliases"])
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
    data: Mapping[str, Any],
    preprocess: Preprocess,
    augment: Augment,
    left_out: list[str],
) -> Source:
    """The images that can be read and judged."""
    if data["images"] != PROCEDURAL:
        found = match(vocabulary, source.classes, data["on_missing"])
        if found.left_out:
            left_out.append(found.describe())
            source = without_classes(source, found.left_out)
    source, bad = checked(source, preprocess, data["on_bad_image"], augment=augment)
    left_out += bad
    return source
