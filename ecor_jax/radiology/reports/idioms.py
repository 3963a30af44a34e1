"""Rewrites pseudo-negations and unusual negations in words that `scope` recognises.

"No increase in the effusion" states that there is one; "the lungs lack consolidation" states that there is none. The
first kind are NegEx's pseudo-negations (Chapman et al. 2001).
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

# The order matters: a pattern may rely on the result of an earlier one.
_REWRITTEN = [
    # Present: only a change of the finding is negated.
    (rf"\b(?:no|without|not) {_DEGREE}{_COURSE} (?:in|of|to)\b{_MEASURE}(?: (?:of|in)\b)?(?! disease\b)", ""),
    (rf"(?: ,)?(?: and)? (?:without|with no) {_DEGREE}{_COURSE}$", ""),
    (r"\b(?:incomplete|partial|near[- ]complete) (?:resolution|clearing) of ", ""),
    (r"\b(?:has|have) not (?:\w+ly )?(?:increased|decreased|improved|progressed|enlarged|changed)(?: in \w+)?", ""),
    (r" (?:is |are )?not (?:\w+ly )?(?:increased|decreased) in (?:size|extent|number)\b", ""),
    (rf"(?: (?:is|are|appears?))? (?:no|not) {_MORE} than {_EARLIER}", ""),
    (rf" (?:is|are|appears?) (?:no|not) {_MORE}$", ""),
    # Present: only a size of the finding is negated.
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
    # Absent.
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
    """Rewrites pseudo-negations and unusual negations in a sentence that `clauses.sentences` returned."""
    for pattern, text in _PATTERNS:
        sentence = pattern.sub(text, sentence)
    return re.sub(r"\s+", " ", sentence).strip(" ,")
