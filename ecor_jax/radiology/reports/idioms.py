"""Phrases that look like negations and are none, and negations that do not look like any, in words that `scope` knows.

"No increase in the effusion" says that there is one, "the lungs lack consolidation" that there is none. The idea of the
first kind is NegEx's pseudo-negations (Chapman et al. 2001).
"""

import re

from ecor_jax.radiology.reports.words import SEEN

_DEGREE = (
    r"(?:(?:evidence of|significant|definite|appreciable|interval|further|substantial|obvious|apparent|marked|overall"
    r"|acute|gross|major|complete|clear|\w+ly) )*"
)
_COURSE = (
    r"(?:increase|decrease|improvement|progression|worsening|growth|reduction|regression|change|clearing|resolution)s?"
)
_MEASURE = r"(?: (?:size|extent|degree|appearance|number|volume|conspicuity))?"
_EARLIER = r"(?:before|(?:on )?(?:prior|previous(?:ly)?|earlier)(?: \w+)?)"
_CHANGED = r"(?:dilated|enlarged|widened|elevated|thickened|displaced|flattened|blunted|collapsed|fractured)"
_MORE = r"(?:larger|greater|bigger|smaller|worse|better|wider|longer)"
_LOOKS = r"(?:see|identify|visualize|visualise|appreciate|detect|demonstrate|reveal|show)"
_EXAM = r"(?:(?:\w+ )*?(?:exam(?:ination)?|stud(?:y|ies)|radiographs?|films?|images?|views?|x-rays?) )?"
_NONE = rf"(?:none|no|nil|absent|negative|(?:none|not) (?:{SEEN}|present|evident))"

# In this order: a later one may rest on what an earlier one leaves.
_REWRITTEN = [
    # There it is, whatever is denied of its course.
    (rf"\b(?:no|without|not) {_DEGREE}{_COURSE} (?:in|of|to)\b{_MEASURE}(?: (?:of|in)\b)?(?! disease\b)", ""),
    (rf"(?: ,)?(?: and)? (?:without|with no) {_DEGREE}{_COURSE}$", ""),
    (r"\b(?:incomplete|partial|near[- ]complete) (?:resolution|clearing) of ", ""),
    (r"\b(?:has|have) not (?:\w+ly )?(?:increased|decreased|improved|progressed|enlarged|changed)(?: in \w+)?", ""),
    (r" (?:is |are )?not (?:\w+ly )?(?:increased|decreased) in (?:size|extent|number)\b", ""),
    (rf"(?: (?:is|are|appears?))? (?:no|not) {_MORE} than {_EARLIER}", ""),
    (rf" (?:is|are|appears?) (?:no|not) {_MORE}$", ""),
    # There it is, whatever is denied of its size.
    (rf"(?: ,| measuring| measures| is| are)? (?:no|not) (?:more|{_MORE}) than [\d.]+(?: x [\d.]+)* ?(?:mm|cm)\b", ""),
    (r"^(?:there (?:is|are) )?no (?:less|fewer|more) than ", ""),
    (r"\b(\w+) if not (\w+) (?=\w)", r"\1 "),
    (r"\bnot only ", ""),
    (r", not (?:seen|present|noted|visible|identified) (?:on|in) (?:prior|previous)[^,]*(?:,|$)", ""),
    (r" , (?=[^,]*\b(?:is |are )?(?:unchanged|stable)$)", " but "),
    (r"(?:^|(?<=but )|(?<=and ))positive for ", ""),
    (r"\bnothing but ", ""),
    (r"\bno reason to doubt\b", "no doubt"),
    (r"\bnot necessarily\b", "possible"),
    # It is not there.
    (rf"^([a-z][a-z/ -]*?) (?::|-|is|are) {_NONE}$", r"no \1"),
    (rf"^none of ([a-z ]+?) (is|are) (?=\w)(?!{SEEN})", r"\1 \2 not "),
    (rf"\b(?:is |are )?(?:can ?not|could not) be (?:\w+ly )?{SEEN}\b", "is not seen"),
    (rf"^(?:one |we |i )?(?:can ?not|could not|do not|did not) {_LOOKS} ", "no "),
    (rf"^(?:we|i) {_LOOKS} no ", "no "),
    (rf"^{_EXAM}(?:fails?|failed) to {_LOOKS} ", "no "),
    (rf"\b(?:there (?:is|are) )?no longer (?!{SEEN}\b|(?:visible|present|evident|{_MORE}|than)\b)", "no "),
    (r"\bnothing to suggest\b", "no evidence of"),
    (r"\b(?:interval )?(?:complete )?(?:resolution|clearing) of\b", "resolution of"),
    (r"^(?:interval |completely |now )*(?:resolved|absent) (?=[a-z])", "no "),
    (r"\bnon-?visuali[sz]ation of\b", "no"),
    (r"\bnil\b", "no"),
    (r"\b(?:devoid|empty) of\b|\bunremarkable for\b", "free of"),
    (r"^lacks? (?!of\b)", "without "),
    (r"\blacks? (?!of\b)", "is without "),
    (r"\b(?:has|have) (?:completely |since )?disappeared\b", "has resolved"),
    (r"\b(?:is|are) (?:completely )?(?:gone|nonexistent)\b", "has resolved"),
    (r"^((?:(?!\b(?:is|are|was|were|be|been|not|no)\b)[a-z ])+) (?:ruled out|excluded)$", r"\1 is excluded"),
    (rf"^((?:(?!\b(?:is|are|was|were|be|been|no)\b)[a-z ])+) not (?={_CHANGED}$)", r"\1 is not "),
]
_PATTERNS = [(re.compile(pattern), text) for pattern, text in _REWRITTEN]


def plain(sentence: str) -> str:
    """A sentence of `clauses.sentences` without such phrases."""
    for pattern, text in _PATTERNS:
        sentence = pattern.sub(text, sentence)
    return re.sub(r"\s+", " ", sentence).strip(" ,")
