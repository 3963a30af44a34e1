"""JSON of strangers: what is within the limits is what Python reads; what is not is an error that names the file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.errors import UserError
from ecor_jax.untrusted import json_text
from ecor_jax.untrusted.json_text import parse_json, read_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
)


@given(VALUES, st.booleans())
def test_values_within_the_limits_are_read_as_python_reads_them(value, ascii_only):
    content = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(content, "x") == value == parse_json(content.encode(), "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON: Expecting value, line 1 column 1"),
        (b"{", "not JSON: Expecting property name"),
        (b"\xff\xfe", r"is no UTF-8 text \(byte 0\)"),
        (b"[" * 10_000 + b"]" * 10_000, "is nested more than 100 deep"),
        (b"[" * 1_000_000, "is nested more than 100 deep"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "is nested more than 100 deep"),
        (b"9" * 41, "a whole number of 41 digits"),
        (b"[-" + b"1" * 6000 + b"]", "a whole number of 6000 digits"),
        (b"[1e999]", "the number 1e999 is too large"),
        (b"NaN", "NaN is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b'["\\ud800"]', "lone surrogate"),
        (b'{"\\uDfff": 1}', "lone surrogate"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' stands there twice"),
    ],
)
def test_what_breaks_a_limit_is_named(content, message):
    with pytest.raises(UserError, match=f"^some/x.json: {message}|^some/x.json: .*{message}"):
        parse_json(content, "some/x.json")


def test_what_stays_just_within_a_limit_is_read():
    deep = "[" * 100 + "]" * 100
    assert json.dumps(parse_json(deep, "x")) == deep
    assert parse_json("9" * 40, "x") == int("9" * 40)
    assert parse_json(json.dumps("\N{FACE SCREAMING IN FEAR}"), "x") == "\N{FACE SCREAMING IN FEAR}"


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1, 2, 3, 4]", "has 12 bytes; at most 10 are read"), ("[1]", "expected a JSON object, found a list")],
    ids=["too large", "no object"],
)
def test_what_a_file_may_not_hold_is_named(content, message, monkeypatch, tmp_path):
    monkeypatch.setattr(json_text, "MAX_BYTES", 10)
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=rf"x\.json: {message}"):
        read_object(tmp_path / "x.json")
