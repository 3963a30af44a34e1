"""Comparisons with earlier pictures: they are cut out, since one picture cannot show them."""

import re

from ecor_jax.reports.words import VERB

# With all that follows them in their clause.
_COMPARED = re.compile(
    r" ,? ?(?:(?:when |as )?compared (?:to|with)|in comparison (?:to|with)"
    r"|(?:as )?(?:seen |noted )?on (?:multiple )?(?:prior|previous|xxxx study)"
    r"|from (?:multiple )?(?:prior|previous|comparison|xxxx)|since|(?:worse )?than (?:on )?(?:prior|previous)"
    r"|(?:appears? |is |are |and |appearance )*(?:grossly |very |slightly |essentially )*(?:similar"
    r"|identical) (?:to|in)\b"
    r"|dating back|study dated|(?:which|that) (?:does|was|were|did) not|given|allowing for|interval from|for xxxx)"
    r"(?:(?! , no | with | without | but | secondary | and (?:may|could|might) ).)*"
)
_NO_CHANGE = re.compile(
    r"\b(?:there (?:is|has been|are) )?(?:no|without|not|has not|have not)(?: been)?(?: \w+)?(?: \w+)? "
    r"(?:change|changes|changed)\b(?: (?:in|of|from))?(?: appearance of| size of| size or appearance of)?"
)
_THEN = re.compile(
    r"\b(?:in interval|over (?:time|interval)|as before"
    r"|(?:left|right) (?:greater|worse|more|larger) than(?: on)? (?:left|right)(?: side)?)\b"
)
_STEADY = re.compile(
    r"\b(?:(?:grossly |relatively |essentially |overall |mildly |slightly |significantly )?(?:stable|unchanged)(?: in)?"
    r"(?: (?:appearance|size|position|configuration|contour|contours|interval))?(?: of| in)?(?= |$)"
    r"|interval(?: development of)?|redemonstrat\w+(?: of)?|again|previously|largely|continued"
    r"|(?<!may )persist(?:s|ent|ing)?"
    r"|newly?|worsening|currently|today"
    r"|once)\b"
)
_MOVED = re.compile(
    r"\b(?:has|have)(?: also)?(?: mildly| slightly| somewhat| significantly| xxxx)?"
    r" (?:increased|decreased|improved|worsened|progressed|developed|changed"
    r"|enlarged)(?: slightly)?(?: in (?:size|interval))?"
)
# "are stable and normal" leaves "are and normal".
_LEFT_OVER = re.compile(rf"\b({VERB})(?: {VERB})? (?:and )?(?=\S)")


def without_comparison(clause: str) -> str:
    """ "effusion , unchanged since prior study" is "effusion"; '' where a clause says nothing else."""
    clause = _COMPARED.sub("", f" {_NO_CHANGE.sub('', clause)}")
    for pattern in (_THEN, _STEADY, _MOVED):
        clause = pattern.sub("", clause)
    return _LEFT_OVER.sub(r"\1 ", re.sub(r"\s+", " ", clause)).strip(" ,.-/")
