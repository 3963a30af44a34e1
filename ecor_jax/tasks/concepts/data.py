"""The data of a concept bottleneck: images with labels, and the descriptors that hold of each."""

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
    """N pictures with the targets of C classes or labels, and what holds of each.

    targets: 1 for what is there; of exclusive classes one-hot rows, of labels NaN where nothing is known.
    present: of the descriptors of the model. phrases: all that its labels, or its report, say of it, whether the model
    knows them or not; none where there is no report. patients: of each picture; None where they are no X-rays.
    """

    pictures: Source
    targets: Float[np.ndarray, "N classes"]
    present: Bool[np.ndarray, "N concepts"]
    phrases: Sequence[Sequence[str]]
    patients: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class ConceptsDataset:
    """No picture, and no patient, is in two splits; `validation` is None where the options keep none.

    exclusive: a picture is of one of the classes; else every label holds or does not. of_class: the descriptors of
    each class; None where that is not known. tally: what became of the files that were found.
    trained_on: the patients of the training split's studies, whatever they show.
    captions: pictures and captions that a CLIP may be pretrained on; None where there are none.
    """

    classes: tuple[str, ...]
    exclusive: bool
    descriptors: Descriptors
    of_class: Bool[np.ndarray, "classes concepts"] | None
    train: Split
    validation: Split | None
    test: Split
    tally: Tally
    trained_on: tuple[str, ...] = ()
    captions: tuple[Source, Captions] | None = None

    def fingerprint(self) -> list[object]:
        """Plain values that are others for other data."""
        splits = [split for split in (self.train, self.validation, self.test) if split is not None]
        labels = [split.targets.tobytes().hex() + split.present.tobytes().hex() for split in splits]
        return [self.classes, self.descriptors.phrases, labels, *(split.pictures.fingerprint() for split in splits)]

    @property
    def shown(self) -> tuple[str, ...]:
        """What is told of one by one: every label; of two exclusive classes the last, of more none."""
        if not self.exclusive:
            return self.classes
        return self.classes[1:] if len(self.classes) == 2 else ()
