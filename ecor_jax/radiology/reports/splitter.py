"""Rule-based splitter of radiology reports into atomic statements, without a language model.

Splits the text into sentences, clauses and segments that are present, absent or uncertain, then into noun phrases in
normal form: "heart and mediastinum are normal in size" gives "normal heart size" and "normal mediastinum size".
"""

import itertools
import re

from ecor_jax.radiology.reports.clauses import clauses, sentences
from ecor_jax.radiology.reports.phrases import phrases
from ecor_jax.radiology.reports.scope import segments
from ecor_jax.radiology.reports.statements import Statement
from ecor_jax.radiology.reports.words import (
    ADJECTIVE,
    ADVERBS,
    ADVERBS_BEFORE,
    AND,
    ATTRIBUTES,
    PLACE,
    SEEN,
    SHOWS,
    VERB,
    group_of,
    is_adjective,
    is_place,
    normalise,
    words_of,
)

# Nouns that need the name of their organ.
_GENERAL = words_of(
    "abnormality abnormalities finding findings lesion lesions disease process deformity change changes injury"
)
_FRACTURES = words_of("fracture fractures")


def split(text: str) -> tuple[Statement, ...]:
    """Returns the distinct statements of a report (`sections.report_text`) in order of mention; () if it is empty."""
    statements = (
        Statement(descriptor, segment.status, group_of(descriptor))
        for sentence in sentences(text)
        for clause in clauses(sentence)
        for segment in segments(clause)
        for phrase in _noun_phrases(segment.text)
        for located in _located(phrase, segment.about)
        if (descriptor := normalise(located))
    )
    return tuple(dict.fromkeys(statements))


def _located(phrase: str, about: str) -> list[str]:
    """Names the organ of a general noun: "bones are | without | acute abnormality", "acute abnormality of bones"."""
    last = phrase.split()[-1]
    general = last in _FRACTURES or (last in _GENERAL and group_of(phrase) == "other")
    return [f"{phrase} of {organ}" for organ in phrases(about)] if general and is_place(about) else [phrase]


_ATTRIBUTE_NAME = f"(?:{'|'.join(sorted(ATTRIBUTES))})"
_ATTRIBUTES = f"{_ATTRIBUTE_NAME}(?:{AND}{_ATTRIBUTE_NAME})*"
_NORMAL = (
    (re.compile(r"\b(?:within|in) (?:normal limits?|limits? (?:of )?normal)(?: limits)?|\bnormal limits\b"), "normal"),
    (re.compile(r"\b(?:at )?upper (?:limits? (?:of )?)?normal(?: limits?)?(?: range)?"), "upper-limits-of-normal"),
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
# A predicate without a verb: "heart size normal , lungs clear".
_VERBLESS = re.compile(rf"((?:[\w/-]+ )+?)({ADVERBS_BEFORE}{ADJECTIVE}(?: (?:in|for) {_ATTRIBUTES})?)$")
_ATTRIBUTE = re.compile(rf"^(?:(?:in|of|for|with respect to|regarding) )?(?:overall )?({_ATTRIBUTES})(?= |$)")
_BEHIND = re.compile(rf"$|(?:{PLACE}|and|or|for|on|,|bilaterally)(?: |$)")
_TAIL = re.compile(rf"{PLACE}|\w+(?:ed|ing)\b")
_SEEN = re.compile(rf"^(?:{SEEN}|again {SEEN})\b ?")
_EXAMINATION = re.compile(
    r"(?:limited )?\b(?:evaluation|examination|exam|views?|radiographs?|images?|chest|study|remainder)\b(?: of)?"
)


def _noun_phrases(text: str) -> list[str]:
    """Returns the noun phrases of a `scope.Segment.text`; "heart is normal in size" becomes "normal heart size"."""
    for pattern, replacement in _NORMAL:
        text = pattern.sub(replacement, text)
    if not _HERE.search(text):
        text = _ATTRIBUTES_OF.sub(r"\3 are \1 in \2", text)
    text = re.sub(r"\b(?:areas?|regions?) of (?=\w)", "", text)
    text = _BETWEEN.sub(r"\1~and~", text)
    text = re.sub(r"\s+", " ", _THAT_IS.sub("", text)).strip()
    nouns: list[str] = []
    for subject, verb, predicate in _propositions(_with_verbs(text)):
        nouns += (_shown if re.fullmatch(SHOWS, verb) else _described)(subject, predicate)
    return nouns


def _with_verbs(text: str) -> str:
    """Inserts "are" into items of a list that consist of an organ and an adjective without a verb."""
    items = re.split(r"( , and | , | and (?=[a-z/-]+ ))", text)
    for at in range(0, len(items), 2):
        match = None if _HERE.search(items[at]) else _VERBLESS.fullmatch(items[at])
        if match and is_place(match[1].strip()) and not (at and is_adjective(match[1].split()[0])):
            items[at] = f"{match[1]}are {match[2]}"
    return "".join(items)


def _propositions(text: str) -> list[tuple[str, str, str]]:
    """Returns (subject, verb, predicate) for each verb; verb and predicate are '' if there is no verb."""
    verbs = list(_HERE.finditer(text))
    if not verbs:
        return [(text, "", "")]
    propositions = []
    subject = text[: verbs[0].start()].strip(" ,")
    for verb, following in itertools.pairwise(verbs):
        predicate, next_subject = _next_subject(text[verb.end() : following.start()].strip(" ,"))
        propositions.append((subject, verb[0], predicate))
        if not next_subject:
            return propositions
        subject = next_subject
    return [*propositions, (subject, verbs[-1][0], text[verbs[-1].end() :].strip(" ,"))]


def _next_subject(between: str) -> tuple[str, str]:
    """Splits the text between two verbs: "clear and heart size" gives predicate "clear", subject "heart size"."""
    for match in re.finditer(AND, between):
        rest = between[match.end() :]
        first = "".join(rest.split()[:1])
        if first and not is_adjective(first) and first not in ADVERBS and first not in ATTRIBUTES:
            return between[: match.start()].strip(" ,"), rest.strip(" ,")
    return between, ""


def _shown(subject: str, shown: str) -> list[str]:
    """Rewrites "aorta shows calcifications" as "calcifications of aorta"."""
    place = " ".join(_EXAMINATION.sub("", subject).split())
    findings = _noun_phrases(shown)
    if not is_place(place):
        return [*phrases(place), *findings]
    organs = phrases(place)
    return [item if re.search(rf" {PLACE} ", item) else f"{item} of {organ}" for item in findings for organ in organs]


def _described(subject: str, predicate: str) -> list[str]:
    predicate = _SEEN.sub("", predicate).strip(" ,")
    if not predicate:
        return phrases(subject)
    names = phrases(subject)
    adjectives, attributes, rest = _adjectives(predicate)
    if not adjectives:
        if names:
            return [*names[:-1], *phrases(f"{names[-1]} {predicate}")]
        return [] if _TAIL.match(predicate) else phrases(predicate)
    # "low lung volumes, heart is normal": a subject that is not an organ is a statement.
    organs = [name for name in names if is_place(name)]
    others = [name for name in names if name not in organs] if organs else []
    behind, more = (rest, "") if rest and not re.match(rf"{AND}|, ", f" {rest}") else ("", rest)
    described = [
        " ".join(filter(None, (adjective, name, attribute, behind)))
        for name in organs or names or [""]
        for adjective in adjectives
        for attribute in _new(attributes, name)
    ]
    return [*others, *described, *phrases(more.strip(" ,"))]


def _new(attributes: list[str], name: str) -> list[str]:
    """Returns the attributes to add to a name; none if it has one: not "heart size" to "heart size contour"."""
    return [""] if not attributes or (name.split()[-1:] and name.split()[-1] in ATTRIBUTES) else attributes


def _adjectives(predicate: str) -> tuple[list[str], list[str], str]:
    """Splits off leading adjectives with adverbs, and their attributes: "normal in size and contour"."""
    adjectives: list[str] = []
    rest = predicate
    while True:
        words = rest.split()
        # A final "mild" is an adjective, not an adverb.
        adverbs = list(itertools.takewhile(ADVERBS.__contains__, words[:-1] if words[-1:] == ["mild"] else words))
        adjective, *behind = words[len(adverbs) :] or [""]
        if not is_adjective(adjective):
            break
        adjectives.append(" ".join([*adverbs, adjective]))
        rest = " ".join(behind)
        follows = re.match(AND, f" {rest} ")
        after = f" {rest} "[follows.end() :].split() if follows else []
        ahead = list(itertools.dropwhile(ADVERBS.__contains__, after))
        # "normal , low lung volumes": the second adjective belongs to the noun after it.
        if not ahead or not is_adjective(ahead[0]) or not _BEHIND.match(" ".join(ahead[1:])):
            break
        rest = " ".join(after)
    attribute = _ATTRIBUTE.match(rest) if adjectives else None
    attributes = [item.strip(" ,") for item in re.split(AND, attribute[1])] if attribute else []
    if attribute:
        rest = rest[attribute.end() :].strip()
    return adjectives, attributes, rest
