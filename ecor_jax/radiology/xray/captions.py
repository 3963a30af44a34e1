"""Captions for chest X-rays with labels but no reports: the name of a finding, or a descriptor of it."""

from collections.abc import Iterator, Sequence

import numpy as np

from ecor_jax.data.captions import Captions
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.records import Labels, Record, Source
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError

NAME_SHARE = 0.25
"""Share of captions that contain only the name of the finding."""
NAME_TEMPLATES = ("{finding}", "chest x-ray with {finding}")
DESCRIPTOR_TEMPLATES = ("{descriptor}", "{finding}: {descriptor}", "chest x-ray with {descriptor}")


class OneFinding(Source):
    """A source with one record for each finding of each image, with the finding as category.

    Categories of `source` are findings joined by "|". Images without any of `findings` (normalised) are skipped.
    """

    def __init__(self, source: Source, findings: Sequence[str]):
        self._source, self.origin = source, source.origin
        known = set(map(normalise_name, findings))
        pairs = [
            (image, finding)
            for image, category in enumerate(source.categories)
            for finding in category.split("|")
            if finding in known
        ]
        if not pairs:
            raise UserError(f"{source.origin}: no image has one of the findings {', '.join(findings)}")
        self._images, self.categories = zip(*pairs, strict=True)

    def __getitem__(self, index: int) -> Record:
        return {**self._source[self._images[index]], "category": self.categories[index]}


class StudyCaptions(Captions):
    """Captions with the name of a record's finding, a descriptor of that finding, or both.

    The descriptors of a finding are the group of `descriptors` with its name.
    """

    def __init__(self, descriptors: Descriptors):
        self._groups = {normalise_name(group): phrases for group, phrases in descriptors.as_groups().items()}

    def __call__(self, record: Labels, rng: np.random.Generator) -> str:
        finding = record["category"]
        if rng.random() < NAME_SHARE:
            return NAME_TEMPLATES[rng.integers(len(NAME_TEMPLATES))].format(finding=finding)
        phrases = self._groups[finding]
        template = DESCRIPTOR_TEMPLATES[rng.integers(len(DESCRIPTOR_TEMPLATES))]
        return template.format(finding=finding, descriptor=phrases[rng.integers(len(phrases))])

    def corpus(self) -> Iterator[str]:
        for finding, phrases in self._groups.items():
            yield from (template.format(finding=finding) for template in NAME_TEMPLATES)
            for phrase in phrases:
                yield from (template.format(finding=finding, descriptor=phrase) for template in DESCRIPTOR_TEMPLATES)
