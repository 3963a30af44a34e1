"""Detects the scope of negation and uncertainty: the parts of a clause that are present, absent or uncertain.

A trigger before a phrase ("no evidence of") applies until the next trigger; one after it ("cannot be excluded") applies
to the phrase before it. The method is NegEx's (Chapman et al. 2001), extended by relations between phrases.
"""

import dataclasses
import itertools
import re

from ecor_jax.radiology.reports.statements import Status
from ecor_jax.radiology.reports.words import ADVERBS, SEEN, SHOWS, VERB, is_adjective, is_place

_MORE = r"(?:most |more |less |very |highly |quite |somewhat |also |xxxx )*"
_BE = rf"(?:(?:, )?(?:and |which |that )?(?:{VERB} )(?:xxxx )?)?"
_NOT_YET = r"not (?:yet |definitely |completely |entirely |fully )*"
_MAY = (
    r"(?:, )?(?:which |that |and |findings? |appearance |it )*(?:could|may|might|can)"
    r"(?: also| potentially| possibly| well)*"
)
_LIKELY = (
    r"(?:likely|probably|possibly|presumably|potentially|perhaps|probable|possible|presumed|suspected)"
    r"(?: (?:representing|represents?|reflecting|reflects|related to|due to|secondary to|from|indicating|be"
    r"|consistent with|a combination of))?"
)
_KINDS: dict[str, tuple[str, ...]] = {
    # The patient's history, up to the next comma.
    "history": (r"(?:, )?(?:status[- ]post|s/p)[^,]*",),
    # Affirmations that contain a negation.
    "sure": (r"(?:no|without|beyond)(?: \w+)? doubt(?: (?:about|of|that|as to))?",),
    # Triggers after the phrase that they apply to.
    "remaining": (rf"(?:{VERB}|has|have) {_NOT_YET}(?:resolved|cleared|absent|(?:been )?removed)",),
    "doubted": (
        rf"(?:has|have) {_NOT_YET}been(?: \w+ly)? (?:excluded|ruled out)",
        r"(?:must|should|may|might|(?:needs?|remains?|is|are|has|have)(?: yet)? to) be (?:excluded|ruled out)",
        rf"{_BE}(?:can ?not|could not|may not|not)(?: be)?(?: \w+ly)?(?: be)? (?:excluded|ruled out)",
        rf"{_BE}(?:difficult|hard) to(?: \w+ly)? (?:exclude|rule out)",
        rf"{VERB} (?:also |less )?(?:possible|probable|likely|suspected|questioned|considered|questionable)$",
        r"(?:may|might|could) be (?:present|considered)$",
    ),
    "denied": (
        rf"(?:{VERB} )?(?:not|no longer) (?:definitely |clearly |well |otherwise |obviously |xxxx )*{SEEN}",
        r"(?:has|have) (?:since |now |completely )*(?:resolved|cleared|been removed)",
        rf"{VERB} (?:now )?(?:absent|resolved|removed|ruled out|excluded)",
        # "unlikely" is a negation to NegEx; CheXpert's labeler has no rule for it and takes "less likely" as doubt.
        rf"{_BE}{_MORE}(?:(?:felt|thought|considered|deemed|evaluated)(?: to be)? )?{_MORE}unlikely"
        r"(?=$| ,| (?:and|or|at|in|on|for|given|as|to be (?:seen|present))\b)",
    ),
    # Triggers before the phrase that they apply to.
    "doubt": (
        r"(?:, )?(?:with )?(?:xxxx )?differential(?: diagnos[ie]s| considerations?)? includ(?:es?|ing)",
        r"(?:unclear|uncertain) (?:whether|if)|maybe|not excluded",
        r"(?:can ?not|could not|not)(?: \w+ly)? (?:exclude|rule out)",
        rf"{_MAY} be (?:(?:partially |\w+ )?due to|related to|secondary to|from|consistent with|seen with)",
        rf"{_MAY} (?:be|represent|reflect|indicate|suggest|relate to|have)",
        rf"{_BE}{_MORE}(?:suggestive|suspicious|concerning|worrisome|suspect) (?:of|for)",
        r"(?:, )?(?:which |that |to |would |findings |appearance )*(?:suggesting|suggests?|suggested)",
        r"(?:and )?(?:concern|suspicion) for|(?:, )?raising (?:question|possibility) of",
        r"(?:, )?question(?:able)?(?: of)?",
        rf"{_BE}(?:, )?{_MORE}{_LIKELY}",
    ),
    "denial": (
        r"(?:negative|free|clear|evidence against) (?:for|of|from)|without|absence of|lack of|no|not|no longer"
        r"|neither|nor",
        rf"{_BE}{_MORE}unlikely(?: (?:to (?:be|represent|reflect|indicate)|due to|related to))?",
        r"(?:interval )?(?:removal|resolution) of|rather than",
    ),
    # Relations and contrasts.
    "but": (r"(?:, )?(?:other than|except for|except|with exception of|aside from|apart from)",),
    "and": (
        rf"{_BE}(?:, )?{_MORE}(?:consistent|compatible|in keeping) with",
        rf"{_BE}(?:, )?(?:indicative of|relates? to|indicating|representing|represents?|reflecting|reflects|due to"
        r"|secondary to|related to|resulting in|causing|accompanied (?:with|by)|associated with|containing"
        r"|sequela(?:e)? of|because of|as result of|consisting of|with associated)",
        # A catheter with its tip is one finding.
        r"(?:, )?with(?= (?!tip|its tip|distal tip))",
    ),
}
TRIGGER = re.compile(
    r"(?<!\S)(?:" + "|".join(f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in _KINDS.items()) + r")(?!\S)"
)
"""Matches a trigger in a clause; the name of the matched group is its kind."""

# "No opacity to suggest pneumonia" negates both.
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
    """A part of a clause with one status; `about`: the subject before it, as "lungs" in "lungs are | free of mass"."""

    text: str
    status: Status
    about: str = ""


def segments(clause: str) -> list[Segment]:
    """Splits a clause of `clauses.clauses`: "opacity may be scar" gives "opacity", present, and "scar", uncertain."""
    clause = _WHICHEVER.sub(r"\1", clause).replace("not remarkable", "unremarkable")
    closed: list[Segment] = []
    status: Status = "present"
    about, start = "", 0

    def close(text: str, status: Status) -> str:
        """Appends a segment, returns ''; if the text ends in a verb ("lungs are"), returns its subject instead."""
        text = _LEADING.sub("", text.strip(" ,"))
        dangling = _DANGLING.match(text)
        if dangling:
            return dangling[1].strip(" ,")
        if text:
            closed.extend(_with_alternatives(_predicate(Segment(text, status, about))))
        return ""

    for match in TRIGGER.finditer(clause):
        kind = match.lastgroup
        text = clause[start : match.start()]
        if kind in _BEHIND:
            close(text, _BEHIND[kind])
            status, about = "present", ""
        else:
            about = close(text, status)
            # "opacity is" adds an opacity; "lungs are" adds nothing, because a place alone has an empty normal form.
            closed.append(Segment(about, status))
            status = _next_status(str(kind), match[0], status, text)
        start = match.end()
    closed.append(Segment(close(clause[start:], status), status))
    return closed


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
    """Splits "low volumes, scar or atelectasis": the volumes are present, both alternatives are uncertain."""
    segment = dataclasses.replace(segment, text=_SLASH.sub(_either, segment.text))
    alternative = _ALTERNATIVE.search(segment.text)
    if segment.status != "present" or not alternative:
        return [segment]
    before, behind = segment.text[: alternative.start()], segment.text[alternative.start() :]
    sure, _, first = ("", "", before) if alternative[1] or alternative[2] else before.rpartition(" , ")
    return [Segment(sure, "present", segment.about), Segment(first + behind, "uncertain", segment.about)]


def _either(slash: re.Match[str]) -> str:
    """Rewrites "scarring/atelectasis" with "or"; keeps "fibrotic/atelectatic" and "upper/lower" as one word."""
    nouns = not any(
        is_adjective(word) or is_place(word) or word.endswith(("ic", "al", "ar")) for word in slash.groups()
    )
    return f"{slash[1]} or {slash[2]}" if nouns else slash[0]


def _predicate(segment: Segment) -> Segment:
    """Joins an adjective to its subject: "enlarged" in "heart is | not | enlarged" becomes "heart are enlarged"."""
    words = list(itertools.dropwhile(ADVERBS.__contains__, segment.text.split()))
    if segment.about and words and is_adjective(words[0]) and {*words[1:2]} <= {"in", "for", "and", "or"}:
        return Segment(f"{segment.about} are {segment.text}", segment.status)
    return segment
