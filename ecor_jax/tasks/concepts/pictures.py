"""Opens labelled pictures and descriptors of their classes (Menon and Vondrick 2023) as a dataset of concepts."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ecor_jax.data import procedural
from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.decode import picture_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.records import BadImage, Source
from ecor_jax.data.sources import Subset
from ecor_jax.data.tally import UNREADABLE, Tally
from ecor_jax.data.vocabulary import Vocabulary, folder_names, match
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.options import Concepts, ConceptsData, ConceptsOptions
from ecor_jax.tasks.splits import PROCEDURAL, drawings, open_splits, share_of, with_validation
from ecor_jax.untrusted.json_text import JsonObject

DRAWN = 64
"""The side length of the built-in drawings in pixels."""
SHARED = "several classes"
"""The group of descriptors that several classes share."""


def open_pictures(options: ConceptsOptions) -> ConceptsDataset:
    """Opens the pictures that `data` names, and a descriptor file: {class: [descriptor, ...]}, or a plain list.

    If the template has {c}, descriptors of different classes are different concepts, as in Menon and Vondrick's work;
    else equal descriptors are one concept. The category of a picture with several labels is "one|another"; such
    pictures need predefined splits, because a split by class needs one class per picture.
    Raises UserError, naming what is missing in the pictures or in the file.
    """
    data, concepts, tally = options.data, options.concepts, Tally()
    if concepts.source != "labels":
        raise UserError(f"concepts.source is {concepts.source!r}; pictures without reports have 'labels' alone")
    drawn = data.images == PROCEDURAL
    if drawn:
        vocabulary, folders = procedural.vocabulary(), {}
        sources = drawings(data, DRAWN)
        for source in sources.values():
            tally.add_source(source)
    else:
        for option, value in (("data.images", data.images), ("concepts.descriptors", concepts.descriptors)):
            if value in ("", "xrays"):
                raise UserError(f"--config.{option} is not set: expected a path")
        vocabulary, folders = None, {}
        if isinstance(read_concepts(Path(concepts.descriptors)), JsonObject):
            vocabulary = Vocabulary.from_file(concepts.descriptors, slash=data.slash)
            folders = folder_names(concepts.descriptors, data.slash)
        if not data.single_label:
            _check_split(data)
        sources = open_splits(data, folders, tally, training=True)
    sources = with_validation(sources, data, folders, tally)
    if data.on_bad_image == "skip":
        sources = {name: _readable(source, tally) for name, source in sources.items()}
    if vocabulary is None:
        classes = tuple(sorted(_labels(sources["train"], data)))
        descriptors, of_class = _without_classes(concepts, tally.lines), None
    else:
        classes = _classes(vocabulary, sources["train"], data, tally.lines)
        descriptors, of_class = _descriptors(vocabulary, classes, per_class="{c}" in concepts.template)
    if len(classes) < 1 + data.single_label:
        raise UserError(f"found {len(classes)} class with pictures, {', '.join(classes)}; expected at least 2")
    splits = {name: _split_of(name, source, classes, data, descriptors, of_class) for name, source in sources.items()}
    if drawn:
        splits = {name: _as_drawn(split, descriptors) for name, split in splits.items()}
    for name, split in splits.items():
        skipped = len(sources[name]) - len(split.pictures)
        tally.skip("of a class without descriptors or training pictures", skipped, sources[name].origin)
    train, validation, test = splits["train"], splits.get("validation"), splits["test"]
    return ConceptsDataset(classes, data.single_label, descriptors, of_class, train, validation, test, tally, drawn)


def _check_split(data: ConceptsData) -> None:
    named = data.test_images or (data.train_split and data.test_split)
    if not named or (data.validation and share_of(data.validation) is not None):
        raise UserError(
            "data.single_label is False, and pictures with several labels have no class to split by; set "
            "data.test_images, or data.train_split and data.test_split (and data.validation to a split)"
        )


def _readable(source: Source, tally: Tally) -> Source:
    good, bad = [], []
    for row in range(len(source)):
        try:
            picture_of(source[row])
            good.append(row)
        except BadImage as error:
            bad.append(str(error))
    if not good:
        raise UserError(f"{source.origin}: none of {len(source)} images can be read: {bad[-1]}")
    tally.skip(UNREADABLE, len(bad), lines=bad)
    return Subset(source, good) if len(good) < len(source) else source


def _labels(source: Source, data: ConceptsData) -> set[str]:
    return {label for category in source.classes for label in _labels_of(category, data)}


def _without_classes(concepts: Concepts, lines: list[str]) -> Descriptors:
    """Reads a list of descriptors that are not assigned to classes, as in Label-free CBM."""
    if "{c}" in concepts.template:
        raise UserError(f"concepts.template has {{c}}, but {concepts.descriptors} says of no class what it has")
    descriptors = Descriptors.from_file(concepts.descriptors)
    lines.append(
        f"{concepts.descriptors}: {len(descriptors.phrases)} descriptors without classes; which of them a picture has "
        "is not known, so there is no concept loss, and explanations are not evaluated"
    )
    return descriptors


def _labels_of(category: str, data: ConceptsData) -> list[str]:
    return [category] if data.single_label else [label for label in category.split("|") if label]


def _classes(vocabulary: Vocabulary, train: Source, data: ConceptsData, left_out: list[str]) -> tuple[str, ...]:
    """Returns the classes that have both training pictures and descriptors, in the order of the file."""
    there = _labels(train, data)
    differences = match(vocabulary, sorted(there), "error" if data.on_missing == "error" else "allow")
    if line := differences.describe():
        left_out.append(line)
    known = there - set(differences.left_out)
    return tuple(name for name in vocabulary.classes if name in known)


def _descriptors(
    vocabulary: Vocabulary, classes: Sequence[str], *, per_class: bool
) -> tuple[Descriptors, Bool[np.ndarray, "classes concepts"]]:
    """Returns the descriptors of the classes, and the membership of each descriptor in each class."""
    lists = {name: vocabulary.rationales_of(vocabulary.classes.index(name)) for name in classes}
    if per_class:
        descriptors = Descriptors.of_classes(lists)
        return descriptors, np.arange(len(classes))[:, None] == np.array(descriptors.group_of)
    owners: dict[str, list[str]] = {}
    for name, phrases in lists.items():
        for phrase in phrases:
            owners.setdefault(phrase, []).append(name)
    groups: dict[str, list[str]] = {}
    for phrase, names in owners.items():
        groups.setdefault(names[0] if len(names) == 1 else SHARED, []).append(phrase)
    descriptors = Descriptors.of_classes(groups)
    return descriptors, np.array([[name in owners[phrase] for phrase in descriptors.phrases] for name in classes])


def _split_of(
    name: str,
    source: Source,
    classes: Sequence[str],
    data: ConceptsData,
    descriptors: Descriptors,
    of_class: Bool[np.ndarray, "classes concepts"] | None,
) -> Split:
    """Returns the pictures of the classes; without `single_label` all pictures, ignoring labels of other classes."""
    number = {label: column for column, label in enumerate(classes)}
    labels = [_labels_of(category, data) for category in source.categories]
    rows = [row for row, own in enumerate(labels) if not data.single_label or own[0] in number]
    if not rows:
        raise UserError(
            f"{source.origin}: no picture of the {name} split is of one of the classes {', '.join(classes)}"
        )
    targets: Float[np.ndarray, "N classes"] = np.zeros((len(rows), len(classes)), np.float32)
    for target, row in zip(targets, rows, strict=True):
        target[[number[label] for label in labels[row] if label in number]] = 1
    nothing = np.zeros((len(classes), len(descriptors.phrases)), bool)
    present = targets @ (nothing if of_class is None else of_class) > 0
    pictures = Subset(source, rows) if len(rows) < len(source) else source
    return Split(pictures, targets, present, _phrases(present, descriptors))


def _as_drawn(split: Split, descriptors: Descriptors) -> Split:
    """Returns the split with those descriptors of each drawing's class that it shows."""
    shown = [set(split.pictures[row]["rationales"]) for row in range(len(split.pictures))]
    present = split.present & np.array([[phrase in own for phrase in descriptors.phrases] for own in shown])
    return dataclasses.replace(split, present=present, phrases=_phrases(present, descriptors))


def _phrases(present: Bool[np.ndarray, "N concepts"], descriptors: Descriptors) -> list[list[str]]:
    return [[descriptors.phrases[concept] for concept in np.flatnonzero(held)] for held in present]
