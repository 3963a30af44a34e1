"""Chest X-rays of MIMIC: its own labels, which may be in doubt, and its own split."""

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.config.options import Config
from tests.tasks.concepts.xrays import names, of_xrays, open_concepts, refused


def write_descriptors(path: Path, *findings: str) -> None:
    path.write_text(json.dumps({"groups": {name: [f"{name} one", f"{name} two"] for name in findings}}))


@pytest.fixture
def mimic(mimic_tree, tmp_path) -> Config:
    """Sixteen patients, of whom a quarter has an effusion in doubt and a quarter is not labelled; labels speak."""
    mimic_tree.write_tree(tmp_path / "mimic", mimic_tree.synthetic(16))
    config = of_xrays(tmp_path / "mimic", tmp_path / "mimic")
    config.data.findings = "No Finding,Pleural Effusion"
    config.concepts.descriptors = str(tmp_path / "own.json")
    write_descriptors(tmp_path / "own.json", "Pleural Effusion", "no finding")
    return config


@pytest.mark.parametrize(("policy", "doubtful"), [("drop", math.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_of_several_findings_a_label_in_doubt_is_not_known(mimic, tmp_path, policy, doubtful):
    mimic.data.single_label, mimic.data.findings, mimic.data.uncertain = False, "Edema,Pleural Effusion", policy
    write_descriptors(tmp_path / "own.json", "pleural effusion", "edema")
    data = open_concepts(mimic)
    # By kind of patient; of the last kind the table says nothing at all.
    kinds = {0: [0, 1], 1: [0, 0], 2: [1, doubtful]}
    held = {0: [True, False], 1: [False, False], 2: [policy == "ones", True]}
    for part in (data.train, data.test):
        own = [int(patient) % 4 for patient in part.patients]
        np.testing.assert_array_equal(part.targets, np.array([kinds[kind] for kind in own], np.float32))
        np.testing.assert_array_equal(part.present, np.repeat([held[kind] for kind in own], 2, axis=1))
    assert len(data.train.pictures) + len(data.test.pictures) == 36


@pytest.mark.parametrize("patients", [2, 6, 8])
def test_some_of_the_patients(mimic, patients):
    every = open_concepts(mimic)
    mimic.data.patients = patients
    data = open_concepts(mimic)
    drawn = set(data.train.patients) | set(data.test.patients)
    # Only those who have an image of one of the classes; all of their images, and nobody else's for pretraining.
    assert len(drawn) == patients and drawn <= set(every.train.patients) | set(every.test.patients)
    assert set(data.trained_on) == set(data.train.patients)
    assert names(open_concepts(mimic).train.pictures) == names(data.train.pictures)
    if patients < 8:
        mimic.data.seed = 3
        other = open_concepts(mimic)
        assert set(other.train.patients) | set(other.test.patients) != drawn


def test_more_patients_than_there_are(mimic):
    mimic.data.patients = 9
    assert refused(mimic) == "data.patients is 9; expected 0 (all) to 8"


def test_the_official_split(mimic, mimic_tree):
    """Whatever the seed; where there is none, or it has none of the classes to test on, the run is refused."""
    mimic.data.seed, mimic.data.test = 5, 0.0
    path = Path(mimic.data.tables) / "mimic-cxr-2.0.0-split.csv.gz"
    header, *rows = csv.reader(gzip.decompress(path.read_bytes()).decode().splitlines())

    def split(parts: dict[str, str]) -> None:
        mimic_tree.write_table(path, [header, *([*row[:3], parts.get(row[2], "train")] for row in rows)])

    split({"10000000": "validate", "10000001": "validate"} | {f"100000{n}": "test" for n in range(12, 16)})
    data = open_concepts(mimic)
    # Of every four patients the first two are of one of the classes; the last four are the test's already.
    assert set(data.train.patients) == {str(10_000_000 + patient) for patient in (4, 5, 8, 9)}
    assert set(data.test.patients) == {"10000012", "10000013"}
    assert set(data.trained_on) == {str(10_000_000 + patient) for patient in range(2, 12)}
    split({"10000003": "test"})
    assert "none of 3 images is left for No Finding, Pleural Effusion" in refused(mimic)
    path.unlink()
    expected = "no official split; set data.test to the share of the patients to test on"
    assert refused(mimic) == f"{mimic.data.images}: {expected}"
