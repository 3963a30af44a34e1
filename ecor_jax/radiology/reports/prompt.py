"""What a language model is asked about a report, and what of its answer is taken.

It is asked to disentangle the report into atomic descriptors, one a line: the kind of prompt that the paper (arXiv
2411.04008, section 3.2 and figure 7) describes for Mistral-7B; the words and the example are ours. What it answers is
checked line by line against that form and against the report.
"""

import re
from typing import NamedTuple, cast

from ecor_jax.radiology.reports.descriptor_sets import STOP_WORDS
from ecor_jax.radiology.reports.statements import STATUSES, Statement, Status
from ecor_jax.radiology.reports.words import group_of, normalise

NOTHING = "none"
"""The whole answer about a report that describes nothing."""

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
    """The instructions, one worked example, and the report."""
    paragraphs = (INSTRUCTIONS, f"Report: {EXAMPLE_REPORT}", f"Descriptors:\n{EXAMPLE_ANSWER}", f"Report: {report}")
    return "\n\n".join((*paragraphs, "Descriptors:"))


MAX_LENGTH = 120  # characters; of the descriptors that the rules find in Open-I, one in ten thousand is longer


class Answer(NamedTuple):
    """What a model wrote; `ended` is False if the bound on its length cut it off."""

    text: str
    ended: bool


class Rejected(NamedTuple):
    """A line of an answer (or the whole answer) that is not taken, and why."""

    line: str
    reason: str


# A bullet or number before the line is forgiven.
_LINE = re.compile(rf"(?:[-*•]|\d+[.)])?\s*({'|'.join(STATUSES)})\s*:\s*(.+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
# Articles, and marks in the place of what was taken out to hide who a report is about.
_OUT = re.compile(r"\b(?:the|an?|x{3,})\b|_{2,}")
_PLURAL = re.compile(r"(?<=ss)es$|(?<=\w[^s\W])s$")
_STATUS_WORD = re.compile(
    r"\b(?:no|not|without|none|absent|negative|possibl[ey]|probabl[ey]|likely|may|might|cannot|questionable"
    r"|suggest(?:s|ing|ive|ion|ions)?)\b"
)


def read_answer(answer: Answer, report: str) -> tuple[tuple[Statement, ...], tuple[Rejected, ...]]:
    """The statements of an answer that pass every check, in order, and the lines that do not.

    A line is "status: descriptor". Its descriptor has at most MAX_LENGTH characters, holds no word of negation or
    doubt (the status says that), is not empty in the normal form of the rules, has no content word that `report` lacks
    and was not said before. An answer that was cut off is rejected whole: a list that lacks its end
    passes over in silence what the report names.
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
    """The statement of a line, or why it has none; `known` are the content words of the report."""
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
    """The words that say something, in lower case, plurals as singulars: "opacities" as "opacity"."""
    words = set(_WORD.findall(text.lower())) - STOP_WORDS
    return {_PLURAL.sub("", re.sub(r"(?<=\w\w)ies$", "y", word)) for word in words}
