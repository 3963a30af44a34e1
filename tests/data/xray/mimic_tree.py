"""Folders of the shape of MIMIC-CXR-JPG, for tests only.

What is in them is not MIMIC: pictures are synthetic, or NIH's; reports are made up, or Open-I's, put beside pictures
of other people because their findings have the same name. Nothing that is measured on such a folder is a result.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
"""The columns of the chexpert table, in its order."""

_OF_NIH = {
    "Effusion": "Pleural Effusion",
    "Infiltration": "Lung Opacity",
    "Mass": "Lung Lesion",
    "Nodule": "Lung Lesion",
    "Pleural_Thickening": "Pleural Other",
}


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
    write_table(
        root,
        "chexpert",
        ["subject_id", "study_id", *FINDINGS],
        [[*key, *(picture.labels.get(name, "") for name in FINDINGS)] for key, picture in studies.items()],
        gzipped,
    )
    write_table(
        root,
        "metadata",
        ["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns"],
        [[one.dicom, one.subject, one.study, "CHEST (PA AND LAT)", one.view, 3056, 2544] for one in pictures],
        gzipped,
    )
    write_table(
        root,
        "split",
        ["dicom_id", "study_id", "subject_id", "split"],
        [[one.dicom, one.study, one.subject, one.split] for one in pictures],
        gzipped,
    )
    return root


def write_table(root: Path, kind: str, header: Sequence[str], rows: Sequence[Sequence[Any]], gzipped: bool) -> Path:
    """One table of the three."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([header, *rows])
    path = root / f"mimic-cxr-2.0.0-{kind}.csv{'.gz' if gzipped else ''}"
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if gzipped else content)
    return path


def synthetic(
    patients: int = 8, *, encode: Callable[[np.ndarray], bytes] | None = None, suffix: str = "jpg"
) -> list[Picture]:
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
        for number, views in enumerate((("PA", "LATERAL"), ("AP",))):
            subject, study = 10_000_000 + patient, 50_000_000 + 2 * patient + number
            for view in views:
                pixels = rng.integers(0, 128, (32, 24), np.uint8)
                pixels[20:] += 100 if "Pleural Effusion" in labels else 0
                pictures.append(
                    Picture(
                        subject,
                        study,
                        hashlib.sha1(f"{study} {view}".encode()).hexdigest(),
                        (encode or jpeg)(pixels),
                        view,
                        "test" if patient >= patients - max(1, patients // 8) else "train",
                        labels,
                        as_report(findings, "") if findings else "",
                        suffix,
                    )
                )
    return pictures


def of_nih_and_openi(data: Path, most: int = 1000) -> list[Picture]:
    """Up to `most` of NIH's pictures; their NIH patients and labels in MIMIC's terms, with texts of Open-I.

    An image is a study. A text is one whose MeSH terms name a finding of the image (or that is "normal"), none where
    there is no such text. The last patients, some 15 %, are the test split.
    """
    with gzip.open(data / "xray" / "openi_reports.csv.gz", "rt", encoding="utf-8", newline="") as file:
        texts = [row for row in csv.DictReader(file) if row["findings"] or row["impression"]]
    with open(data / "xray" / "nih_labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:most]
    patients = sorted({int(row["Patient ID"]) for row in rows})
    tested = set(patients[len(patients) * 85 // 100 :])
    pictures = []
    with ZipFile(data / "xray" / "nih_subset.zip") as archive:
        for number, row in enumerate(rows):
            named = row["Finding Labels"].split("|")
            words = [name.lower().replace("_", " ").replace("no finding", "normal") for name in named]
            fitting = [text for text in texts if any(word in text["mesh"].lower() for word in words)]
            text = fitting[number % len(fitting)] if fitting else None
            pictures.append(
                Picture(
                    10_000_000 + int(row["Patient ID"]),
                    50_000_000 + number,
                    hashlib.sha1(row["Image Index"].encode()).hexdigest(),
                    archive.read(row["Image Index"]),
                    row["View Position"],
                    "test" if int(row["Patient ID"]) in tested else "train",
                    {name: 1.0 for name in (_OF_NIH.get(name, name) for name in named) if name in FINDINGS},
                    as_report(text["findings"], text["impression"]) if text else "",
                )
            )
    return pictures


def as_report(findings: str, impression: str) -> str:
    """A text of the shape of MIMIC's reports; what was taken out for privacy is `___`."""
    parts = {"FINDINGS": findings, "IMPRESSION": impression}
    body = "".join(f" {name}: \n \n {text}\n \n" for name, text in parts.items() if text)
    return f"{' ' * 33}FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n{body}".replace("XXXX", "___")


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 [height, width] as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()
