"""`Studies`, a source of X-ray images with patient, view, labels and report; and the matching of tables and files."""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from absl import logging

from ecor_jax.data.files import Files, raise_missing, read_text
from ecor_jax.data.labelled_list import LabelledFiles
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError, some_of

OnMissing = Literal["error", "skip"]
Key = TypeVar("Key", bound=Hashable)

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
"""The label of a finding in an image; the first three are CheXpert's own codes."""


@dataclasses.dataclass(eq=False)
class Studies(LabelledFiles):
    """N images with F findings; `open_studies` reads them from tables.

    The category of a record is its positive findings in the order of `findings`, normalised and joined by "|"
    ("edema|pleural effusion", "no finding"); '' if there is none. Its name is the path of the image.
    """

    files: Files
    members: tuple[str, ...]
    """The path of each image in `files`."""
    patients: tuple[str, ...]
    """The patient id of each image."""
    views: tuple[str, ...]
    """The view of each image as in its table: PA, AP, LATERAL, LL (MIMIC's left lateral); '' if unknown."""
    findings: tuple[str, ...]
    """The label columns, spelled as in their table."""
    labels: np.ndarray
    """int8 [N, F]: POSITIVE, NEGATIVE, UNCERTAIN or UNMENTIONED."""
    splits: tuple[str, ...]
    """The official split of each image; '' if there is none."""
    report_names: tuple[str, ...]
    """The path of the report of each image's study in `report_files`; '' if there is none."""
    report_files: Files
    left_out: tuple[str, ...]
    """A message for every image or row of a table that has no counterpart and is skipped."""

    def __post_init__(self):
        names = [normalise_name(finding) for finding in self.findings]
        categories = [
            "|".join(name for name, label in zip(names, labels, strict=True) if label == POSITIVE)
            for labels in self.labels.tolist()
        ]
        super().__init__(self.files, self.members, categories)

    @functools.cached_property
    def reports(self) -> tuple[str, ...]:
        """Returns the raw text of the report of each image's study, '' if there is none.

        Reports are read on first access, each once; after `take`, only those of the selected images. Raises UserError
        naming a report that cannot be read.
        """
        names = set(self.report_names) - {""}
        texts = {"": "", **{name: read_text(self.report_files, name) for name in sorted(names)}}
        return tuple(texts[name] for name in self.report_names)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Studies":
        """Returns a subset of the images, given by indices, in that order."""
        indices = np.asarray(indices, np.int64)
        columns = ("members", "patients", "views", "splits", "report_names")
        taken = {name: tuple(getattr(self, name)[index] for index in indices) for name in columns}
        return dataclasses.replace(self, **taken, labels=self.labels[indices])


def images_by_key(files: Files, key_of: Callable[[str], Key | None]) -> dict[Key, str]:
    """Returns {key: member}, without members that have no key. Raises UserError if two members have the same key."""
    members: dict[Key, str] = {}
    for member in files.members:
        if (key := key_of(member)) is not None and members.setdefault(key, member) != member:
            raise UserError(f"{files.path} has two images of one name, {members[key]} and {member}")
    return members


def keep_existing(
    where: Path, listed: Iterable[Key], existing: dict[Key, str], name_of: Callable[[Key], str], on_missing: OnMissing
) -> tuple[list[Key], list[str]]:
    """Returns the listed images that exist, and a message for each missing or unlisted image.

    Raises UserError, with their number and ten names, if listed images are missing, unless `on_missing` is "skip" and
    some exist. Also raises it if `on_missing` is invalid.
    """
    if on_missing not in get_args(OnMissing):
        raise UserError(f"on_missing is {on_missing!r}; expected one of {', '.join(get_args(OnMissing))}")
    listed = dict.fromkeys(listed)
    kept = [key for key in listed if key in existing]
    missing = [name_of(key) for key in listed if key not in existing]
    if on_missing == "error" or not kept:
        raise_missing(str(where), missing)
    unlisted = [member for key, member in existing.items() if key not in listed]
    return kept, [
        *left_out(where, "no such image", missing),
        *left_out(where, "an image that it does not list", unlisted),
    ]


def left_out(where: Path, reason: str, names: Sequence[str]) -> list[str]:
    """Returns a message with the reason for each name, and logs the number of names and the first ten."""
    if names:
        logging.warning("%s: %d left out (%s): %s", where, len(names), reason, some_of(names))
    return [f"{name}: {reason} ({where.name})" for name in names]
