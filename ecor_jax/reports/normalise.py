"""The normal form of a descriptor: lower case, without articles, status words and de-identified words."""

import re

from ecor_jax.reports.sentences import HIDDEN
from ecor_jax.reports.words import (
    ADVERBS,
    ATTRIBUTES,
    DISEASES,
    ORGAN_ADJECTIVES,
    PLACE,
    QUALITIES,
    SEEN,
    SIDES,
    is_adjective,
    is_place,
    words_of,
)

_DROPPED = re.compile(
    rf"\b(?:{HIDDEN}|visualized|visualised|visible|definite|convincing|obvious|overt|appreciable|discernible|identifiable"
    rf"|(?:radiographic |{HIDDEN} |significant |current |present )*evidence(?: of| for| to)?"
    rf"|typical|(?:typical )?findings of|(?:{HIDDEN} )?signs? of|suggestion of|presence of|appearance of"
    r"|manifestations of|sequelae? of|areas? of|region of|which|that|is|are|was|were|been|there|again|also|otherwise"
    r"|however|currently|radiographic|radiographically|apparent|patient|demonstrating|redemonstration of"
    r"|combination of|either|stable|unchanged|as well|respectively|, as|noted to be|demonstration of)\b"
    rf"|(?<= ){SEEN}\b(?! (?:nodule|mass))"
)
_JOINTS = rf"and|or|nor|to|with|as|for|by|but|than|be|on|from|{PLACE}"
_EDGE = re.compile(rf"^(?:(?:{_JOINTS}|has|have)(?: |$)|[ ,.:/%'+-])+|(?:(?:^| )(?:{_JOINTS}|between)|[ ,.:/'+-])+$")
_NOTHING = words_of(f"""
    change changes finding findings comparison evidence {HIDDEN} abnormal other others area areas interval position
    technique none no appearance examination exam study view views radiograph extent evaluation time located only
""")
_MODIFIERS = ADVERBS | ATTRIBUTES | SIDES | QUALITIES | ORGAN_ADJECTIVES | _NOTHING
_HIDDEN_HEAD = re.compile(rf" (?:{HIDDEN} ?)+$")


def normalise(phrase: str) -> str:
    """The normal form of a noun phrase; '' where nothing is left that describes a picture."""
    text = (
        _DROPPED.sub(" ", phrase)
        .replace("upper-limits-of-normal", "upper limits of normal")
        .replace("top-normal", "top normal")
        .replace("~and~", " and ")
    )
    text = _EDGE.sub("", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r"(?: ,)+ ?", ", ", text).strip(" ,")
    words = text.split()
    if _says_nothing(words) or is_place(text.replace(",", " ,")):
        return ""
    # "pulmonary xxxx": of what, was taken out; "blunting of costophrenic xxxx" still is a blunting.
    headless = _HIDDEN_HEAD.search(phrase) and words[-1] in ORGAN_ADJECTIVES
    return "" if headless and not re.search(rf"\b{PLACE}\b", text) else text


def _says_nothing(words: list[str]) -> bool:
    """Adjectives, and at most a noun of no content: "normal", "normal size", "mild changes"."""
    if not ORGAN_ADJECTIVES.isdisjoint(words) and not (ATTRIBUTES | _NOTHING).isdisjoint(words):
        return False  # "normal hilar contours", "acute bony changes"
    if not {"finding", "findings"}.isdisjoint(words) and len(words) > 1:
        return False  # "acute findings"
    return all(
        word in _MODIFIERS or (is_adjective(word) and word not in DISEASES) or not re.search("[a-z]{2}", word)
        for word in words
    )
