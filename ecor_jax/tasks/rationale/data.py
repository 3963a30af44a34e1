"""Opens the dataset of a rationale config: the vocabulary and the image splits."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging
from jaxtyping import UInt64
from PIL import Image

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.config.options import path_list
from ecor_jax.data import procedural
from ecor_jax.data.augment import Augment
from ecor_jax.data.in_memory import InMemory, load_checked
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.procedural.questions import Questions, question_vocabulary
from ecor_jax.data.records import Source
from ecor_jax.data.sources import without_classes
from ecor_jax.data.tally import OVERLAP, UNREADABLE, Tally
from ecor_jax.data.vocabulary import Vocabulary, folder_names, match
from ecor_jax.errors import UserError, some_of
from ecor_jax.tasks.rationale.options import RationaleData
from ecor_jax.tasks.splits import PROCEDURAL, drawings, open_splits, with_validation


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A vocabulary and disjoint image splits.

    train, validation: None for an evaluation without training; `validation` also if `data.validation` is empty.
    """

    vocabulary: Vocabulary
    train: Source | None
    validation: Source | None
    test: Source
    tally: Tally
    """Counts of the files, with a message per skipped image, class or rationale."""
    drawings: Procedural | None = None
    """The test pictures if they are the built-in drawings."""

    @property
    def trained_on(self) -> UInt64[np.ndarray, "pictures"] | None:
        """The distinct digests of the training and validation pictures, ascending; None if they were not all read.

        A validation split that is the test split counts as the latter.
        """
        if self.train is None or self.train.digests is None:
            return None
        if self.validation is None:
            return np.unique(self.train.digests)
        if self.validation.digests is None or self.test.digests is None:
            return None
        return np.union1d(self.train.digests, np.setdiff1d(self.validation.digests, self.test.digests))

    def fingerprint(self) -> list[object]:
        """Returns plain values that identify the data."""
        words, sources = self.vocabulary, (self.train, self.validation, self.test)
        gold = np.packbits(words.gold).tobytes().hex()
        pictures = [source.fingerprint() for source in sources if source is not None]
        return [words.classes, words.rationales, gold, *pictures]


def open_dataset(
    data: RationaleData,
    preprocess: Preprocess,
    *,
    training: bool,
    too_long: Callable[[Vocabulary], Sequence[str]] = lambda vocabulary: (),
    trained_on: UInt64[np.ndarray, "pictures"] | None = None,
) -> Dataset:
    """Opens the dataset that the options describe, with its images in memory if they fit (`in_memory.load_checked`).

    too_long: returns the rationales whose prompts exceed the text tower's context; `data.on_long` applies to them.
    trained_on: digests of the pictures that the model was trained on before; `data.on_overlap` applies to them.
    """
    tally, drawn = Tally(), None
    if data.images == PROCEDURAL:
        # Drawings have the input size of the tower.
        procedural_sets = drawings(data, len(preprocess(Image.new("RGB", (8, 8)))))
        sets: dict[str, Source] = {**procedural_sets}
        if data.question:
            sets = {name: Questions(source, data.question) for name, source in procedural_sets.items()}
        else:
            drawn = procedural_sets["test"]
        for source in sets.values() if training else [sets["test"]]:
            tally.add_source(source)
        vocabulary = question_vocabulary(data.question) if data.question else procedural.vocabulary()
        folders = {}
    else:
        if data.question:
            raise UserError(f"data.question is {data.question!r}; expected the built-in drawings (data.images)")
        for option in ("images", "rationales"):
            if not getattr(data, option):
                raise UserError(f"--config.data.{option} is not set: expected a path")
        vocabulary = Vocabulary.from_file(data.rationales, slash=data.slash)
        folders = folder_names(data.rationales, data.slash)
        sets = open_splits(data, folders, tally, training=training)
    own, vocabulary = vocabulary, with_distractors(vocabulary, data)
    vocabulary = fitting(vocabulary, too_long(vocabulary), data.on_long, tally.lines)
    own = own.without(vocabulary.left_out)  # distractors have no pictures
    sets = with_validation(sets, data, folders, tally) if training else {"test": sets["test"]}
    for name in sets:
        augment = data.augment if name == "train" else "none"
        prepared = prepared_for(preprocess, data.resize, training=name == "train")
        sets[name] = _usable(sets[name], own, data, prepared, augment, tally)
    logging.info("%s", vocabulary.describe())
    if drawn is None:  # drawings of different splits and seeds differ
        known = sets["train"].digests if training else trained_on
        sets["test"] = without_overlap(sets["test"], known, data.on_overlap, tally)
    return Dataset(vocabulary, sets.get("train"), sets.get("validation"), sets["test"], tally, drawn)


def without_overlap(
    test: Source, trained_on: UInt64[np.ndarray, "pictures"] | None, on_overlap: str, tally: Tally
) -> Source:
    """Returns the test pictures without those that the model was trained on, which are told by their bytes.

    With `on_overlap` "allow" they are counted alone; likewise nothing is left out if the pictures of the training or
    of the test were not all read. Raises UserError if no picture remains.
    """
    if trained_on is None or not isinstance(test, InMemory):
        return test
    seen = np.isin(test.digests, trained_on)
    count = int(seen.sum())
    if on_overlap == "allow":
        tally.trained_on = count
        return test
    if count == len(test):
        raise UserError(
            f"{test.origin}: the model was trained on all {count} pictures; expected others "
            "(data.on_overlap=allow evaluates it on these)"
        )
    tally.trained_on = 0
    tally.skip(OVERLAP, count, lines=[f"{test.origin}: {count} of {len(test)} test pictures are training pictures"])
    return test.take(~seen) if count else test


def with_distractors(vocabulary: Vocabulary, data: RationaleData) -> Vocabulary:
    """Adds the classes of `data.distractors`. Raises UserError if they cannot make `data.pairs` pairs."""
    if bool(data.distractors) != bool(data.pairs):
        raise UserError(f"data.distractors is {data.distractors!r} and data.pairs {data.pairs}; expected both or none")
    if not data.distractors:
        return vocabulary
    if data.rationales_per_prompt != 1:
        raise UserError(f"data.rationales_per_prompt is {data.rationales_per_prompt}; expected 1 with data.distractors")
    own = len(vocabulary.classes) * len(vocabulary.rationales)
    if data.pairs <= own:
        raise UserError(f"data.pairs is {data.pairs:,}; expected more than the {own:,} pairs without distractors")
    others = [Vocabulary.from_file(path, slash=data.slash) for path in path_list(data.distractors)]
    return vocabulary.with_classes(others, data.pairs, data.seed)


def prepared_for(preprocess: Preprocess, resize: str, *, training: bool) -> Preprocess:
    """Returns the preprocessing of a split's pictures for the option `data.resize`."""
    if resize == "model":
        return preprocess
    if training:
        return dataclasses.replace(preprocess, resize="squash", resize_to=None)
    return dataclasses.replace(preprocess, resize="shortest", resize_to=round(preprocess.size * 256 / 224))


def fitting(vocabulary: Vocabulary, too_long: Sequence[str], on_long: str, left_out: list[str]) -> Vocabulary:
    """Returns the vocabulary without the rationales that are too long, and appends a message for each to `left_out`.

    Raises UserError if there are some and `on_long` is "error", or if no rationale remains.
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


def _usable(
    source: Source, vocabulary: Vocabulary, data: RationaleData, preprocess: Preprocess, augment: Augment, tally: Tally
) -> Source:
    """Returns the images that can be read and whose class is in the vocabulary."""
    if data.images != PROCEDURAL:
        differences = match(vocabulary, source.classes, data.on_missing)
        if differences.left_out:
            evaluated = without_classes(source, differences.left_out)
            reason = "of a class without rationales"
            tally.skip(reason, len(source) - len(evaluated), lines=[differences.describe()])
            source = evaluated
    source, bad, twice = load_checked(source, preprocess, data.on_bad_image, augment)
    tally.lines += twice
    tally.skip(UNREADABLE, len(bad), lines=bad)
    return source
