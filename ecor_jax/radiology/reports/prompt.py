"""The prompt that asks a language model for the descriptors of a report, and the validation of its answer.

The model disentangles the report into atomic descriptors, one per line, as the paper (arXiv 2411.04008, section 3.2 and
figure 7) describes for Mistral-7B; wording and example are specific to this project. Every line of the answer is
checked against that form and against the report.
"""

import re
from typing import NamedTuple, cast

from ecor_jax.radiology.reports.descriptor_sets import STOP_WORDS
from ecor_jax.radiology.reports.statements import STATUSES, Statement, Status
from ecor_jax.radiology.reports.words import group_of, normalise

NOTHING = "none"
"""The complete answer for a report that describes nothing."""

INSTRUCTIONS = f"""\
Below is the report of a chest X-ray. Disentangle it into atomic descriptors and write them one a line. A descriptor \
is a single finding or appearance with its location and attributes, in the words of the report.

Every line has the form "status: descriptor", where the status is one of
present: the report says that it is seen, or how something looks, be it normal or not
absent: the report says that it is not seen
uncertain: the report says that it may be there

After the colon write the descriptor alone, in lower case, without words like "no", "possible" or "there is". Take \
lists apart: "no effusion or pneumothorax" makes two lines. Say nothing twice. Leave out comparisons with earlier \
pictures, history, technique and recommendations. Write nothing but these lines; if the report describes nothing, \
write "{NOTHING}"."""

EXAMPLE_REPORT = (
    "The heart is mildly enlarged. No pleural effusion or pneumothorax. Streaky opacity at the left lung base may "
    "represent atelectasis. A right chest port is unchanged."
)
EXAMPLE_ANSWER = """\
present: mildly enlarged heart
absent: pleural effusion
absent: pneumothorax
present: streaky opacity at left lung base
uncertain: atelectasis
present: right chest port"""


def request(report: str) -> str:
    """Returns the instructions, one worked example, and the report."""
    paragraphs = (INSTRUCTIONS, f"Report: {EXAMPLE_REPORT}", f"Descriptors:\n{EXAMPLE_ANSWER}", f"Report: {report}")
    return "\n\n".join((*paragraphs, "Descriptors:"))


MAX_LENGTH = 120  # characters; one in ten thousand descriptors that the rules find in Open-I is longer


class Answer(NamedTuple):
    """The text that a model wrote; `ended` is False if the length limit truncated it."""

    text: str
    ended: bool


class Rejected(NamedTuple):
    """A rejected line of an answer (or the complete answer), and the reason."""

    line: str
    reason: str


# A bullet or number before the line is tolerated.
_LINE = re.compile(rf"(?:[-*•]|\d+[.)])?\s*({'|'.join(STATUSES)})\s*:\s*(.+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
# Articles, and the marks of de-identified words.
_OUT = re.compile(r"\b(?:the|an?|x{3,})\b|_{2,}")
_PLURAL = re.compile(r"(?<=ss)es$|(?<=\w[^s\W])s$")
_STATUS_WORD = re.compile(
    r"\b(?:no|not|without|none|absent|negative|possibl[ey]|probabl[ey]|likely|may|might|cannot|questionable"
    r"|suggest(?:s|ing|ive|ion|ions)?)\b"
)


def read_answer(answer: Answer, report: str) -> tuple[tuple[Statement, ...], tuple[Rejected, ...]]:
    """Returns the statements of an answer that pass every check, in order, and the rejected lines.

    A line is "status: descriptor". Its descriptor must have at most MAX_LENGTH characters, contain no word of negation
    or doubt (the status expresses that), have a nonempty normal form, contain only content words of `report`, and not
    repeat an earlier one. A truncated answer is rejected completely, because its missing end would omit findings
    of the report.
    """
    if not answer.ended:
        return (), (Rejected(answer.text, "cut off before its end"),)
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    if not lines:
        return (), (Rejected(answer.text, "empty answer"),)
    if len(lines) == 1 and lines[0].lower().rstrip(".") == NOTHING:
        return (), ()
    known = content_words(report)
    taken: dict[str, Statement] = {}
    rejected: list[Rejected] = []
    for line in lines:
        statement = _read_line(line, known)
        if isinstance(statement, str):
            rejected.append(Rejected(line, statement))
        elif taken.setdefault(statement.text, statement) is not statement:
            rejected.append(Rejected(line, "repeated"))
    return tuple(taken.values()), tuple(rejected)


def _read_line(line: str, known: set[str]) -> Statement | str:
    """Returns the statement of a line, or the reason for its rejection; `known` are the content words of the report."""
    match = _LINE.fullmatch(line)
    if match is None or not match[2].isprintable():
        return "not of the asked form"
    if len(match[2]) > MAX_LENGTH:
        return "too long"
    raw = match[2].lower()
    if _STATUS_WORD.search(raw):
        return "status said again"
    text = normalise(" ".join(_OUT.sub(" ", raw).split()).strip(" .,;:\"'"))
    words = content_words(text)
    if not words:
        return "describes nothing"
    if not words <= known:
        return "not in the report"
    return Statement(text, cast(Status, match[1].lower()), group_of(text))


def content_words(text: str) -> set[str]:
    """Returns the words except STOP_WORDS, in lower case, plurals as singulars: "opacities" as "opacity"."""
    words = set(_WORD.findall(text.lower())) - STOP_WORDS
    return {_PLURAL.sub("", re.sub(r"(?<=\w\w)ies$", "y", word)) for word in words}
