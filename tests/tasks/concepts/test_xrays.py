"""Chest X-rays of a config: parts that share no patient, targets, and the descriptors that labels stand for."""

import json
from pathlib import Path

import pytest

from ecor_jax.config.options import Config
from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.vocabulary import normalise_name
from tests.tasks.concepts.xrays import LINES, PATIENTS, check_parts, names, nih, open_concepts, refused


@pytest.fixture
def config(tmp_path) -> Config:
    return nih(tmp_path)


# Parts and targets


def test_parts_hold_the_images_of_exactly_one_class_and_share_no_patient(config):
    data = open_concepts(config)
    check_parts(data)
    assert data.classes == ("No Finding", "Effusion")
    found = names(data.train.pictures) + names(data.test.pictures)
    table = {name: labels.split("|") for name, labels, *_ in LINES}
    wanted = {name for name, labels in table.items() if set(labels) & {"No Finding", "Effusion"}}
    assert sorted(found) == sorted(wanted)
    for part in (data.train, data.test):
        for name, target in zip(names(part.pictures), part.targets.tolist(), strict=True):
            assert target == [float("No Finding" in table[name]), float("Effusion" in table[name])]


def test_a_clip_is_pretrained_on_all_images_of_the_training_patients(config):
    """Hernias are neither class, but a CLIP may be pretrained on them; the test patients' are not for that."""
    data = open_concepts(config)
    patients = set(data.trained_on)
    assert data.captions is not None
    pictures, _ = data.captions
    assert set(names(pictures)) == {name for name, _, patient, _ in LINES if patient in patients}
    assert "hernia" in pictures.categories
    left = {patient for _, _, patient, _ in LINES} - patients
    assert set(data.test.patients) < left


def test_the_split_depends_on_its_own_seed_alone(config):
    first = open_concepts(config)
    config.seed = 7
    assert names(open_concepts(config).test.pictures) == names(first.test.pictures)
    config.data.seed = 1
    other = open_concepts(config)
    check_parts(other)
    assert set(other.test.patients) != set(first.test.patients)


def test_a_validation_part_is_of_training_patients_and_leaves_the_test_alone(config):
    before = open_concepts(config)
    config.data.validation = "0.25"
    data = open_concepts(config)
    check_parts(data)
    assert data.validation is not None and before.validation is None
    assert names(data.test.pictures) == names(before.test.pictures)
    parts = [set(part.patients or ()) for part in (data.train, data.validation, data.test)]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts))
    assert not parts[1] & set(data.trained_on), "nor is a CLIP pretrained on them"
    for share in ("0", "1.5"):
        config.data.validation = share
        assert refused(config).startswith(f"data.validation is {float(share)}; expected a share")
    config.data.validation = "validate"
    assert "no image of the split 'validate' (data.validation)" in refused(config)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_share_is_of_the_patients(config, share):
    config.data.test = share
    data = open_concepts(config)
    check_parts(data)
    # Rounded among those with an effusion and those without.
    assert abs(PATIENTS - len(set(data.trained_on)) - share * PATIENTS) <= 1
    assert data.test.targets[:, 1].sum() > 0 and data.train.targets[:, 1].sum() > 0


def test_several_findings_keep_every_image(config):
    config.data.single_label, config.data.findings = False, "effusion, Mass,Pleural_Thickening"
    data = open_concepts(config)
    check_parts(data)
    assert data.classes == ("effusion", "Mass", "Pleural_Thickening")
    assert len(data.train.pictures) + len(data.test.pictures) == len(LINES)
    table = {name: labels.split("|") for name, labels, *_ in LINES}
    for part in (data.train, data.test):
        for name, target in zip(names(part.pictures), part.targets.tolist(), strict=True):
            assert target == [float(one in table[name]) for one in ("Effusion", "Mass", "Pleural_Thickening")]


def test_views(config):
    config.data.views = " PA "
    data = open_concepts(config)
    check_parts(data)
    assert set(data.train.pictures.views) | set(data.test.pictures.views) == {"PA"}


# Descriptors that labels stand for


def test_a_findings_descriptors_hold_where_it_is_there(config):
    data = open_concepts(config)
    assert data.descriptors == Descriptors.from_file(XRAYS)
    table, held = {name: labels.split("|") for name, labels, *_ in LINES}, 0
    for part in (data.train, data.test):
        for row, name in enumerate(names(part.pictures)):
            shown = {normalise_name(label) for label in table[name]}
            for concept, group in enumerate(data.descriptors.group_of):
                expected = data.descriptors.groups[group] in shown
                assert part.present[row, concept] == expected, (name, data.descriptors.phrases[concept])
                held += expected
    assert held > 0
    edema = [concept for concept, g in enumerate(data.descriptors.group_of) if data.descriptors.groups[g] == "edema"]
    assert data.train.present[:, edema].any() and data.test.present[:, edema].any()


def own_descriptors(config: Config, tmp_path: Path, groups: object) -> Config:
    (tmp_path / "own.json").write_text(json.dumps({"groups": groups}))
    config.concepts.descriptors = str(tmp_path / "own.json")
    return config


def test_descriptors_of_ones_own(config, tmp_path):
    groups = {"EFFUSION": ["fluid", "a blunt angle"], "Flu": ["fever", "cough"], "pleural-thickening": ["a", "b"]}
    config.data.single_label, config.data.findings = False, "Effusion,Pleural_Thickening"
    data = open_concepts(own_descriptors(config, tmp_path, groups))
    check_parts(data)
    table = {name: labels.split("|") for name, labels, *_ in LINES}
    assert data.descriptors.phrases == ("fluid", "a blunt angle", "fever", "cough", "a", "b")
    for row, name in enumerate(names(data.train.pictures)):
        effusion, thick = "Effusion" in table[name], "Pleural_Thickening" in table[name]
        assert data.train.present[row].tolist() == [effusion] * 2 + [False] * 2 + [thick] * 2
    assert data.train.present[:, 4].any()


def test_a_finding_without_descriptors(config, tmp_path):
    groups = {"lungs": ["clear", "dense"], "No Finding": ["big", "small"]}
    assert refused(own_descriptors(config, tmp_path, groups)) == (
        "no group of descriptors is called 'Effusion', as a finding of data.findings is; there are: lungs, No Finding"
    )


def test_images_that_are_listed_but_missing(config, tmp_path):
    gone = [name for name, *_ in LINES[:13]]
    for name in gone:
        (tmp_path / "films" / name).unlink()
    message = refused(config)
    assert "names 13 images that do not exist: 00000000_000, 00000000_001" in message and "3 more" in message
    config.data.on_missing = "skip"
    data = open_concepts(config)
    check_parts(data)
    assert not set(names(data.train.pictures) + names(data.test.pictures)) & set(gone)
    assert sum("no such image" in line for line in data.tally.lines) == 13


# Options


OPTIONS = [
    ("data.images", "", "--config.data.images is not set: expected a path"),
    ("data.tables", "", "--config.data.tables is not set: expected a path"),
    ("data.images", "/nowhere", "/nowhere"),
    ("data.tables", "/nowhere.csv", "/nowhere.csv"),
    ("data.reports", "/nowhere", "is one table, as NIH's: expected no path to reports, found /nowhere"),
    ("data.findings", "", "data.findings names nothing; expected two: what is not there, and the finding"),
    ("data.findings", " , ", "data.findings names nothing; expected two"),
    ("data.findings", "Effusion", "data.findings names Effusion; expected two"),
    ("data.findings", "No Finding,Effusion,Mass", "data.findings names No Finding, Effusion, Mass; expected two"),
    ("data.findings", "Effusion,effusion", "found the findings Effusion, effusion; expected at least one, each once"),
    ("data.test", 1.0, "data.test is 1.0; expected a share of the patients"),
    ("data.uncertain", "maybe", "uncertain is 'maybe'; expected one of drop, zeros, ones"),
    ("data.on_missing", "pass", "on_missing is 'pass'; expected one of error, skip"),
    ("data.views", "LL", "has no image of view 'LL'; there are: AP, PA"),
]


@pytest.mark.parametrize(("option", "value", "expected"), OPTIONS)
def test_an_option_out_of_range(config, option, value, expected):
    group, name = option.split(".")
    config[group][name] = value
    assert expected in refused(config)


def test_several_findings_are_at_least_one(config):
    config.data.single_label, config.data.findings = False, ","
    assert refused(config) == "data.findings names nothing; expected at least one"


def test_reports_where_there_are_none(config):
    config.concepts.source = "reports"
    assert (
        refused(config) == f"{config.data.images}: no image to train on has a report; set data.reports to their folder"
    )


def test_statements_are_of_reports(config):
    config.concepts.statements = "statements.jsonl"
    assert refused(config) == "concepts.statements is set, but concepts.source is 'labels'; expected 'reports'"
