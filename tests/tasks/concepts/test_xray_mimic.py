"""Chest X-rays of MIMIC: its own labels, which may be in doubt, and its own split."""

import csv
import gzip
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions
from tests.tasks.concepts.xrays import check_parts, names, nih, official, open_concepts, refused


@pytest.fixture
def mimic(mimic_tree, tmp_path) -> Config:
    """Sixteen patients, of whom a quarter has an effusion in doubt and a quarter is not labelled; labels speak."""
    mimic_tree.write_tree(tmp_path / "mimic", mimic_tree.synthetic(16))
    config = defaults(ConceptsOptions)
    config.data.kind = "xrays"
    config.data.images = config.data.tables = str(tmp_path / "mimic")
    config.data.findings = "No Finding,Pleural Effusion"
    config.concepts.descriptors = str(tmp_path / "own.json")
    groups = {"Pleural Effusion": ["fluid", "a blunt angle"], "no finding": ["clear", "sharp"]}
    (tmp_path / "own.json").write_text(json.dumps({"groups": groups}))
    return config


def change(config: Config, kind: str, alter) -> Path:
    """Rewrites a table as `alter(header, rows)` says."""
    path = Path(config.data.tables) / f"mimic-cxr-2.0.0-{kind}.csv.gz"
    header, *rows = csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
    text = io.StringIO()
    csv.writer(text).writerows(alter(header, rows))
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    return path


@pytest.mark.parametrize(("policy", "count"), [("drop", 24), ("zeros", 24), ("ones", 36)])
def test_uncertain_labels(mimic, policy, count):
    mimic.data.uncertain = policy
    data = open_concepts(mimic)
    check_parts(data)
    # Three images of each patient; effusions in doubt are of neither class unless they count as there.
    assert len(data.train.pictures) + len(data.test.pictures) == count
    positive = sum(int(part.targets[:, 1].sum()) for part in (data.train, data.test))
    assert positive == (24 if policy == "ones" else 12)


def test_of_several_findings_a_label_in_doubt_is_not_known(mimic, tmp_path):
    mimic.data.single_label, mimic.data.findings = False, "Edema,Pleural Effusion"
    groups = {"pleural effusion": ["fluid", "a blunt angle"], "edema": ["wet", "vessels"]}
    (tmp_path / "own.json").write_text(json.dumps({"groups": groups}))
    rows = {"drop": math.nan, "zeros": 0.0, "ones": 1.0}
    for policy, doubtful in rows.items():
        mimic.data.uncertain = policy
        data = open_concepts(mimic)
        check_parts(data)
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
    check_parts(data)
    drawn = set(data.train.patients) | set(data.test.patients)
    # Only those who have an image of one of the classes; all of their images, and nobody else's for pretraining.
    assert len(drawn) == patients and drawn <= set(every.train.patients) | set(every.test.patients)
    assert set(data.trained_on) == set(data.train.patients)
    again = open_concepts(mimic)
    assert names(again.train.pictures) == names(data.train.pictures)
    if patients < 8:
        mimic.data.seed = 3
        other = open_concepts(mimic)
        assert set(other.train.patients) | set(other.test.patients) != drawn


def test_more_patients_than_there_are(mimic):
    mimic.data.patients = 9
    assert refused(mimic) == "data.patients is 9; expected 0 (all) to 8"


def test_the_official_split(mimic):
    parts = {"10000000": "validate", "10000001": "validate", "10000012": "test", "10000013": "test"}
    change(mimic, "split", lambda header, rows: [header, *([*row[:3], parts.get(row[2], row[3])] for row in rows)])
    mimic.data.seed = 5  # of no account here
    data = open_concepts(official(mimic))
    check_parts(data)
    # Of every four patients the first two are of one of the classes; the last two are the test's already.
    expected = {str(10_000_000 + patient) for patient in (4, 5, 8, 9)}
    assert set(data.train.patients) == expected
    assert set(data.test.patients) == {"10000012", "10000013"}
    assert set(data.trained_on) == {str(10_000_000 + patient) for patient in (*range(2, 12),)}


def test_no_official_split(mimic, tmp_path):
    Path(mimic.data.tables, "mimic-cxr-2.0.0-split.csv.gz").unlink()
    for made in (mimic, nih(tmp_path)):
        expected = "no official split; set data.test to the share of the patients to test on"
        assert refused(official(made)) == f"{made.data.images}: {expected}"


def test_an_official_test_part_without_any_of_the_classes(mimic, tmp_path):
    def alter(header, rows):
        return [header, *([*row[:3], "test" if row[2] == "10000003" else "train"] for row in rows)]

    change(mimic, "split", alter)
    assert "none of 3 images is left for No Finding, Pleural Effusion" in refused(official(mimic))
