"""The dataset of the concepts task: pictures with labels, and the descriptors that are present in each."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from ecor_jax.data.captions import Captions
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.records import Source
from ecor_jax.data.tally import Tally


@dataclasses.dataclass(frozen=True)
class Split:
    """N pictures with the targets of C classes or labels, and their descriptors.

    targets: 1 for present classes; one-hot rows for exclusive classes; NaN for unknown labels.
    present: which of the model's descriptors each picture has. phrases: all descriptors that the labels or report of a
    picture state, even if the model lacks them; empty without a report. patients: one per X-ray; None for other
    pictures.
    """

    pictures: Source
    targets: Float[np.ndarray, "N classes"]
    present: Bool[np.ndarray, "N concepts"]
    phrases: Sequence[Sequence[str]]
    patients: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class ConceptsDataset:
    """Splits with disjoint pictures and patients; `validation` is None if the options define none.

    exclusive: whether a picture has exactly one class; if not, it has any number of labels. of_class: the descriptors
    of each class; None if unknown. by_picture: whether the descriptors that are present are known for each picture, and
    not only for its class. tally: counts of the files.
    trained_on: the patients of all studies of the training split, whether their labels are used or not.
    captions: pictures and captions to pretrain a CLIP on; None if there are none.
    """

    classes: tuple[str, ...]
    exclusive: bool
    descriptors: Descriptors
    of_class: Bool[np.ndarray, "classes concepts"] | None
    train: Split
    validation: Split | None
    test: Split
    tally: Tally
    by_picture: bool = False
    trained_on: tuple[str, ...] = ()
    captions: tuple[Source, Captions] | None = None

    def fingerprint(self) -> list[object]:
        """Returns plain values that identify the data."""
        splits = [split for split in (self.train, self.validation, self.test) if split is not None]
        labels = [split.targets.tobytes().hex() + split.present.tobytes().hex() for split in splits]
        return [self.classes, self.descriptors.phrases, labels, *(split.pictures.fingerprint() for split in splits)]

    @property
    def shown(self) -> tuple[str, ...]:
        """The classes with scores of their own: all labels, or the last of two exclusive classes; none of more."""
        if not self.exclusive:
            return self.classes
        return self.classes[1:] if len(self.classes) == 2 else ()
