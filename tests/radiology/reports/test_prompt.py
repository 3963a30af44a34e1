"""What a language model is asked, and its answers: what passes is of the asked form and of the report's words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.radiology.reports import prompt
from ecor_jax.radiology.reports.prompt import Answer, content_words, read_answer
from ecor_jax.radiology.reports.statements import GROUPS, STATUSES, Statement

REPORT = "The heart size is normal. No pleural effusions or pneumothorax. Possible small XXXX nodule in the left lung."


def test_a_well_formed_answer():
    lines = ["Present: Normal heart size.", "absent:pleural effusion", "", " - absent: pneumothorax"]
    answer = "\n".join([*lines, "2. uncertain: a small XXXX nodule in the left lung"])
    statements = (
        Statement("normal heart size", "present", "heart"),
        Statement("pleural effusion", "absent", "pleura"),
        Statement("pneumothorax", "absent", "pleura"),
        Statement("small nodule in left lung", "uncertain", "lungs"),
    )
    assert read_answer(Answer(answer, True), REPORT) == (statements, ())


REASONS = {
    "not of the asked form": [
        "Sure, here are the descriptors:", "normal heart size", "seen: normal heart size", "present:", "none",
        "present: normal\u0000heart",
    ],
    "describes nothing": ["present: the .", "present: ___", "present: heart"],
    "too long": ["present: " + "heart " * 30],
    "status said again": ["absent: no pneumothorax", "uncertain: possible nodule", "present: suggestion of a nodule"],
    "not in the report": ["absent: pulmonary edema", "present: large nodule"],
    "repeated": ["absent: the normal heart size."],
}  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), [(line, reason) for reason, lines in REASONS.items() for line in lines])
def test_a_line_that_is_kept_apart(line, reason):
    answer = f"present: normal heart size\n{line}\nabsent: pneumothorax"
    statements, rejected = read_answer(Answer(answer, True), REPORT)
    assert [statement.text for statement in statements] == ["normal heart size", "pneumothorax"]
    assert [(fault.line, fault.reason) for fault in rejected] == [(line.strip(), reason)]


@pytest.mark.parametrize(
    ("answer", "ended", "reasons"),
    [
        ("present: normal heart size\nabsent: pneumo", False, ["cut off before its end"]),
        (" \n", True, ["empty answer"]),
        ("None.\n", True, []),
    ],
)
def test_a_cut_off_or_empty_answer_is_none_and_none_is_one(answer, ended, reasons):
    statements, rejected = read_answer(Answer(answer, ended), REPORT)
    assert not statements and [fault.reason for fault in rejected] == reasons


def test_content_words_are_singular():
    words = content_words("The masses of both lungs, an 8-mm mass; opacities, an opacity, diffuse haziness.")
    assert words == {"mass", "lung", "8", "mm", "opacity", "diffuse", "haziness"}


def test_the_example_is_an_answer_that_passes_every_check():
    statements, rejected = read_answer(Answer(prompt.EXAMPLE_ANSWER, True), prompt.EXAMPLE_REPORT)
    assert not rejected
    assert [f"{said.status}: {said.text}" for said in statements] == prompt.EXAMPLE_ANSWER.splitlines()


lines = st.one_of(
    st.text(max_size=40),
    st.builds("{} {}".format, st.sampled_from(["present:", "ABSENT :", "- uncertain:", "seen:"]), st.text()),
    st.builds(
        "{}: {}".format,
        st.sampled_from(STATUSES),
        st.lists(st.sampled_from([*REPORT.split(), "edema", "no", "\x00", "the"]), max_size=40).map(" ".join),
    ),
)


@given(st.lists(lines, max_size=12).map("\n".join), st.booleans())
def test_whatever_the_answer_what_is_taken_holds(answer, ended):
    statements, rejected = read_answer(Answer(answer, ended), REPORT)
    known = {word.strip(".").lower().removesuffix("s") for word in REPORT.split()} | {""}
    for statement in statements:
        assert statement.status in STATUSES and statement.group in GROUPS
        assert 0 < len(statement.text) <= prompt.MAX_LENGTH and statement.text.isprintable()
        assert statement.text == statement.text.lower().strip(" .")
        # Punctuation and the like of the random texts may stand between words.
        assert {word.removesuffix("s") for word in re.findall(r"[^\W_]+", statement.text)} <= known
        assert not {"no", "possible", "the"} & set(statement.text.split())
    assert len({statement.text for statement in statements}) == len(statements)
    said = [line for line in answer.splitlines() if line.strip()]
    if not ended:
        assert not statements and len(rejected) == 1
    elif said and [line.strip().lower().rstrip(".") for line in said] != ["none"]:
        assert len(statements) + len(rejected) == len(said)
