"""Descriptors in groups: the concepts of a bottleneck, read from one JSON file."""

import dataclasses
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import JsonObject, distinct

FACES = Path(__file__).with_name("face_descriptors.json")
"""120 phrases in the 19 components of FISWG's feature list; the phrases are ours."""

XRAYS = Path(__file__).with_name("xray_descriptors.json")
"""55 phrases in groups named as the labels of NIH ChestX-ray14; the phrases are ours."""


@dataclasses.dataclass(frozen=True)
class Descriptors:
    """`phrases` in the order of the file; `group_of[i]` is the row in `groups` of phrase i."""

    phrases: tuple[str, ...]
    groups: tuple[str, ...]
    group_of: tuple[int, ...]

    @classmethod
    def from_file(cls, path: str | Path) -> "Descriptors":
        """Reads `{"groups": {group: [phrase, ...]}}`; whatever stands beside "groups" is for readers.

        Other forms of `concept_sets` do as well: of {class: [phrase, ...]} the classes are the groups, a list without
        classes is one group. UserError for a file that is unreadable or of another form, a group of fewer than two
        descriptors (its softmax would always be one), an empty or a repeated descriptor.
        """
        path = Path(path)
        content = read_concepts(path)
        if not isinstance(content, JsonObject):
            return cls.from_groups({"descriptors": content}, str(path))
        try:
            groups = distinct(content)
            if "groups" in groups:
                groups = distinct(groups["groups"]) if isinstance(groups["groups"], JsonObject) else {}
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        if not groups:
            raise UserError(f'{path}: expected {{"groups": {{group: [descriptor, ...]}}}}')
        return cls.from_groups(groups, str(path))

    @classmethod
    def from_groups(
        cls, groups: dict[str, list[str]], origin: str, least: int = 2, *, repeated: bool = False
    ) -> "Descriptors":
        """As `from_file`, of what the file holds; `origin` names it in errors.

        least: descriptors a group needs; 1 where there is no softmax within groups. repeated: two groups may have the
        same descriptor.
        """
        seen: dict[str, str] = {}
        for group, phrases in groups.items():
            seen = {} if repeated else seen
            if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
                raise UserError(f"{origin}: group {group!r} is not a list of texts")
            if len(phrases) < least:
                raise UserError(f"{origin}: group {group!r} has {len(phrases)} descriptors; expected at least {least}")
            for phrase in phrases:
                key = normalise_name(phrase)
                if not key:
                    raise UserError(f"{origin}: group {group!r} has an empty descriptor")
                if not phrase.strip().isprintable():
                    raise UserError(f"{origin}: group {group!r} has {phrase!r}; expected text of one line")
                if key in seen:
                    raise UserError(f"{origin}: {phrase!r} stands in {seen[key]!r} and again in {group!r}")
                seen[key] = group
        return cls.of_classes(groups)

    @classmethod
    def of_classes(cls, groups: Mapping[str, Sequence[str]]) -> "Descriptors":
        """Of groups that are known to be texts of one line; two groups may have the same."""
        return cls(
            phrases=tuple(phrase.strip() for phrases in groups.values() for phrase in phrases),
            groups=tuple(groups),
            group_of=tuple(row for row, phrases in enumerate(groups.values()) for _ in phrases),
        )

    def prompts(self, template: str) -> list[str]:
        """What the text tower reads: the template with a descriptor for {d} and its group for {c}."""
        return [
            template.replace("{c}", self.groups[group]).replace("{d}", phrase)
            for phrase, group in zip(self.phrases, self.group_of, strict=True)
        ]

    def as_groups(self) -> dict[str, list[str]]:
        """`from_groups` of it gives this again."""
        return {
            group: [phrase for phrase, of in zip(self.phrases, self.group_of, strict=True) if of == row]
            for row, group in enumerate(self.groups)
        }

    def scrambled(self, seed: int) -> "Descriptors":
        """Random letters in the place of every word, groups and lengths kept: do the words matter at all?

        The control of WaffleCLIP (Roth et al. 2023), applied to a bottleneck.
        """
        rng = np.random.default_rng(seed)
        letters = np.array(list(string.ascii_lowercase))

        def scramble(phrase: str) -> str:
            return " ".join("".join(rng.choice(letters, len(word))) for word in phrase.split())

        return dataclasses.replace(self, phrases=tuple(map(scramble, self.phrases)))
