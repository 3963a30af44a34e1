"""Images of studies with what is known of them: patient, view, labels, report."""

import functools
from collections.abc import Sequence

import numpy as np

from ecor_jax.data.files import Files, read_text
from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import normalise_name

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
"""What a table says of a finding in an image; the first three are CheXpert's own codes."""


class Studies(Source):
    """N images with F findings; `open_studies` reads them from tables.

    The category of a record is its positive findings in the order of `findings`, normalised and joined by "|"
    ("edema|pleural effusion", "no finding"); '' where there is none. Its name is the image's path.
    """

    patients: tuple[str, ...]
    """Of each image the patient's id."""
    views: tuple[str, ...]
    """Of each image the view as its table has it: PA, AP, LATERAL, MIMIC's left laterals LL; '' if unknown."""
    splits: tuple[str, ...]
    """Of each image its part in the official split; '' where there is none."""
    findings: tuple[str, ...]
    """The label columns, spelled as in their table."""
    labels: np.ndarray
    """int8 [N, F]: POSITIVE, NEGATIVE, UNCERTAIN or UNMENTIONED."""
    left_out: tuple[str, ...]
    """A line for every image or row of a table that found no partner and is no part of this."""

    def __init__(
        self,
        files: Files,
        members: Sequence[str],
        *,
        patients: Sequence[str],
        views: Sequence[str],
        findings: Sequence[str],
        labels: np.ndarray,
        splits: Sequence[str] = (),
        report_files: Files | None = None,
        report_paths: Sequence[str] = (),
        left_out: Sequence[str] = (),
    ):
        """Splits and reports may be left out; an empty report path stands for no report."""
        self.origin = str(files.path)
        self.patients, self.views = tuple(patients), tuple(views)
        self.splits = tuple(splits) or ("",) * len(members)
        self.findings, self.labels = tuple(findings), np.asarray(labels, np.int8)
        self.left_out = tuple(left_out)
        self._files, self._members = files, tuple(members)
        self._report_files, self._report_paths = report_files, tuple(report_paths) or ("",) * len(members)
        names = tuple(map(normalise_name, self.findings))
        self._categories = tuple(
            "|".join(name for name, label in zip(names, row, strict=True) if label == POSITIVE)
            for row in self.labels.tolist()
        )

    @property
    def categories(self) -> tuple[str, ...]:
        return self._categories

    @property
    def names(self) -> tuple[str, ...]:
        """Of each image its record's name, known without reading it."""
        return self._members

    @property
    def report_names(self) -> tuple[str, ...]:
        """Of each image the path of its study's report; '' where there is none."""
        return self._report_paths

    @functools.cached_property
    def reports(self) -> tuple[str, ...]:
        """Of each image the raw text of its study's report, '' where there is none.

        Read when first asked for (a selection reads its own only), each report once. Raises UserError naming one
        that cannot be read.
        """
        texts = {"": ""}
        for path in self._report_paths:
            if path not in texts:
                assert self._report_files is not None
                texts[path] = read_text(self._report_files, path)
        return tuple(texts[path] for path in self._report_paths)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Studies":
        """Some of the images, by their rows, in the order given."""
        rows = np.asarray(rows, np.int64)

        def of(values: tuple[str, ...]) -> list[str]:
            return [values[row] for row in rows]

        return Studies(
            self._files,
            of(self._members),
            patients=of(self.patients),
            views=of(self.views),
            findings=self.findings,
            labels=self.labels[rows],
            splits=of(self.splits),
            report_files=self._report_files,
            report_paths=of(self._report_paths),
            left_out=self.left_out,
        )

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> Record:
        member = self._members[index]
        return Record(image=self._files.read(member), category=self._categories[index], rationales=(), name=member)
