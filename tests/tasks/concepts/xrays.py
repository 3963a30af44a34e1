"""Chest X-rays in the shape of NIH's and MIMIC's sets, opened; and what holds of all parts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.config.options import Config, defaults, read
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.data import ConceptsDataset
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.task import open_data

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,View Position"
KINDS = ("No Finding", "Effusion", "Effusion|Edema", "Hernia", "No Finding", "Mass|Pleural_Thickening")
PATIENTS = 24
# Name, labels, patient and view of two images of every patient; the second may show something else.
LINES = [
    (
        f"{patient:08}_{number:03}.png",
        KINDS[(patient + (number and patient % 3 == 0)) % len(KINDS)],
        str(patient),
        "AP" if number else "PA",
    )
    for patient in range(PATIENTS)
    for number in range(2)
]
SHOWN = {name: labels.split("|") for name, labels, *_ in LINES}


def of_xrays(images: Path, tables: Path) -> Config:
    made = defaults(ConceptsOptions)
    made.data.kind, made.data.images, made.data.tables = "xrays", str(images), str(tables)
    return made


def nih(root: Path) -> Config:
    """Of a folder in the shape of NIH's; no image can be decoded."""
    folder = root / "films"
    folder.mkdir()
    for name in SHOWN:
        (folder / name).write_text(name)
    rows = [f"{name},{labels},0,{patient},{view}" for name, labels, patient, view in LINES]
    (root / "labels.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return of_xrays(folder, root / "labels.csv")


def open_concepts(config: Config) -> ConceptsDataset:
    """No patient is in two parts, and a CLIP is pretrained on the training patients' images alone."""
    data = open_data(read(ConceptsOptions, config))
    parts = [part.pictures for part in (data.train, data.validation, data.test) if part is not None]
    assert data.tally.used == sum(map(len, parts)) == data.tally.found - sum(data.tally.skipped.values())
    train, test = set(data.train.patients or ()), set(data.test.patients or ())
    assert train and test and not train & test
    assert train <= set(data.trained_on) and not set(data.trained_on) & test
    for part in (data.train, data.test):
        assert part.targets.shape == (len(part.pictures), len(data.classes)) and part.targets.dtype == np.float32
        assert part.present.shape == (len(part.pictures), len(data.descriptors.phrases))
        assert part.present.dtype == np.bool_
        for held, phrases in zip(part.present, part.phrases, strict=True):
            # What is said may be more than the model knows, and never less.
            known = {normalise_name(data.descriptors.phrases[concept]) for concept in np.flatnonzero(held)}
            said = {normalise_name(phrase) for phrase in phrases}
            assert known == said & set(map(normalise_name, data.descriptors.phrases))
    return data


def names(studies) -> list[str]:
    return [studies[row]["name"] for row in range(len(studies))]


def rows_of(data: ConceptsDataset) -> Iterator[tuple[str, list[float], np.ndarray]]:
    """Name, targets and present descriptors of every image to train and to test on."""
    for part in (data.train, data.test):
        yield from zip(names(part.pictures), part.targets.tolist(), part.present, strict=True)


def refused(config: Config) -> str:
    with pytest.raises(UserError) as error:
        open_concepts(config)
    assert "\n" not in str(error.value)
    return str(error.value)
