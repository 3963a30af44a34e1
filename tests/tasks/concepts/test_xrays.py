"""Chest X-rays of a config: parts that share no patient, targets, and the descriptors that labels stand for."""

import json

import pytest

from ecor_jax.config.options import Config
from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.vocabulary import normalise_name
from tests.tasks.concepts.xrays import LINES, PATIENTS, SHOWN, names, nih, open_concepts, refused, rows_of


@pytest.fixture
def config(tmp_path) -> Config:
    return nih(tmp_path)


def test_parts_hold_the_images_of_exactly_one_class(config):
    data = open_concepts(config)
    assert data.classes == ("No Finding", "Effusion")
    wanted = {name for name, labels in SHOWN.items() if set(labels) & {"No Finding", "Effusion"}}
    assert sorted(name for name, *_ in rows_of(data)) == sorted(wanted)
    for name, target, _ in rows_of(data):
        assert target == [float("No Finding" in SHOWN[name]), float("Effusion" in SHOWN[name])]


def test_several_findings_keep_every_image(config):
    config.data.single_label, config.data.findings = False, "effusion, Mass,Pleural_Thickening"
    data = open_concepts(config)
    assert data.classes == ("effusion", "Mass", "Pleural_Thickening")
    assert sorted(name for name, *_ in rows_of(data)) == sorted(SHOWN)
    for name, target, _ in rows_of(data):
        assert target == [float(one in SHOWN[name]) for one in ("Effusion", "Mass", "Pleural_Thickening")]


def test_a_clip_is_pretrained_on_all_images_of_the_training_patients(config):
    """Hernias are neither class, but a CLIP may be pretrained on them; the test patients' are not for that."""
    data = open_concepts(config)
    assert data.captions is not None
    pictures, _ = data.captions
    assert set(names(pictures)) == {name for name, _, patient, _ in LINES if patient in data.trained_on}
    assert "hernia" in pictures.categories
    assert set(data.test.patients) < {patient for _, _, patient, _ in LINES} - set(data.trained_on)


def test_the_split_depends_on_its_own_seed_alone(config):
    first = open_concepts(config)
    config.seed = 7
    assert names(open_concepts(config).test.pictures) == names(first.test.pictures)
    config.data.seed = 1
    assert set(open_concepts(config).test.patients) != set(first.test.patients)


def test_a_validation_part_is_of_training_patients_and_leaves_the_test_alone(config):
    before = open_concepts(config)
    config.data.validation = "0.25"
    data = open_concepts(config)
    assert data.validation is not None and before.validation is None
    assert names(data.test.pictures) == names(before.test.pictures)
    parts = [set(part.patients or ()) for part in (data.train, data.validation, data.test)]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts))
    assert not parts[1] & set(data.trained_on), "nor is a CLIP pretrained on them"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_share_is_of_the_patients(config, share):
    config.data.test = share
    data = open_concepts(config)
    # Rounded among those with an effusion and those without.
    assert abs(PATIENTS - len(set(data.trained_on)) - share * PATIENTS) <= 1
    assert data.test.targets[:, 1].sum() > 0 and data.train.targets[:, 1].sum() > 0


def test_views(config):
    config.data.views = " PA "
    data = open_concepts(config)
    assert set(data.train.pictures.views) | set(data.test.pictures.views) == {"PA"}


def test_images_that_are_listed_but_missing(config, tmp_path):
    gone = list(SHOWN)[:13]
    for name in gone:
        (tmp_path / "films" / name).unlink()
    message = refused(config)
    assert "names 13 images that do not exist: 00000000_000, 00000000_001" in message and "3 more" in message
    config.data.on_missing = "skip"
    data = open_concepts(config)
    assert not {name for name, *_ in rows_of(data)} & set(gone)
    assert sum("no such image" in line for line in data.tally.lines) == 13


def test_a_findings_descriptors_hold_where_it_is_there(config):
    data = open_concepts(config)
    assert data.descriptors == Descriptors.from_file(XRAYS)
    groups = [data.descriptors.groups[group] for group in data.descriptors.group_of]
    for name, _, present in rows_of(data):
        shown = set(map(normalise_name, SHOWN[name]))
        assert present.tolist() == [group in shown for group in groups], name
    edema = [group == "edema" for group in groups]
    assert data.train.present[:, edema].any() and data.test.present[:, edema].any()


def test_descriptors_of_ones_own(config, tmp_path):
    config.data.single_label, config.data.findings = False, "Effusion,Pleural_Thickening"
    config.concepts.descriptors = str(tmp_path / "own.json")
    groups = {"EFFUSION": ["fluid", "a blunt angle"], "Flu": ["fever", "cough"], "pleural-thickening": ["a", "b"]}
    (tmp_path / "own.json").write_text(json.dumps({"groups": groups}))
    data = open_concepts(config)
    assert data.descriptors.phrases == ("fluid", "a blunt angle", "fever", "cough", "a", "b")
    for name, _, present in rows_of(data):
        effusion, thick = "Effusion" in SHOWN[name], "Pleural_Thickening" in SHOWN[name]
        assert present.tolist() == [effusion] * 2 + [False] * 2 + [thick] * 2
    (tmp_path / "own.json").write_text(json.dumps({"groups": {"lungs": ["clear", "dense"], "Effusion": ["a", "b"]}}))
    expected = "no group of descriptors is called 'Pleural_Thickening', as a finding of data.findings is; there are: "
    assert refused(config) == f"{expected}lungs, Effusion"


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
    ("data.test", 0.0, "films: no official split; set data.test to the share of the patients to test on"),
    ("data.validation", "0", "data.validation is 0.0; expected a share"),
    ("data.validation", "1.5", "data.validation is 1.5; expected a share"),
    ("data.validation", "validate", "no image of the split 'validate' (data.validation)"),
    ("data.uncertain", "maybe", "uncertain is 'maybe'; expected one of drop, zeros, ones"),
    ("data.on_missing", "pass", "on_missing is 'pass'; expected one of error, skip"),
    ("data.views", "LL", "has no image of view 'LL'; there are: AP, PA"),
    ("concepts.source", "reports", "films: no image to train on has a report; set data.reports to their folder"),
    ("concepts.statements", "s.jsonl", "statements is set, but concepts.source is 'labels'; expected 'reports'"),
]


@pytest.mark.parametrize(("option", "value", "expected"), OPTIONS)
def test_an_option_out_of_range(config, option, value, expected):
    group, name = option.split(".")
    config[group][name] = value
    assert expected in refused(config)


def test_several_findings_are_at_least_one(config):
    config.data.single_label, config.data.findings = False, ","
    assert refused(config) == "data.findings names nothing; expected at least one"
