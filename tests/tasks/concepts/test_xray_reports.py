"""The descriptors of chest X-rays that are found in their reports."""

import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from ecor_jax.config.options import Config
from tests.tasks.concepts.xrays import names, of_xrays, open_concepts, refused, rows_of

EFFUSION, CLEAR = "There is a small left pleural effusion. No pneumothorax.", "The lungs are clear. No pneumothorax."


@pytest.fixture
def of_reports(mimic_tree, tmp_path) -> Callable[..., Config]:
    """A patient with one study for each report, every other one with an effusion; the first `train` train.

    Where `train` is None a share is tested on. Each study has an image of every view; a report may be a whole one.
    """

    def write(reports: list[str], train: int | None = 12, least: int = 1, most: int = 100, views=("PA",)) -> Config:
        pictures = []
        for patient, report in enumerate(reports):
            labels = {"Pleural Effusion": 1.0} if patient % 2 else {"No Finding": 1.0}
            split = "train" if train is None or patient < train else "test"
            whole = report if ":" in report or not report.strip() else mimic_tree.as_report(report, "")
            for number, view in enumerate(views):
                ids = 10_000_000 + patient, 50_000_000 + patient, f"{patient:02}{number}"
                pictures.append(mimic_tree.Picture(*ids, b"", view, split, labels, whole))
        shutil.rmtree(tmp_path / "m", ignore_errors=True)
        mimic_tree.write_tree(tmp_path / "m", pictures)
        config = of_xrays(tmp_path / "m", tmp_path / "m")
        config.data.findings = "No Finding,Pleural Effusion"
        config.data.test = 0.0 if train is not None else config.data.test
        config.concepts.source, config.concepts.min_reports, config.concepts.max_descriptors = "reports", least, most
        return config

    return write


def held_by(data, part) -> list[set[str]]:
    return [{data.descriptors.phrases[concept] for concept in np.flatnonzero(row)} for row in part.present]


def test_descriptors_are_what_reports_say_is_there_and_what_is_not(of_reports):
    data = open_concepts(of_reports([CLEAR, EFFUSION] * 7 + ["Possible pneumonia. No pneumothorax.", ""]))
    assert {group: set(phrases) for group, phrases in data.descriptors.as_groups().items()} == {
        "pleura": {"no pneumothorax", "small left pleural effusion"},
        "lungs": {"clear lungs"},
    }
    expected = [{"clear lungs", "no pneumothorax"}, {"small left pleural effusion", "no pneumothorax"}]
    assert held_by(data, data.train) == expected * 6
    # What is in doubt holds not; nor does anything where there is no report.
    assert held_by(data, data.test) == [*expected, {"no pneumothorax"}, set()]


def test_doubts_and_what_only_test_patients_have_are_no_descriptors(of_reports):
    """What the model does not know is still said."""
    reports = [f"{CLEAR} Possible pneumonia.", EFFUSION] * 6 + ["Calcified granuloma.", "Severe cardiomegaly."] * 2
    data = open_concepts(of_reports(reports))
    assert set(data.descriptors.phrases) == {"clear lungs", "no pneumothorax", "small left pleural effusion"}
    assert data.train.present.any(axis=0).all() and not data.test.present.any()
    assert [list(phrases) for phrases in data.test.phrases] == [["calcified granuloma"], ["severe cardiomegaly"]] * 2


def test_how_many_and_how_frequent(of_reports):
    # In 12, 6, 6, 3 and 1 of the training patients' reports.
    reports = [CLEAR, EFFUSION] * 8
    for patient in (0, 4, 8):
        reports[patient] += " Calcified granuloma."
    reports[2] += " Scoliosis."
    expected = ["no pneumothorax", "clear lungs", "small left pleural effusion", "calcified granuloma", "scoliosis"]
    for least, count in ((1, 5), (2, 4), (3, 4), (4, 3), (6, 3), (7, 1), (12, 1)):
        assert set(open_concepts(of_reports(reports, least=least)).descriptors.phrases) == set(expected[:count]), least
    for most, count in ((1, 1), (3, 3), (4, 4), (5, 5), (9, 5)):
        assert set(open_concepts(of_reports(reports, most=most)).descriptors.phrases) == set(expected[:count]), most
    message = "12 reports, no descriptor stands in 13; set concepts.min_reports lower"
    assert message in refused(of_reports(reports, least=13))


@pytest.mark.parametrize("report", ["", "INDICATION: cough.", " \n ___ \n"])
def test_reports_that_say_nothing(of_reports, report):
    data = open_concepts(of_reports([report] * 4 + [CLEAR, EFFUSION] * 2, train=None))
    counts = sorted((name, int(present.sum())) for name, _, present in rows_of(data))
    assert [count for _, count in counts] == [0] * 4 + [2] * 4
    message = refused(of_reports([report] * 8, train=None))
    assert "no descriptor stands in 1; set" in message if report else "no image to train on has a report" in message


def test_both_images_of_a_study_have_its_report_which_counts_once(of_reports):
    """`concepts.min_reports` is a number of reports."""
    reports = [CLEAR, EFFUSION] * 4
    reports[0] += " Scoliosis."
    data = open_concepts(of_reports(reports, train=6, least=2, views=("PA", "LATERAL")))
    assert set(data.descriptors.phrases) == {"clear lungs", "no pneumothorax", "small left pleural effusion"}
    for part, count in ((data.train, 6), (data.test, 2)):
        studies = [name.rpartition("/")[0] for name in names(part.pictures)]
        assert len(set(studies)) == count
        for study in studies:
            rows = part.present[[one == study for one in studies]]
            assert len(rows) == 2 and (rows[0] == rows[1]).all() and rows[0].any()


def test_a_descriptor_is_spelled_as_most_reports_spell_it(of_reports):
    """Open-I has both. One of the four training reports has it in two words: both spellings together are in all."""
    reports = ["Well-expanded lungs.", "Well expanded lungs.", "Well-expanded lungs.", "Well-expanded lungs."] * 2
    data = open_concepts(of_reports(reports, train=4, least=4))
    assert data.descriptors.phrases == ("well-expanded lungs",)
    assert data.train.present.all() and data.test.present.all()
    assert [list(phrases) for phrases in data.test.phrases] == [[text.lower()[:-1]] for text in reports[4:]]


def test_sections(of_reports, mimic_tree):
    config = of_reports([mimic_tree.as_report("The lungs are clear.", "Scoliosis.")] * 8, train=None)
    for sections, phrases in (("findings+impression", {"clear lungs", "scoliosis"}), ("last", {"scoliosis"})):
        config.concepts.sections = sections
        assert set(open_concepts(config).descriptors.phrases) == phrases


def test_statements_of_a_language_model_take_the_place_of_the_rules(of_reports, tmp_path):
    """As it may have found them: not what the rules would."""
    config = of_reports([CLEAR, EFFUSION] * 6, train=None)
    path, lines = tmp_path / "statements.jsonl", []
    for number in range(12):
        found = [{"text": f"sign {number % 2}", "status": "absent", "group": "heart"}]
        found += [{"text": "doubt", "status": "uncertain", "group": "lungs"}]
        name = f"files/p10/p{10_000_000 + number}/s{50_000_000 + number}"
        lines.append(json.dumps({"name": name, "statements": found}))
    config.concepts.statements = str(path)
    path.write_text("\n".join(lines))
    data = open_concepts(config)
    groups = {group: set(found) for group, found in data.descriptors.as_groups().items()}
    assert groups == {"heart": {"no sign 0", "no sign 1"}}
    # Patients with an effusion and those without take turns, as the signs do.
    for _, (_, effusion), present in rows_of(data):
        assert present[data.descriptors.phrases.index("no sign 1")] == (effusion == 1)
    path.write_text(lines[-1])
    message = refused(config)
    assert f"{path}: no statements of " in message and "files/p10/p10000000/s50000000" in message
    config.concepts.statements = "/nowhere.jsonl"
    assert "/nowhere.jsonl: cannot be read" in refused(config)
