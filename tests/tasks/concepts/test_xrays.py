"""Chest X-rays of a config: parts that share no patient, targets, and the descriptors that hold."""

import csv
import gzip
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.config import Config
from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.options import defaults, read
from ecor_jax.tasks.concepts.data import ConceptsDataset, open_data
from ecor_jax.tasks.concepts.options import ConceptsOptions

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,View Position"
KINDS = ("No Finding", "Effusion", "Effusion|Edema", "Hernia", "No Finding", "Mass|Pleural_Thickening")
PATIENTS = 24


def lines() -> list[tuple[str, str, str, str]]:
    """Name, labels, patient and view of two images of every patient; the second may show something else."""
    found = []
    for patient in range(PATIENTS):
        for number in range(2):
            labels = KINDS[(patient + (number and patient % 3 == 0)) % len(KINDS)]
            found.append((f"{patient:08}_{number:03}.png", labels, str(patient), "AP" if number else "PA"))
    return found


LINES = lines()


@pytest.fixture
def config(tmp_path) -> Config:
    """Of a folder in the shape of NIH's; no image can be decoded."""
    folder = tmp_path / "films"
    folder.mkdir()
    for name, *_ in LINES:
        (folder / name).write_text(name)
    rows = [f"{name},{labels},0,{patient},{view}" for name, labels, patient, view in LINES]
    (tmp_path / "labels.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    made = defaults(ConceptsOptions)
    made.data.kind = "xrays"
    made.data.images, made.data.tables = str(folder), str(tmp_path / "labels.csv")
    return made


def open_concepts(config: Config) -> ConceptsDataset:
    return open_data(read(ConceptsOptions, config))


def names(studies) -> list[str]:
    return [studies[row]["name"] for row in range(len(studies))]


def check_parts(data: ConceptsDataset) -> None:
    """No patient is in two parts, and a CLIP is pretrained on the training patients' images alone."""
    train, test = set(data.train.patients), set(data.test.patients)
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


def refused(config: Config) -> str:
    with pytest.raises(UserError) as error:
        open_concepts(config)
    assert "\n" not in str(error.value)
    return str(error.value)


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
    assert data.descriptors == Descriptors.from_json(XRAYS)
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


# Descriptors out of reports

EFFUSION, CLEAR = "There is a small left pleural effusion. No pneumothorax.", "The lungs are clear. No pneumothorax."


def cxr(mimic_tree, reports: list[str], *, split=lambda patient: "train", views=("PA",)) -> list:
    """A patient with one study for each report; every other one has an effusion."""
    pictures = []
    for patient, report in enumerate(reports):
        labels = {"Pleural Effusion": 1.0} if patient % 2 else {"No Finding": 1.0}
        for number, view in enumerate(views):
            pictures.append(
                mimic_tree.Picture(
                    10_000_000 + patient, 50_000_000 + patient, f"{patient:02}{number}", b"", view, split(patient),
                    labels, report and mimic_tree.as_report(report, ""),
                )
            )  # fmt: skip
    return pictures


def of_reports(mimic_tree, root: Path, pictures, least: int = 1, most: int = 100) -> Config:
    mimic_tree.write_tree(root, pictures)
    config = defaults(ConceptsOptions)
    config.data.kind = "xrays"
    config.data.images = config.data.tables = str(root)
    config.data.findings = "No Finding,Pleural Effusion"
    config.concepts.source, config.concepts.least, config.concepts.most = "reports", least, most
    return config


def last_quarter(patient: int) -> str:
    return "train" if patient < 12 else "test"


def official(config: Config) -> Config:
    config.data.test = 0.0
    return config


def test_descriptors_are_what_reports_say_is_there_and_what_is_not(mimic_tree, tmp_path):
    reports = [CLEAR, EFFUSION] * 6 + [CLEAR, EFFUSION, "Possible pneumonia. No pneumothorax.", ""]
    config = official(of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, reports, split=last_quarter)))
    data = open_concepts(config)
    check_parts(data)
    words = data.descriptors.as_groups()
    assert {group: set(phrases) for group, phrases in words.items()} == {
        "pleura": {"no pneumothorax", "small left pleural effusion"},
        "lungs": {"clear lungs"},
    }
    held = [{data.descriptors.phrases[c] for c in np.flatnonzero(row)} for row in data.train.present]
    expected = [{"clear lungs", "no pneumothorax"}, {"small left pleural effusion", "no pneumothorax"}]
    assert held == expected * 6
    tested = [{data.descriptors.phrases[c] for c in np.flatnonzero(row)} for row in data.test.present]
    # What is in doubt holds not; nor does anything where there is no report.
    assert tested == [*expected, {"no pneumothorax"}, set()]


def test_doubts_and_what_only_test_patients_have_are_no_descriptors(mimic_tree, tmp_path):
    reports = [f"{CLEAR} Possible pneumonia.", EFFUSION] * 6 + ["Calcified granuloma.", "Severe cardiomegaly."] * 2
    config = official(of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, reports, split=last_quarter)))
    data = open_concepts(config)
    assert set(data.descriptors.phrases) == {"clear lungs", "no pneumothorax", "small left pleural effusion"}
    assert data.train.present.any(axis=0).all() and not data.test.present.any()


def test_how_many_and_how_frequent(mimic_tree, tmp_path):
    # In 12, 6, 6, 3 and 1 of the training patients' reports.
    reports = [CLEAR, EFFUSION] * 6 + [CLEAR, EFFUSION] * 2
    for patient in (0, 4, 8):
        reports[patient] += " Calcified granuloma."
    reports[2] += " Scoliosis."
    expected = ["no pneumothorax", "clear lungs", "small left pleural effusion", "calcified granuloma", "scoliosis"]
    pictures = cxr(mimic_tree, reports, split=last_quarter)
    for least, count in ((1, 5), (2, 4), (3, 4), (4, 3), (6, 3), (7, 1), (12, 1)):
        config = official(of_reports(mimic_tree, tmp_path / "m", pictures, least))
        assert set(open_concepts(config).descriptors.phrases) == set(expected[:count]), least
    for most, count in ((1, 1), (3, 3), (4, 4), (5, 5), (9, 5)):
        config = official(of_reports(mimic_tree, tmp_path / "m", pictures, 1, most))
        assert set(open_concepts(config).descriptors.phrases) == set(expected[:count]), most


def test_where_no_descriptor_is_frequent_enough(mimic_tree, tmp_path):
    config = of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, [CLEAR, EFFUSION] * 4), least=9)
    assert "reports, no descriptor stands in 9; set concepts.least lower" in refused(config)


@pytest.mark.parametrize("report", ["", "INDICATION: cough.", " \n ___ \n"])
def test_reports_that_say_nothing(mimic_tree, tmp_path, report):
    pictures = cxr(mimic_tree, [CLEAR, EFFUSION] * 4)
    for picture in pictures[:4]:
        picture.report = report
    config = of_reports(mimic_tree, tmp_path / "m", pictures)
    data = open_concepts(config)
    check_parts(data)
    counts = {
        name: int(row.sum())
        for part in (data.train, data.test)
        for name, row in zip(names(part.pictures), part.present, strict=True)
    }
    assert [counts[picture.path] for picture in pictures] == [0] * 4 + [2] * 4
    for picture in pictures:
        picture.report = report
    message = refused(of_reports(mimic_tree, tmp_path / "n", pictures))
    assert "no descriptor stands in 1; set" in message if report else "no image to train on has a report" in message


def test_both_images_of_a_study_have_its_report(mimic_tree, tmp_path):
    pictures = cxr(mimic_tree, [CLEAR, EFFUSION] * 4, views=("PA", "LATERAL"))
    data = open_concepts(of_reports(mimic_tree, tmp_path / "m", pictures))
    check_parts(data)
    assert len(data.train.pictures) + len(data.test.pictures) == 16
    for part in (data.train, data.test):
        studies = [name.rpartition("/")[0] for name in names(part.pictures)]
        for study in set(studies):
            rows = part.present[[one == study for one in studies]]
            assert len(rows) == 2 and (rows[0] == rows[1]).all() and rows[0].any()


def test_a_report_counts_once_however_many_images_it_has(mimic_tree, tmp_path):
    """`concepts.least` is a number of reports."""
    reports = [CLEAR, EFFUSION] * 4
    reports[0] += " Scoliosis."
    pictures = cxr(mimic_tree, reports, split=lambda patient: "train" if patient < 6 else "test", views=("PA", "AP"))
    data = open_concepts(official(of_reports(mimic_tree, tmp_path / "m", pictures, least=2)))
    assert set(data.descriptors.phrases) == {"clear lungs", "no pneumothorax", "small left pleural effusion"}


def test_two_spellings_of_a_descriptor_do_not_stop_a_run(mimic_tree, tmp_path):
    """Open-I has both."""
    reports = ["Well expanded lungs.", EFFUSION, "Well-expanded lungs.", EFFUSION] * 3
    data = open_concepts(of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, reports)))
    check_parts(data)
    clear = [concept for concept, phrase in enumerate(data.descriptors.phrases) if "expanded" in phrase]
    for part in (data.train, data.test):
        np.testing.assert_array_equal(part.present[:, clear].any(axis=1), part.targets[:, 0] == 1)


def test_a_descriptor_is_spelled_as_most_reports_spell_it(mimic_tree, tmp_path):
    reports = ["Well-expanded lungs.", "Well expanded lungs.", "Well-expanded lungs.", "Well-expanded lungs."] * 2
    # One of the four training reports has it in two words: neither spelling is in all four, both together are.
    pictures = cxr(mimic_tree, reports, split=lambda patient: "train" if patient < 4 else "test")
    data = open_concepts(official(of_reports(mimic_tree, tmp_path / "m", pictures, least=4)))
    assert data.descriptors.phrases == ("well-expanded lungs",)
    assert data.train.present.all() and data.test.present.all()
    assert [list(phrases) for phrases in data.test.phrases] == [[text.lower()[:-1]] for text in reports[4:]]


def test_what_the_model_does_not_know_is_still_said(mimic_tree, tmp_path):
    reports = [CLEAR, EFFUSION] * 7 + [f"{CLEAR} Scoliosis.", EFFUSION]
    data = open_concepts(official(of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, reports, split=last_quarter))))
    assert "scoliosis" not in data.descriptors.phrases
    assert set(data.test.phrases[2]) == {"clear lungs", "no pneumothorax", "scoliosis"}


def test_sections(mimic_tree, tmp_path):
    pictures = cxr(mimic_tree, [CLEAR, EFFUSION] * 4)
    for picture in pictures:
        picture.report = mimic_tree.as_report("The lungs are clear.", "Scoliosis.")
    config = of_reports(mimic_tree, tmp_path / "m", pictures)
    for sections, phrases in (("findings+impression", {"clear lungs", "scoliosis"}), ("last", {"scoliosis"})):
        config.concepts.sections = sections
        assert set(open_concepts(config).descriptors.phrases) == phrases


def write_statements(path: Path, pictures, *, leave_out: int = 0) -> Path:
    """As a language model may have found them: not what the rules would."""
    lines = []
    for number, picture in enumerate(pictures[leave_out:]):
        found = [{"text": f"sign {number % 2}", "status": "absent", "group": "heart"}]
        found += [{"text": "doubt", "status": "uncertain", "group": "lungs"}]
        name = str(Path(picture.path).parent)
        lines.append(json.dumps({"name": name, "statements": found}))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_statements_of_a_language_model_take_the_place_of_the_rules(mimic_tree, tmp_path):
    pictures = cxr(mimic_tree, [CLEAR, EFFUSION] * 6)
    config = of_reports(mimic_tree, tmp_path / "m", pictures)
    config.concepts.statements = str(write_statements(tmp_path / "statements.jsonl", pictures))
    data = open_concepts(config)
    check_parts(data)
    assert {group: set(found) for group, found in data.descriptors.as_groups().items()} == {
        "heart": {"no sign 0", "no sign 1"}
    }
    for part in (data.train, data.test):
        # Patients with an effusion and those without take turns, as the signs do.
        column = data.descriptors.phrases.index("no sign 1")
        np.testing.assert_array_equal(part.present[:, column], part.targets[:, 1] == 1)
    write_statements(tmp_path / "statements.jsonl", pictures, leave_out=11)
    message = refused(config)
    assert f"{config.concepts.statements}: no statements of " in message and "files/p10/p10000000/s50000000" in message
    config.concepts.statements = "/nowhere.jsonl"
    assert "/nowhere.jsonl: cannot be read" in refused(config)


def test_statements_are_of_reports(config):
    config.concepts.statements = "statements.jsonl"
    assert refused(config) == "concepts.statements is set, but concepts.source is 'labels'; expected 'reports'"


def test_descriptors_need_no_more_than_one_in_a_group(mimic_tree, tmp_path):
    config = of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, ["The lungs are clear.", "Scoliosis."] * 4))
    assert open_concepts(config).descriptors.as_groups() == {"lungs": ["clear lungs"], "bones": ["scoliosis"]}


# MIMIC's own labels and split


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


def test_no_official_split(mimic, config):
    Path(mimic.data.tables, "mimic-cxr-2.0.0-split.csv.gz").unlink()
    for made in (mimic, config):
        expected = "no official split; set data.test to the share of the patients to test on"
        assert refused(official(made)) == f"{made.data.images}: {expected}"


def test_an_official_test_part_without_any_of_the_classes(mimic, tmp_path):
    def alter(header, rows):
        return [header, *([*row[:3], "test" if row[2] == "10000003" else "train"] for row in rows)]

    change(mimic, "split", alter)
    assert "none of 3 images is left for No Finding, Pleural Effusion" in refused(official(mimic))


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
    assert sum("no such image" in line for line in data.left_out) == 13


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
