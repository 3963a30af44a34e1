"""Reader for NIH ChestX-ray14: one table of labels mined from reports, with one row per image."""

from pathlib import Path, PurePosixPath

import numpy as np

from ecor_jax.data.files import Files
from ecor_jax.data.tables import read_table
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.studies import (
    NEGATIVE,
    POSITIVE,
    UNMENTIONED,
    OnMissing,
    Studies,
    images_by_key,
    keep_existing,
)

COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "View Position")
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
    "No Finding",
)


def open_nih(files: Files, table: Path, on_missing: OnMissing = "error") -> Studies:
    """Opens the images that the table lists, in its order, each found by its file name, ignoring folder and suffix.

    Labels are POSITIVE or NEGATIVE; all are UNMENTIONED if the cell of labels is empty. The data set has no reports,
    and this table names no splits. Raises UserError as `open_studies` does.
    """
    rows: dict[str, tuple[str, str, list[int]]] = {}
    for line, row in read_table(table, COLUMNS):
        name, labels, patient, view = (row[column] for column in COLUMNS)
        stem = PurePosixPath(name).stem
        if not (stem and patient):
            raise UserError(
                f"{table}, line {line}: found {name!r} of patient {patient!r}; expected an image and its id"
            )
        if stem in rows:
            raise UserError(f"{table}, line {line}: {name} was listed before")
        rows[stem] = patient, view, _labels(labels, f"{table}, line {line}")
    if not rows:
        raise UserError(f"{table} lists no images")
    existing = images_by_key(files, lambda member: PurePosixPath(member).stem)
    kept, left_out = keep_existing(table, rows, existing, str, on_missing)
    patients, views, labels = zip(*(rows[stem] for stem in kept), strict=True)
    nothing = ("",) * len(kept)
    return Studies(
        files,
        tuple(existing[stem] for stem in kept),
        patients,
        views,
        FINDINGS,
        np.asarray(labels, np.int8),
        splits=nothing,
        report_names=nothing,
        report_files=files,
        left_out=tuple(left_out),
    )


def _labels(cell: str, where: str) -> list[int]:
    named = {name.strip() for name in cell.split("|")}
    if not cell:
        return [UNMENTIONED] * len(FINDINGS)
    if unknown := sorted(named - set(FINDINGS)):
        raise UserError(f"{where}: found the label {', '.join(map(repr, unknown))}; expected {', '.join(FINDINGS)}")
    return [POSITIVE if name in named else NEGATIVE for name in FINDINGS]
