"""Images of studies with what is known of them: patient, view, labels, report; and how tables join image files."""

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
"""What a table says of a finding in an image; the first three are CheXpert's own codes."""


@dataclasses.dataclass(eq=False)
class Studies(LabelledFiles):
    """N images with F findings; `open_studies` reads them from tables.

    The category of a record is its positive findings in the order of `findings`, normalised and joined by "|"
    ("edema|pleural effusion", "no finding"); '' where there is none. Its name is the image's path.
    """

    files: Files
    members: tuple[str, ...]
    """Of each image its path in `files`."""
    patients: tuple[str, ...]
    """Of each image the patient's id."""
    views: tuple[str, ...]
    """Of each image the view as its table has it: PA, AP, LATERAL, MIMIC's left laterals LL; '' if unknown."""
    findings: tuple[str, ...]
    """The label columns, spelled as in their table."""
    labels: np.ndarray
    """int8 [N, F]: POSITIVE, NEGATIVE, UNCERTAIN or UNMENTIONED."""
    splits: tuple[str, ...]
    """Of each image its part in the official split; '' where there is none."""
    report_names: tuple[str, ...]
    """Of each image the path of its study's report in `report_files`; '' where there is none."""
    report_files: Files
    left_out: tuple[str, ...]
    """A line for every image or row of a table that found no partner and is no part of this."""

    def __post_init__(self):
        names = [normalise_name(finding) for finding in self.findings]
        categories = [
            "|".join(name for name, label in zip(names, labels, strict=True) if label == POSITIVE)
            for labels in self.labels.tolist()
        ]
        super().__init__(self.files, self.members, categories)

    @functools.cached_property
    def reports(self) -> tuple[str, ...]:
        """Of each image the raw text of its study's report, '' where there is none.

        Read when first asked for (a selection reads its own only), each report once. Raises UserError naming one
        that cannot be read.
        """
        names = set(self.report_names) - {""}
        texts = {"": "", **{name: read_text(self.report_files, name) for name in sorted(names)}}
        return tuple(texts[name] for name in self.report_names)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Studies":
        """Some of the images, by their indices, in the order given."""
        indices = np.asarray(indices, np.int64)
        columns = ("members", "patients", "views", "splits", "report_names")
        taken = {name: tuple(getattr(self, name)[index] for index in indices) for name in columns}
        return dataclasses.replace(self, **taken, labels=self.labels[indices])


def images_by_key(files: Files, key_of: Callable[[str], Key | None]) -> dict[Key, str]:
    """The members by their keys; those without a key are passed over. Raises UserError for two of one key."""
    members: dict[Key, str] = {}
    for member in files.members:
        if (key := key_of(member)) is not None and members.setdefault(key, member) != member:
            raise UserError(f"{files.path} has two images of one name, {members[key]} and {member}")
    return members


def keep_existing(
    where: Path, listed: Iterable[Key], existing: dict[Key, str], name_of: Callable[[Key], str], on_missing: OnMissing
) -> tuple[list[Key], list[str]]:
    """The listed images that exist, and a line for each that does not, or exists and is not listed.

    Raises UserError for listed images that are missing (all counted, ten named), unless `on_missing` is "skip" and
    some exist; and for an `on_missing` that is neither.
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
    """A line for each name, giving the reason; their count and the first ten are logged."""
    if names:
        logging.warning("%s: %d left out (%s): %s", where, len(names), reason, some_of(names))
    return [f"{name}: {reason} ({where.name})" for name in names]
