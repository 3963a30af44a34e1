"""The descriptors of chest X-rays that are found in their reports."""

import json
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions
from tests.tasks.concepts.xrays import check_parts, names, official, open_concepts, refused

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
    config.concepts.source, config.concepts.min_reports, config.concepts.max_descriptors = "reports", least, most
    return config


def last_quarter(patient: int) -> str:
    return "train" if patient < 12 else "test"


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
    assert "reports, no descriptor stands in 9; set concepts.min_reports lower" in refused(config)


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
    """`concepts.min_reports` is a number of reports."""
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


def test_descriptors_need_no_more_than_one_in_a_group(mimic_tree, tmp_path):
    config = of_reports(mimic_tree, tmp_path / "m", cxr(mimic_tree, ["The lungs are clear.", "Scoliosis."] * 4))
    assert open_concepts(config).descriptors.as_groups() == {"lungs": ["clear lungs"], "bones": ["scoliosis"]}
