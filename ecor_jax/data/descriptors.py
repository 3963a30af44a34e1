"""The descriptors of a concept bottleneck, organised in groups and read from a file of concepts."""

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
"""120 phrases in the 19 components of FISWG's feature list; the phrases were written for this project."""

XRAYS = Path(__file__).with_name("xray_descriptors.json")
"""55 phrases in groups named after the labels of NIH ChestX-ray14; the phrases were written for this project."""


@dataclasses.dataclass(frozen=True)
class Descriptors:
    """Phrases in the order of the file; phrase i belongs to the group `groups[group_of[i]]`."""

    phrases: tuple[str, ...]
    groups: tuple[str, ...]
    group_of: tuple[int, ...]

    @classmethod
    def from_file(cls, path: str | Path) -> "Descriptors":
        """Reads `{"groups": {group: [phrase, ...]}}`; other keys of the object are ignored.

        The other forms of `concept_sets` are accepted too: the classes of {class: [phrase, ...]} become the groups, and
        a list without classes becomes one group. Raises UserError if the file is unreadable or of another form, if a
        group has fewer than two descriptors (its softmax would be constant), or if a descriptor is empty or repeated.
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
        """Builds descriptors from {group: [phrase, ...]}, with the checks of `from_file`.

        origin: names the content in errors. least: the minimum number of descriptors per group; 1 if there is no
        softmax within groups. repeated: whether two groups may share a descriptor.
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
        """Builds descriptors from groups of single-line texts without checking them; groups may share descriptors."""
        return cls(
            phrases=tuple(phrase.strip() for phrases in groups.values() for phrase in phrases),
            groups=tuple(groups),
            group_of=tuple(row for row, phrases in enumerate(groups.values()) for _ in phrases),
        )

    def prompts(self, template: str) -> list[str]:
        """Returns the template filled with every descriptor for {d} and its group for {c}."""
        pairs = zip(self.phrases, self.group_of, strict=True)
        return [template.replace("{c}", self.groups[group]).replace("{d}", phrase) for phrase, group in pairs]

    def as_groups(self) -> dict[str, list[str]]:
        """Returns {group: [phrase, ...]}, the input of `from_groups`."""
        return {
            group: [phrase for phrase, of in zip(self.phrases, self.group_of, strict=True) if of == row]
            for row, group in enumerate(self.groups)
        }

    def scrambled(self, seed: int) -> "Descriptors":
        """Replaces every word by random letters of the same length, to test whether the words matter; keeps the groups.

        This is the control of WaffleCLIP (Roth et al. 2023), applied to a bottleneck.
        """
        rng = np.random.default_rng(seed)
        letters = np.array(list(string.ascii_lowercase))
        words = [["".join(rng.choice(letters, len(word))) for word in phrase.split()] for phrase in self.phrases]
        return dataclasses.replace(self, phrases=tuple(map(" ".join, words)))
