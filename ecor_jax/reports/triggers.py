"""The words that deny, doubt or relate: where in a clause they stand, and of which kind they are."""

import re

from ecor_jax.reports.words import SEEN, VERB

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
    # No denial, whatever it holds.
    "sure": (r"(?:no|without|beyond)(?: \w+)? doubt(?: (?:about|of|that|as to))?",),
    # Behind what they speak of.
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
        # NegEx denies by "unlikely", and CheXpert's labeler has no rule of it; "less likely" is a doubt to CheXpert's.
        rf"{_BE}{_MORE}(?:(?:felt|thought|considered|deemed|judged)(?: to be)? )?{_MORE}unlikely"
        r"(?=$| ,| (?:and|or|at|in|on|for|given|as|to be (?:seen|present))\b)",
    ),
    # Before what they speak of.
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
        # A catheter with its tip is one thing.
        r"(?:, )?with(?= (?!tip|its tip|distal tip))",
    ),
}
TRIGGER = re.compile(
    r"(?<!\S)(?:" + "|".join(f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in _KINDS.items()) + r")(?!\S)"
)
"""A trigger in a clause; the name of the group that matched is its kind."""
