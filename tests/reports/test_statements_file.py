"""statements.jsonl: what is written is read again; what is of another form is refused by its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.reports.statements import GROUPS, STATUSES, Statement
from ecor_jax.reports.statements_file import read_statements, write_statements

texts = st.text(min_size=1).filter(str.strip).filter(lambda text: text.isprintable())
statements = st.builds(Statement, texts, st.sampled_from(STATUSES), st.sampled_from(GROUPS))


@given(st.dictionaries(texts, st.lists(statements).map(tuple)))
def test_written_and_read(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("s") / "statements.jsonl"
    write_statements(list(found), found, path)
    assert read_statements(path) == found


def test_a_report_without_statements_has_a_line(tmp_path):
    write_statements(["a", "b"], {"a": (Statement("effusion", "absent", "pleura"),)}, tmp_path / "s.jsonl")
    assert read_statements(tmp_path / "s.jsonl")["b"] == ()


GOOD = {"text": "effusion", "status": "absent", "group": "pleura"}


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[1]",
        '{"name": "b"}',
        json.dumps({"name": "b", "statements": [GOOD | {"status": "gone"}]}),
        json.dumps({"name": "b", "statements": [GOOD | {"group": "knees"}]}),
        json.dumps({"name": "b", "statements": [GOOD | {"text": " "}]}),
        json.dumps({"name": "b", "statements": [GOOD | {"text": 3}]}),
        json.dumps({"name": "b", "statements": [GOOD | {"sure": True}]}),
        json.dumps({"name": "b", "statements": ["effusion"]}),
    ],
)
def test_another_form_is_refused_by_its_line(tmp_path, line):
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps({"name": "a", "statements": [GOOD]}) + "\n" + line + "\n")
    with pytest.raises(UserError, match=r"s\.jsonl, line 2: (expected|not JSON)"):
        read_statements(path)


def test_a_report_that_stands_there_twice(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"name": "a", "statements": []}\n' * 2)
    with pytest.raises(UserError, match="line 2: report 'a' stands there twice"):
        read_statements(path)
