"""Statements in words and in statements.jsonl: what is of another form is refused by its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.statements import GROUPS, STATUSES, Statement, phrase, read_statements, write_statements

texts = st.text(min_size=1).filter(str.strip).filter(lambda text: text.isprintable())
statements = st.builds(Statement, texts, st.sampled_from(STATUSES), st.sampled_from(GROUPS))


@given(st.dictionaries(texts, st.lists(statements).map(tuple)))
def test_written_and_read(tmp_path_factory, reports):
    path = tmp_path_factory.mktemp("s") / "statements.jsonl"
    write_statements([*reports, "\x00silent"], reports, path)
    assert read_statements(path) == {**reports, "\x00silent": ()}


def test_phrase():
    said = [phrase(Statement("pleural effusion", status, "pleura")) for status in ("present", "absent", "uncertain")]
    assert said == ["pleural effusion", "no pleural effusion", "possible pleural effusion"]


GOOD = {"text": "effusion", "status": "absent", "group": "pleura"}


WRONG = [{"status": "gone"}, {"group": "knees"}, {"text": " "}, {"text": 3}, {"sure": True}]


def report(name: str, *statements: object) -> str:
    return json.dumps({"name": name, "statements": statements})


@pytest.mark.parametrize(
    "line",
    [report("a"), "no json", "[1]", '{"name": "b"}', report("b", "x"), *(report("b", GOOD | wrong) for wrong in WRONG)],
)
def test_another_form_is_refused_by_its_line(tmp_path, line):
    path = tmp_path / "s.jsonl"
    path.write_text(f"{report('a', GOOD)}\n{line}\n")
    with pytest.raises(UserError, match=r"s\.jsonl, line 2: (expected|not JSON|report 'a' stands there twice)"):
        read_statements(path)
