"""Clauses of a sentence that speak of the picture, each with one subject or one scope of negation."""

import re

from ecor_jax.reports.comparison import without_comparison
from ecor_jax.reports.relevance import describes_picture, without_asides
from ecor_jax.reports.triggers import TRIGGER
from ecor_jax.reports.words import ADJECTIVES, ADVERBS, AND, VERB, is_adjective, is_place

_THERE = (
    r"there(?: again)? (?:is|are|was|were|has been|have been|appears? to be|does appear to be"
    r"|continues? to be|remains?)"
)
_OPENING = re.compile(
    r"^(?:(?:specifically|however|otherwise|additionally|also|incidentally|of note|in addition|and"
    r"|but|then|overall|again"
    r"|although|as|or|so|note(?: is)?(?: again)?(?: also)? made of|note of|we(?: again)?(?: also)? note"
    rf"|findings? (?:of|are of)|patient has|{_THERE}|it is|there|(?:also )?noted (?:is|are)|seen (?:is|are)"
    r"|considering[^,]*,|given[^,]*,|for [^,]* ,|allowing for[^,]*,|impression|findings|,)(?: |$))+"
)
_LABEL = re.compile(r"^([a-z/ ]{3,40}) : ")
_BREAK = re.compile(
    r"(?: ,)? (?:but|however|although|though|while|whereas|(?<!not )yet(?! to))(?: ,)? | : "
    r"|(?: ,)?(?: and)?(?<! if) there (?:is|are|was|were|has been) |(?: ,)? (?:and|with|also) (?=no )"
    r"| (?=otherwise no )"
    r"| , (?=no |otherwise |recommend|consider|suggest |rule out |r/o |evaluate )| , (?:and )?(?=without )"
    r"|(?:(?<= seen)|(?<= identified)|(?<= noted)|(?<= present)) , "
)
# "hypoinflated but clear": the second adjective has the same subject.
_BUT_ALSO = re.compile(rf" but (?=(?:(?:{'|'.join(sorted(ADVERBS))}) )*(?:{'|'.join(sorted(ADJECTIVES))}|\w+ed)\b)")
_I_SEE_NO = re.compile(r"\b(?:i|we) do not see\b")
_AND = re.compile(AND)
_SUBJECT = re.compile(rf"((?:[\w/,-]+ ){{1,7}}?){VERB} ")
_NEGATED = re.compile(r"\b(?:no|without|not|neither|negative|free)\b")


def clauses(sentence: str) -> list[str]:
    """The clauses of a sentence of `sentences.sentences`, without comparisons; only those of the picture."""
    sentence = without_asides(_labelled(_I_SEE_NO.sub("no", sentence)))
    found = []
    for part in _BREAK.split(_BUT_ALSO.sub(_and_also, sentence)):
        found += _after_negation(part)
    found = [_OPENING.sub("", without_comparison(clause)).strip(" ,.-/") for clause in found]
    return [clause for clause in found if clause and describes_picture(clause)]


def _and_also(but: re.Match[str]) -> str:
    """ " and ", but for a clause that denies or doubts: "no effusion but mild edema" has to end the denial."""
    before = _after_negation(_BREAK.split(but.string[: but.start()])[-1])[-1]
    return but[0] if TRIGGER.search(before) else " and "


def _labelled(sentence: str) -> str:
    """ "lungs : clear" is "lungs are clear"; "findings : clear lungs" is "clear lungs"."""
    label = _LABEL.match(sentence)
    if not label:
        return sentence
    rest = sentence[label.end() :]
    first = rest.split()[0] if rest.split() else ""
    described = is_adjective(first) or rest.startswith("within normal")
    return f"{label[1]} are {rest}" if is_place(label[1]) and described and not re.search(VERB, rest) else rest


def _after_negation(part: str) -> list[str]:
    """ "no effusion is seen and heart is normal" in two: an organ with its own verb ends a negation."""
    for match in _AND.finditer(part):
        subject = _SUBJECT.match(part, match.end())
        if subject and is_place(subject[1]) and _NEGATED.search(part, 0, match.start()):
            return [part[: match.start()], *_after_negation(part[match.end() :])]
    return [part]
