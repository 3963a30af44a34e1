"""What a language model answered, checked line by line against the form it was asked for and against the report."""

import re
from typing import Literal, NamedTuple

from ecor_jax.metrics.descriptor_sets import STOP_WORDS
from ecor_jax.reports.anatomy import group_of
from ecor_jax.reports.normalise import normalise
from ecor_jax.reports.prompt import NOTHING
from ecor_jax.reports.statements import STATUSES, Statement, Status

MAX_LENGTH = 120  # characters; of the descriptors that the rules find in Open-I, one in ten thousand is longer

Reason = Literal[
    "cut off before its end",
    "empty answer",
    "not of the asked form",
    "too long",
    "describes nothing",
    "status said again",
    "not in the report",
    "repeated",
    "report longer than the context",
]


class Rejected(NamedTuple):
    """A line of an answer (or the whole answer) that is not taken, and why."""

    line: str
    reason: Reason


# A bullet or number before the line is forgiven.
_LINE = re.compile(rf"(?:[-*•]|\d+[.)])?\s*({'|'.join(STATUSES)})\s*:\s*(.+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
# Articles, and marks in the place of what was taken out to hide who a report is about.
_OUT = re.compile(r"\b(?:the|an?|x{3,})\b|_{2,}")
_PLURAL = re.compile(r"(?<=\w\w)ies$|(?<=ss)es$|(?<=\w[^s\W])s$")
_STATUS_WORD = re.compile(
    r"\b(?:no|not|without|none|absent|negative|possibl[ey]|probabl[ey]|likely|may|might|cannot|questionable"
    r"|suggest(?:s|ing|ive|ion|ions)?)\b"
)


def read_answer(answer: str, ended: bool, report: str) -> tuple[tuple[Statement, ...], tuple[Rejected, ...]]:
    """The statements of an answer that pass every check, in order, and the lines that do not.

    A line is "status: descriptor". Its descriptor has at most MAX_LENGTH characters, holds no word of negation or
    doubt (the status says that), is not empty in the normal form of the rules, has no content word that `report` lacks
    and was not said before. An answer that was cut off (not `ended`) is rejected whole: a list that lacks its end
    passes over in silence what the report names.
    """
    if not ended:
        return (), (Rejected(answer, "cut off before its end"),)
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    if not lines:
        return (), (Rejected(answer, "empty answer"),)
    if len(lines) == 1 and lines[0].lower().rstrip(".") == NOTHING:
        return (), ()
    known = content_words(report)
    taken: dict[str, Statement] = {}
    rejected: list[Rejected] = []
    for line in lines:
        found = _read_line(line, known)
        if isinstance(found, Statement) and found.text not in taken:
            taken[found.text] = found
        else:
            rejected.append(Rejected(line, "repeated" if isinstance(found, Statement) else found))
    return tuple(taken.values()), tuple(rejected)


def _read_line(line: str, known: set[str]) -> Statement | Reason:
    """The statement of a line, or why it has none; `known` are the content words of the report."""
    found = _LINE.fullmatch(line)
    if found is None or not found[2].isprintable():
        return "not of the asked form"
    if len(found[2]) > MAX_LENGTH:
        return "too long"
    raw = found[2].lower()
    if _STATUS_WORD.search(raw):
        return "status said again"
    text = normalise(" ".join(_OUT.sub(" ", raw).split()).strip(" .,;:\"'"))
    words = content_words(text)
    if not words:
        return "describes nothing"
    if not words <= known:
        return "not in the report"
    status: Status = next(status for status in STATUSES if status == found[1].lower())
    return Statement(text, status, group_of(text))


def content_words(text: str) -> set[str]:
    """The words that say something, in lower case, plurals as singulars: "opacities" as "opacity"."""
    return {_PLURAL.sub(_singular, word) for word in set(_WORD.findall(text.lower())) - STOP_WORDS}


def _singular(ending: re.Match[str]) -> str:
    return "y" if ending[0] == "ies" else ""
