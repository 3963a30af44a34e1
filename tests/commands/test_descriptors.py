import csv
import json
import time

import pytest

from ecor_jax.commands import descriptors
from ecor_jax.radiology.reports import causal_model, language_model
from ecor_jax.radiology.reports.statements import Statement

ROWS = """uid,findings,impression
7,The lungs are clear. No effusion.,
8,,
9,No effusion.,Possible scar.
10,XXXX,
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "reports.csv").write_text(ROWS)
    return tmp_path / "reports.csv"


def test_from_reports_to_table(called, table, tmp_path):
    printed = called(descriptors, f"--reports={table}", f"--output={tmp_path / 'out'}")
    assert "4 reports in" in printed and "4 statements, 3 descriptors" in printed
    assert "without text that describes a picture: 1 (8)" in printed
    assert "with such text, but without a statement: 1 (10)" in printed
    lines = [json.loads(line) for line in (tmp_path / "out" / "statements.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["7", "8", "9", "10"]
    assert lines[0]["statements"] == [
        {"text": "clear lungs", "status": "present", "group": "lungs"},
        {"text": "effusion", "status": "absent", "group": "pleura"},
    ]
    assert lines[1]["statements"] == lines[3]["statements"] == []
    rows = list(csv.DictReader((tmp_path / "out" / "descriptors.csv").read_text().splitlines()))
    assert rows[0] == {"text": "effusion", "group": "pleura", "count": "2", "negated": "2", "uncertain": "0"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Descriptors of reports.csv" in page and "clear lungs" in page
    printed = called(descriptors, f"--reports={table}", f"--output={tmp_path / 'last'}", "--sections=last")
    assert "3 statements" in printed  # of 9 only "possible scar"


@pytest.mark.parametrize(
    ("splitter", "model"), [("some/model", "some/model"), ("model", "mistralai/Mistral-7B-Instruct-v0.3")]
)
def test_language_model_is_asked(called, table, tmp_path, monkeypatch, splitter, model):
    asked = {}

    def split_reports(model, reports, folder, batch_size):
        asked.update(model=model, names=[report.name for report in reports], folder=folder, batch_size=batch_size)
        return {"7": (Statement("clear lungs", "present", "lungs"),), "9": (), "10": ()}

    monkeypatch.setattr(causal_model, "CausalModel", str)
    monkeypatch.setattr(language_model, "split_reports", split_reports)
    out = tmp_path / "out"
    printed = called(descriptors, f"--reports={table}", f"--output={out}", f"--splitter={splitter}", "--batch_size=3")
    assert asked == {"model": model, "names": ["7", "9", "10"], "folder": out / "language_model", "batch_size": 3}
    assert "without a statement: 2 (9, 10)" in printed
    assert model in (out / "index.html").read_text()


@pytest.mark.slow
def test_all_of_openi_in_under_a_minute(called, shared_data, tmp_path):
    path = shared_data / "xray" / "openi_reports.csv.gz"
    start = time.monotonic()
    printed = called(descriptors, f"--reports={path}", f"--output={tmp_path}")
    assert printed.startswith("3,955 reports in ") and "without text that describes a picture: 28 (" in printed
    assert time.monotonic() - start < 60
    rows = {row["text"]: row for row in csv.DictReader((tmp_path / "descriptors.csv").read_text().splitlines())}
    assert int(rows["pneumothorax"]["negated"]) > 2000
    assert int(rows["clear lungs"]["negated"]) == 0
