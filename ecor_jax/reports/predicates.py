"""Subject and predicate as noun phrases: "heart and mediastinum are normal in size" is "normal heart size", ..."""

import itertools
import re

from ecor_jax.reports.coordination import phrases
from ecor_jax.reports.words import (
    ADJECTIVES,
    ADVERBS,
    AND,
    ATTRIBUTES,
    PLACE,
    SEEN,
    SHOWS,
    VERB,
    is_adjective,
    is_place,
)

_ATTRIBUTE_NAME = f"(?:{'|'.join(sorted(ATTRIBUTES))})"
_ATTRIBUTES = f"{_ATTRIBUTE_NAME}(?:{AND}{_ATTRIBUTE_NAME})*"
_NORMAL = (
    (re.compile(r"\b(?:within|in) (?:normal limits?|limits? (?:of )?normal)(?: limits)?|\bnormal limits\b"), "normal"),
    (
        re.compile(r"\b(?:at )?upper (?:limits? (?:of )?)?normal(?: limits?)?(?: range)?"),
        "upper-limits-of-normal",
    ),
    (re.compile(r"\btop[ -]normal\b"), "top-normal"),
    (re.compile(r"\b(?:for|in) (?:patient'?s? ?)?(?:stated )?age\b|\bfor technique\b"), ""),
    (re.compile(r"\bnormal in appearance\b|\bnormal[- ]appearing\b"), "normal"),
    (re.compile(rf" of (normal {_ATTRIBUTE_NAME})"), r" are \1"),
)
# "normal size and contour of heart"
_ATTRIBUTES_OF = re.compile(rf"^(normal|unremarkable) ({_ATTRIBUTES}) of (.+)$")
_BETWEEN = re.compile(r"(\bbetween \w+(?: \w+)?) and ")
_HERE = re.compile(rf"(?<!\S)(?:{SHOWS}|{VERB})(?!\S)")
_THAT_IS = re.compile(rf"(?: ,)? (?:which|that) (?:{VERB})(?= )|(?: ,)? (?:which|that) (?=have |has )")
_ADVERB = rf"(?:(?:{'|'.join(sorted(ADVERBS))}|upper-limits-of-normal) )*"
_ADJECTIVE = rf"(?:{'|'.join(sorted(ADJECTIVES))}|[\w-]+ed)"
# A predicate without its verb: "heart size normal , lungs clear".
_VERBLESS = re.compile(rf"((?:[\w/-]+ )+?)({_ADVERB}{_ADJECTIVE}(?: (?:in|for) {_ATTRIBUTES})?)$")
_ATTRIBUTE = re.compile(rf"^(?:(?:in|of|for|with respect to|regarding) )?(?:overall )?({_ATTRIBUTES})(?= |$)")
_BEHIND = re.compile(rf"$|(?:{PLACE}|and|or|for|on|,|bilaterally)(?: |$)")
_SEEN = re.compile(rf"^(?:{SEEN}|again {SEEN})\b ?")
_EXAMINATION = re.compile(
    r"(?:limited )?\b(?:evaluation|examination|exam|views?|radiographs?|images?|chest|study|remainder)\b(?: of)?"
)


def noun_phrases(text: str) -> list[str]:
    """The statements of a segment (`scope.Segment.text`) as noun phrases, predicates put before their nouns."""
    for pattern, replacement in _NORMAL:
        text = pattern.sub(replacement, text)
    if not _HERE.search(text):
        text = _ATTRIBUTES_OF.sub(r"\3 are \1 in \2", text)
    text = re.sub(r"\b(?:areas?|regions?) of (?=\w)", "", text)
    text = _BETWEEN.sub(r"\1~and~", text)
    text = re.sub(r"\s+", " ", _THAT_IS.sub("", text)).strip()
    found: list[str] = []
    for subject, verb, predicate in _propositions(_with_verbs(text)):
        if not verb:
            found += phrases(subject)
        elif re.fullmatch(SHOWS, verb):
            found += _shown(subject, predicate)
        else:
            found += _described(subject, predicate)
    return found


def _with_verbs(text: str) -> str:
    """Puts "are" into parts that have an organ and an adjective behind it, but no verb."""
    parts = re.split(r"( , and | , | and (?=[a-z/-]+ ))", text)
    for row in range(0, len(parts), 2):
        match = None if _HERE.search(parts[row]) else _VERBLESS.fullmatch(parts[row])
        if match and is_place(match[1].strip()) and not (row and is_adjective(match[1].split()[0])):
            parts[row] = f"{match[1]}are {match[2]}"
    return "".join(parts)


def _propositions(text: str) -> list[tuple[str, str, str]]:
    """(subject, verb, predicate) of each verb; verb and predicate '' where there is none."""
    verbs = list(_HERE.finditer(text))
    if not verbs:
        return [(text, "", "")]
    found = []
    subject = text[: verbs[0].start()].strip(" ,")
    for row, verb in enumerate(verbs):
        end = verbs[row + 1].start() if row + 1 < len(verbs) else len(text)
        between = text[verb.end() : end].strip(" ,")
        predicate, following = (between, "") if row + 1 == len(verbs) else _next_subject(between)
        found.append((subject, verb[0], predicate))
        if row + 1 < len(verbs) and not following:
            break
        subject = following
    return found


def _next_subject(between: str) -> tuple[str, str]:
    """Divides what stands between two verbs: "clear and heart size" is the predicate "clear" and "heart size"."""
    for match in re.finditer(AND, between):
        rest = between[match.end() :]
        first = rest.split()[0] if rest.split() else ""
        if first and not is_adjective(first) and first not in ADVERBS and first not in ATTRIBUTES:
            return between[: match.start()].strip(" ,"), rest.strip(" ,")
    return between, ""


def _shown(subject: str, shown: str) -> list[str]:
    """ "aorta shows calcifications" is "calcifications of aorta"."""
    shown = re.sub(r"^(?:evidence of|been|xxxx)\b ?", "", shown)
    place = " ".join(_EXAMINATION.sub("", subject).split())
    found = noun_phrases(shown)
    if not place or not is_place(place):
        return [*phrases(place), *found] if place else found
    names = phrases(place)
    return [f"{item} of {name}" if not re.search(rf" {PLACE} ", item) else item for item in found for name in names]


def _described(subject: str, predicate: str) -> list[str]:
    predicate = _SEEN.sub("", predicate).strip(" ,")
    if not predicate:
        return phrases(subject)
    names, others = phrases(subject) if subject else [], []
    adjectives, attributes, rest = _adjectives(predicate)
    if adjectives:
        # "low lung volumes, heart is normal": what names no organ stands for itself.
        organs = [name for name in names if is_place(name)]
        others = [name for name in names if name not in organs] if organs else []
        names = organs or names
    if not adjectives:
        tail = re.match(rf"(?:{PLACE}|\w+(?:ed|ing)\b)", predicate)
        joined = [f"{name} {predicate}" for name in names[-1:]] if tail or names else [predicate]
        return names[:-1] + (phrases(joined[0]) if joined else [])
    behind, more = (rest, "") if rest and not re.match(rf"{AND}|, ", f" {rest}") else ("", rest)
    described = [
        " ".join(part for part in (adjective, name, attribute, behind) if part)
        for name in names or [""]
        for adjective in adjectives
        for attribute in _new(attributes, name)
    ]
    return others + described + (phrases(more.strip(" ,")) if more.strip(" ,") else [])


def _new(attributes: list[str], name: str) -> list[str]:
    """The attributes to add to a name: none to one that has its own, "heart size" is no "heart size contour"."""
    return [""] if not attributes or (name.split()[-1:] and name.split()[-1] in ATTRIBUTES) else attributes


def _adjectives(predicate: str) -> tuple[list[str], list[str], str]:
    """Leading adjectives with their adverbs, the attributes they are of, and the rest: "normal in size and contour"."""
    adjectives: list[str] = []
    rest = predicate
    while True:
        words = rest.split()
        count = 0
        while (
            count < len(words) and words[count] in ADVERBS and not (words[count] == "mild" and count + 1 == len(words))
        ):
            count += 1
        if (count < len(words) and is_adjective(words[count])) or (
            count < len(words) and words[count] == "upper-limits-of-normal"
        ):
            adjectives.append(" ".join(words[: count + 1]))
            rest = " ".join(words[count + 1 :])
        else:
            break
        follows = re.match(AND, f" {rest} ")
        if not follows:
            break
        after = f" {rest} "[follows.end() :].split()
        ahead = list(itertools.dropwhile(ADVERBS.__contains__, after))
        # "normal , low lung volumes": the second belongs to what follows it.
        if not ahead or not is_adjective(ahead[0]) or not _BEHIND.match(" ".join(ahead[1:])):
            break
        rest = " ".join(after)
    attribute = _ATTRIBUTE.match(rest) if adjectives else None
    attributes = [item.strip(" ,") for item in re.split(AND, attribute[1])] if attribute else []
    if attribute:
        rest = rest[attribute.end() :].strip()
    return adjectives, attributes, rest
