"""The words that deny, doubt or relate: where in a clause they stand, and of which kind they are."""

import re

from ecor_jax.reports.words import SEEN, VERB

_MORE = r"(?:most |more |very |highly |quite |somewhat |also |xxxx )*"
_BE = rf"(?:(?:, )?(?:and |which |that )?(?:{VERB} )(?:xxxx )?)?"
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
    # Behind what they speak of.
    "doubted": (
        rf"{_BE}(?:can ?not|could not|may not|not)(?: be)?(?: \w+ly)?(?: be)? (?:excluded|ruled out)",
        rf"{_BE}(?:difficult|hard) to(?: \w+ly)? (?:exclude|rule out)",
        rf"{VERB} (?:also )?(?:possible|probable|likely|suspected|questioned|considered|questionable)$",
        r"(?:may|might|could) be (?:present|considered)$",
    ),
    "denied": (
        rf"(?:{VERB} )?(?:not|no longer) (?:definitely |clearly |well |otherwise |obviously |xxxx )*{SEEN}",
        r"(?:has|have) (?:since |now |completely )*(?:resolved|cleared|been removed)",
        rf"{VERB} (?:now )?(?:absent|resolved|removed|ruled out|excluded)",
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
        r"(?:negative|free|clear|evidence against) (?:for|of|from)|without|absence of|lack of|no|not|no longer|nor",
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
