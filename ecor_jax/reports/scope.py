"""Scope of negation and doubt: which part of a clause is said to be present, absent or uncertain.

A trigger before a phrase ("no evidence of") holds until the next trigger; one behind it ("cannot be excluded") holds
for the phrase before it. The idea is NegEx's (Chapman et al. 2001), with relations between phrases added.
"""

import dataclasses
import itertools
import re

from ecor_jax.reports.statements import Status
from ecor_jax.reports.triggers import TRIGGER
from ecor_jax.reports.words import ADVERBS, SHOWS, VERB, is_adjective, is_place

# "No opacity to suggest pneumonia" denies both.
_STILL_DENIED = re.compile(
    r"(?:, )?(?:which |that |to |would )*suggest\w*|.*(?:suggestive|suspicious|concerning|worrisome)"
)
_BEHIND: dict[str | None, Status] = {"remaining": "present", "doubted": "uncertain", "denied": "absent"}
_DANGLING = re.compile(rf"^(.*?) ?\b(?:{VERB}|{SHOWS})(?: (?:also|otherwise|grossly|xxxx))*$")
_LEADING = re.compile(r"^(?:and|or) ")
_WHICHEVER = re.compile(r"\b(versus|or) (?:due|secondary|related) to\b")
_SLASH = re.compile(r"(?<![\w-])([a-z]{5,})/([a-z]{5,})(?![\w-])")
_ALTERNATIVE = re.compile(r"( ,)? (?:versus|vs\.?) |( ,)? (?:and/)?or ")


@dataclasses.dataclass(frozen=True)
class Segment:
    """Part of a clause with one status; `about` is the subject that a verb before it left open: "lungs are" free of."""

    text: str
    status: Status
    about: str = ""


def segments(clause: str) -> list[Segment]:
    """Parts of a clause of `clauses.clauses`, in order: "opacity may be scar" is an opacity, and perhaps a scar."""
    clause = _WHICHEVER.sub(r"\1", clause).replace("not remarkable", "unremarkable")
    found: list[Segment] = []
    status: Status = "present"
    about, start = "", 0

    def close(text: str, status: Status) -> str:
        """Notes a segment; returns the subject it leaves open."""
        text = _LEADING.sub("", text.strip(" ,"))
        dangling = _DANGLING.match(text)
        if dangling:
            return about or dangling[1].strip(" ,")
        if text:
            found.extend(_with_alternatives(_predicate(Segment(text, status, about))))
        return ""

    for match in TRIGGER.finditer(clause):
        kind = match.lastgroup
        text = clause[start : match.start()]
        if kind in _BEHIND:
            close(text, _BEHIND[kind])
            status, about = "present", ""
        else:
            about = close(text, status)
            if about and not is_place(about):
                found.append(Segment(about, status))
            status = _next_status(str(kind), match[0], status, text)
        start = match.end()
    close(clause[start:], status)
    left = _DANGLING.match(clause[start:].strip(" ,"))
    if left and left[1]:
        found.append(Segment(left[1].strip(" ,"), status))
    return found


def _next_status(kind: str, trigger: str, status: Status, text: str) -> Status:
    if kind == "denial":
        return "absent"
    if kind == "doubt":
        denied = status == "absent" and text.strip() and not text.rstrip().endswith(",")
        return "absent" if denied and _STILL_DENIED.fullmatch(trigger) else "uncertain"
    if kind in ("but", "sure"):
        return "present"
    return "present" if trigger.endswith("with") and status == "uncertain" and trigger.startswith("with") else status


def _with_alternatives(segment: Segment) -> list[Segment]:
    """ "low volumes, scar or atelectasis": one of the two is there, but it is not said which."""
    segment = dataclasses.replace(segment, text=_SLASH.sub(_either, segment.text))
    alternative = _ALTERNATIVE.search(segment.text)
    if segment.status != "present" or not alternative:
        return [segment]
    comma = -1 if alternative[1] or alternative[2] else segment.text.rfind(" , ", 0, alternative.start())
    sure = segment.text[: max(comma, 0)]
    doubtful = Segment(segment.text[comma + 3 :] if sure else segment.text, "uncertain", segment.about)
    return [Segment(sure, "present", segment.about), doubtful] if sure else [doubtful]


def _either(slash: re.Match[str]) -> str:
    """ "scarring/atelectasis" is one or the other; "fibrotic/atelectatic" and "upper/lower" are one word."""
    nouns = not any(
        is_adjective(word) or is_place(word) or word.endswith(("ic", "al", "ar")) for word in slash.groups()
    )
    return f"{slash[1]} or {slash[2]}" if nouns else slash[0]


def _predicate(segment: Segment) -> Segment:
    """ "heart is | not | enlarged": the adjective goes back to its subject."""
    words = list(itertools.dropwhile(ADVERBS.__contains__, segment.text.split()))
    if (
        segment.about
        and words
        and is_adjective(words[0])
        and (len(words) == 1 or words[1] in ("in", "for", "and", "or"))
    ):
        return Segment(f"{segment.about} are {segment.text}", segment.status)
    return segment
