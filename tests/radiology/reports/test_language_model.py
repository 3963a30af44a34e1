"""Reports through a language model that says what the test wants: what is asked, kept, refused and gone on with."""

import fcntl
import json

import pytest
from absl import logging

from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.language_model import split_reports
from ecor_jax.radiology.reports.prompt import Answer
from ecor_jax.radiology.reports.read import Report

REPORTS = [
    Report("a", "Heart size is normal. No pleural effusion."),
    Report("b", "Lungs are clear."),
    Report("empty", " \n"),
    Report("c", "Possible nodule in the left lung. There is a small right pneumothorax."),
    Report("d", "Lungs are clear."),
    Report("e", "Bones are intact."),
]
ANSWERS = {
    REPORTS[0].text: "present: normal heart size\nabsent: pleural effusion",
    REPORTS[1].text: "Sure!\npresent: clear lungs\npresent: clear lungs\nabsent: edema",
    REPORTS[3].text: "uncertain: nodule in left lung\npresent: small right pneumothorax",
    REPORTS[5].text: "none",
}


class Scripted:
    """Answers from a table."""

    def __init__(self, answers=ANSWERS, digest="scripted", room=10_000):
        self.answers, self.digest, self.room, self.asked = answers, digest, room, []

    def prompt(self, report):
        return list(f"?{report}".encode())

    def answer(self, prompts):
        texts = [bytes(prompt).decode()[1:] for prompt in prompts]
        self.asked += texts
        return [Answer(self.answers[text], True) for text in texts]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_statements_and_what_is_kept_apart(tmp_path, caplog):
    logging.set_verbosity(logging.INFO)
    with caplog.at_level("INFO", logger="absl"):
        statements = split_reports(Scripted(), REPORTS, tmp_path, 2)
    assert [(name, [f"{one.status}: {one.text}" for one in said]) for name, said in statements.items()] == [
        ("a", ["present: normal heart size", "absent: pleural effusion"]), ("b", ["present: clear lungs"]),
        ("empty", []), ("c", ["uncertain: nodule in left lung", "present: small right pneumothorax"]),
        ("d", ["present: clear lungs"]), ("e", []),
    ]  # fmt: skip
    faults = [("not of the asked form", "Sure!"), ("repeated", "present: clear lungs")]
    faults.append(("not in the report", "absent: edema"))
    assert lines(tmp_path / "rejected.jsonl") == [
        {"name": name, "reason": reason, "line": line} for name in ("b", "d") for reason, line in faults
    ]
    assert "6 reports: 6 statements taken, 2 reports without any; 6 lines or answers kept apart" in caplog.text
    assert "not in the report: 2" in caplog.text


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_killed_run_goes_on_where_it_was(batch_size, tmp_path):
    split_reports(Scripted(), REPORTS, tmp_path / "whole", batch_size)
    content = (tmp_path / "whole" / "answers.jsonl").read_bytes()
    for cut in range(0, len(content), 7):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "answers.jsonl").write_bytes(content[:cut])
        split_reports(Scripted(), REPORTS, folder, batch_size)
        assert contents(folder) == contents(tmp_path / "whole")


def test_equal_texts_are_asked_about_once_and_another_model_or_text_anew(tmp_path):
    model = Scripted()
    first = split_reports(model, REPORTS, tmp_path, 2)
    assert sorted(model.asked) == sorted(ANSWERS)
    other = Scripted(answers=dict.fromkeys(ANSWERS, "none"), digest="other")
    assert split_reports(other, REPORTS, tmp_path, 2) == {report.name: () for report in REPORTS}
    assert sorted(other.asked) == sorted(ANSWERS)
    changed = Scripted(answers={"Clear lungs.": "present: clear lungs"})
    statements = split_reports(changed, [Report("b", "Clear lungs."), REPORTS[0]], tmp_path, 1)
    assert changed.asked == ["Clear lungs."] and statements["b"] == first["b"] and statements["a"] == first["a"]
    # The first model's answers are still there.
    once_more = Scripted()
    assert split_reports(once_more, REPORTS, tmp_path, 2) == first and once_more.asked == []


def test_a_report_beyond_the_context_is_kept_apart_and_the_others_go_on(tmp_path):
    model = Scripted(room=len(REPORTS[0].text) + 1)
    statements = split_reports(model, REPORTS, tmp_path, 2)
    assert statements["c"] == () and len(statements["a"]) == 2 and REPORTS[3].text not in model.asked
    rejected = {"name": "c", "reason": "report longer than the context", "line": ""}
    assert rejected in lines(tmp_path / "rejected.jsonl")


def test_rooms_and_batches_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match="has room for prompts of 0 tokens; the request alone takes 1"):
        split_reports(Scripted(room=0), REPORTS, tmp_path, 2)
    with pytest.raises(UserError, match="batch_size is 0"):
        split_reports(Scripted(), REPORTS, tmp_path, 0)
    assert split_reports(Scripted(), [], tmp_path, 2) == {}


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "x"}', '{"prompt": 1, "text": "", "ended": true}', "\xff"])
def test_a_damaged_line_is_named(line, tmp_path):
    split_reports(Scripted(), REPORTS, tmp_path, 2)
    path = tmp_path / "answers.jsonl"
    content = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*content[:2], line + "\n", *content[2:]]), encoding="latin-1")
    with pytest.raises(UserError, match=r"answers\.jsonl: line 3 is damaged; remove that line"):
        split_reports(Scripted(), REPORTS, tmp_path, 2)


def test_folders_that_cannot_be_written_or_are_in_use(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/answers\.jsonl: cannot be read or written"):
        split_reports(Scripted(), REPORTS, tmp_path / "file", 2)
    with (tmp_path / "answers.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run is writing to it"):
            split_reports(Scripted(), REPORTS, tmp_path, 2)
