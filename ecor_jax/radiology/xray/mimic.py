"""Reader for MIMIC-CXR-JPG: images and reports by patient and study, and tables keyed by (subject_id, study_id)."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
from absl import logging

from ecor_jax.data.files import Files
from ecor_jax.data.tables import TABLE_SUFFIXES, Row, read_table
from ecor_jax.errors import UserError, some_of
from ecor_jax.radiology.xray.patient_split import check_no_overlap
from ecor_jax.radiology.xray.studies import (
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    UNMENTIONED,
    OnMissing,
    Studies,
    images_by_key,
    keep_existing,
    left_out,
)

StudyKey = tuple[str, str]
"""subject_id and study_id."""
ImageKey = tuple[str, str, str]
"""subject_id, study_id and dicom_id."""

_IDS = ("subject_id", "study_id")
_CODES = {"1": POSITIVE, "0": NEGATIVE, "-1": UNCERTAIN, "": UNMENTIONED}
_IMAGE = re.compile(r"(?:^|/)p(\d+)/s(\d+)/([^/]+)\.[^./]+$")
_REPORT = re.compile(r"(?:^|/)p(\d+)/s(\d+)\.txt$")


def open_mimic(files: Files, tables: Path, report_files: Files, on_missing: OnMissing = "error") -> Studies:
    """Opens the images in the table `metadata`, in its order, with their study's labels (table `chexpert`) and split.

    Images are files p<subject>/s<study>/<dicom> with any suffix, reports are p<subject>/s<study>.txt, at any depth.
    Images of studies that `chexpert` lacks are skipped (the published tables have some); images that `split` lacks are
    kept, with split ''. Raises UserError as `open_studies` does.
    """
    label_table, image_table = _table(tables, "chexpert"), _table(tables, "metadata")
    if not (label_table and image_table):
        needed = "mimic-cxr-2.0.0-{chexpert,split,metadata}.csv or .csv.gz"
        raise UserError(f"{tables} has no table of {'metadata' if label_table else 'chexpert'}: expected {needed}")
    findings, studies = _read_labels(label_table)
    views = _read_images(image_table, "ViewPosition")
    existing = images_by_key(files, _image_key)
    present, lines = keep_existing(image_table, views, existing, _path, on_missing)
    kept = [key for key in present if key[:2] in studies]
    if not kept:
        wanted = _path(next(iter(studies)))
        raise UserError(
            f"no row of {image_table} joins one of {label_table} on subject_id and study_id: "
            f"found {len(present)} images ({_path(present[0])}) and {len(studies)} studies ({wanted})"
        )
    lines += left_out(label_table, "its study has no labels", [_path(key) for key in present if key[:2] not in studies])
    imaged = {key[:2] for key in views}
    lines += left_out(image_table, "a study without images", [_path(key) for key in studies if key not in imaged])
    splits, unmatched = _read_splits(tables, views)
    texts = {match.groups(): text for text in report_files.texts if (match := _REPORT.search(text))}
    logging.info("%s: %d of %d images have a report", files.path, sum(key[:2] in texts for key in kept), len(kept))
    return Studies(
        files,
        tuple(existing[key] for key in kept),
        tuple(subject for subject, _, _ in kept),
        tuple(views[key] for key in kept),
        findings,
        np.asarray([studies[key[:2]] for key in kept], np.int8),
        splits=tuple(splits.get(key, "") for key in kept),
        report_names=tuple(texts.get(key[:2], "") for key in kept),
        report_files=report_files,
        left_out=(*lines, *unmatched),
    )


def _table(folder: Path, kind: str) -> Path | None:
    """Returns the table of this kind, in any version; None if there is none."""
    paths = sorted(path for suffix in TABLE_SUFFIXES for path in folder.glob(f"mimic-cxr-*-{kind}{suffix}"))
    if len(paths) > 1:
        raise UserError(
            f"{folder} has {len(paths)} tables of {kind}, {paths[0].name} and {paths[1].name}: expected one"
        )
    return paths[0] if paths else None


def _read_labels(table: Path) -> tuple[tuple[str, ...], dict[StudyKey, list[int]]]:
    """Returns the names of the label columns, and the code in each column for each study."""
    findings: tuple[str, ...] = ()
    studies: dict[StudyKey, list[int]] = {}
    for line, row in read_table(table, _IDS):
        where = f"{table}, line {line}"
        findings = findings or tuple(column for column in row if column and column not in _IDS)
        if not findings:
            raise UserError(f"{table} has no label columns; its columns are: {', '.join(row)}")
        key = _study_key(row, where)
        if key in studies:
            raise UserError(f"{where}: the study {_path(key)} was given before")
        studies[key] = [_code(row[finding], f"{where}, {finding}") for finding in findings]
    if not studies:
        raise UserError(f"{table} lists no studies")
    return findings, studies


def _read_images(table: Path, column: str) -> dict[ImageKey, str]:
    """Returns the cell of each image in this column."""
    images: dict[ImageKey, str] = {}
    for line, row in read_table(table, (*_IDS, "dicom_id", column)):
        key = (*_study_key(row, f"{table}, line {line}"), row["dicom_id"])
        if key in images:
            raise UserError(f"{table}, line {line}: the image {_path(key)} was given before")
        images[key] = row[column]
    if not images:
        raise UserError(f"{table} lists no images")
    return images


def _read_splits(tables: Path, views: dict[ImageKey, str]) -> tuple[dict[ImageKey, str], list[str]]:
    """Returns the split of each image, and a message for each image that is not in `views`."""
    table = _table(tables, "split")
    if table is None:
        logging.warning("%s has no table of split: no image is in an official split", tables)
        return {}, []
    splits = _read_images(table, "split")
    patients: dict[str, list[str]] = {}
    for (subject, _, _), split in splits.items():
        patients.setdefault(split, []).append(subject)
    for first, second in combinations(sorted(patients), 2):
        check_no_overlap(patients[first], patients[second], where=f"{table}, {first} and {second}")
    if lacking := [_path(key) for key in views if key not in splits]:
        logging.warning("%s: %d images are in no split: %s", table, len(lacking), some_of(lacking))
    return splits, left_out(table, "no such image in metadata", [_path(key) for key in splits if key not in views])


def _study_key(row: Row, where: str) -> StudyKey:
    subject, study = (row[column] for column in _IDS)
    if not (subject.isdecimal() and study.isdecimal()):
        raise UserError(f"{where}: found subject_id {subject!r} and study_id {study!r}; expected two numbers")
    return subject, study


def _code(cell: str, where: str) -> int:
    code = _CODES.get(cell.removesuffix(".0"))
    if code is None:
        raise UserError(f"{where}: found {cell!r}; expected 1.0, 0.0, -1.0 or nothing")
    return code


def _image_key(member: str) -> ImageKey | None:
    match = _IMAGE.search(member)
    return (match[1], match[2], match[3]) if match else None


def _path(key: tuple[str, ...]) -> str:
    """Returns the ids as in paths: p10000032/s50414267, and the image if there is one."""
    return "/".join((f"p{key[0]}", f"s{key[1]}", *key[2:]))
