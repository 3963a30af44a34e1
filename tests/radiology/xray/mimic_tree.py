"""Folders of the shape of MIMIC-CXR-JPG, for tests only.

What is in them is not MIMIC: pictures are synthetic and reports are made up. Nothing measured on them is a result.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.toys import encoded

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture"),
    *("Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax"),
    "Support Devices",
)
"""The columns of the chexpert table, in its order."""


@dataclass
class Picture:
    """One image, its study's labels and report (the same for all images of a study)."""

    subject: int
    study: int
    dicom: str
    content: bytes
    view: str = "PA"
    split: str = "train"
    labels: dict[str, float] = field(default_factory=dict)
    report: str = ""
    suffix: str = "jpg"

    @property
    def path(self) -> str:
        return f"files/p{str(self.subject)[:2]}/p{self.subject}/s{self.study}/{self.dicom}.{self.suffix}"


def write_tree(root: Path, pictures: Sequence[Picture], *, gzipped: bool = True) -> Path:
    """Images, reports and the three tables, all below `root`, which is returned. Tables lie at its top."""
    for picture in pictures:
        path = root / picture.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.content)
        if picture.report:
            path.parent.with_suffix(".txt").write_text(picture.report)
    studies = {(picture.subject, picture.study): picture for picture in pictures}
    labels = [[*key, *(picture.labels.get(name, "") for name in FINDINGS)] for key, picture in studies.items()]
    described = ["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows"]
    shown = [[image.dicom, image.subject, image.study, "CHEST (PA AND LAT)", image.view, 3056] for image in pictures]
    splits = [[image.dicom, image.study, image.subject, image.split] for image in pictures]
    tables = {
        "chexpert": [["subject_id", "study_id", *FINDINGS], *labels],
        "metadata": [described, *shown],
        "split": [["dicom_id", "study_id", "subject_id", "split"], *splits],
    }
    for kind, rows in tables.items():
        write_table(root / f"mimic-cxr-2.0.0-{kind}.csv{'.gz' if gzipped else ''}", rows)
    return root


def write_table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """A table, gzipped where its name says so."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def synthetic(patients: int = 8, *, suffix: str = "jpg") -> list[Picture]:
    """Two studies of each patient, the first with two views, the second with one; noise, brighter where there is fluid.

    Of every four patients the first has an effusion, the second nothing, the third an effusion that is uncertain and
    an edema, the fourth a study of which the table says nothing. The last eighth is the test split.
    """
    rng = np.random.default_rng(0)
    kinds: list[tuple[dict[str, float], str]] = [
        ({"Pleural Effusion": 1.0, "Pneumothorax": 0.0}, "There is a small left pleural effusion. No pneumothorax."),
        ({"No Finding": 1.0}, "The lungs are clear. The heart is normal in size."),
        ({"Pleural Effusion": -1.0, "Edema": 1.0}, "Mild pulmonary edema. A small effusion cannot be excluded."),
        ({}, ""),
    ]
    pictures = []
    for patient in range(patients):
        labels, findings = kinds[patient % 4]
        split = "test" if patient >= patients - max(1, patients // 8) else "train"
        report = as_report(findings, "") if findings else ""
        for number, views in enumerate((("PA", "LATERAL"), ("AP",))):
            subject, study = 10_000_000 + patient, 50_000_000 + 2 * patient + number
            for view in views:
                pixels = rng.integers(0, 128, (32, 24), np.uint8)
                pixels[20:] += 100 if "Pleural Effusion" in labels else 0
                dicom, content = hashlib.sha1(f"{study} {view}".encode()).hexdigest(), encoded(pixels, "JPEG")
                pictures.append(Picture(subject, study, dicom, content, view, split, labels, report, suffix))
    return pictures


def as_report(findings: str, impression: str) -> str:
    """A text of the shape of MIMIC's reports."""
    sections = {"FINDINGS": findings, "IMPRESSION": impression}
    body = "".join(f" {name}: \n \n {text}\n \n" for name, text in sections.items() if text)
    return f"{' ' * 33}FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n{body}"
