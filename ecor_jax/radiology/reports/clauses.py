"""Splits a radiology report into sentences and clauses; drops clauses that do not describe the image."""

import html
import re

from ecor_jax.radiology.reports import idioms
from ecor_jax.radiology.reports.scope import TRIGGER
from ecor_jax.radiology.reports.words import ADJECTIVE, ADVERBS_BEFORE, AND, MASKED, VERB, is_adjective, is_place

_HIDDEN_MARK = re.compile(r"\bX{2,}\b|_{2,}|\[\*\*.*?\*\*\]")
_X_RAY = re.compile(r"\b(chest) x-(?:XXXX|rays?\b|___)", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?<!\S)(\d{1,2})[.)]\s*(?=[A-Za-z])")
_STOP = re.compile(
    r"(?<!\bdr)(?<!\bvs)(?<!\bapprox)(?<!\be\.g)(?<!\bi\.e)[.!?](?=[\s>\])]|$)|(?<=[a-z])\.(?=[A-Z])", re.IGNORECASE
)
# Words that, in the middle of a line, mark a missing full stop.
_FORGOTTEN_STOP = re.compile(r"(?<=[a-z])\s+(?=(?:No|There|The|Heart|Lungs) [a-z])")
# Blank lines, and lines that start with a label: "HEART: normal".
_NEW_LINE = re.compile(r"\n\s*\n|\n(?=[ \t]*[A-Z][A-Z ,/&()-]*:)")
_BRACKETS = re.compile(r"\([^()]*\)")
_COMMA = re.compile(r"\s*,(?!\d)\s*")
_OTHER_SIGN = re.compile(r"[^a-z0-9.,:/%+'\- ]")
_ARTICLE = re.compile(r"\b(?:the|an?|its|their|his|her|this|these|those|any|some|both)\b(?![-.])")


def sentences(text: str) -> list[str]:
    """Splits a text at full stops, semicolons, blank lines, list numbers and lines that start with a label in capitals.

    "1. The heart, XXXX is 2.5 cm." gives ["heart , xxxx is 2.5 cm"]: decimals are kept, brackets and articles removed.
    """
    text = _HIDDEN_MARK.sub(MASKED, _X_RAY.sub(r"\1", html.unescape(text)))
    text = _NEW_LINE.sub(". ", text)
    text = _without_list_numbers(re.sub(r"\s+", " ", text))
    text = _FORGOTTEN_STOP.sub("\n", _STOP.sub("\n", text.replace(";", "\n")))
    tidied = (_tidy(line) for line in text.split("\n"))
    return [line for line in tidied if line]


def _without_list_numbers(text: str) -> str:
    """Replaces list numbers, which are 1 or follow the last one, by line breaks; keeps the 7 of "rib 7. The lungs"."""
    expected = 1

    def drop(match: re.Match[str]) -> str:
        nonlocal expected
        number = int(match[1])
        if number not in (1, expected):
            return match[0]
        expected = number + 1
        return "\n"

    return _LIST_NUMBER.sub(drop, text)


def _tidy(line: str) -> str:
    line = re.sub(r"'s?(?!\w)", "", _BRACKETS.sub(" ", line.lower()))
    line = _COMMA.sub(" , ", _OTHER_SIGN.sub(" ", line))
    line = re.sub(rf"\b{MASKED}-(?=\w)|(?<=\w)-{MASKED}\b", "", line)
    line = re.sub(r"\s*:\s*", " : ", _ARTICLE.sub(" ", line))
    return re.sub(r"\s+", " ", line).strip(" .,:-/")


_THERE = (
    r"there(?: again)? (?:is|are|was|were|has been|have been|appears? to be|does appear to be"
    r"|continues? to be|remains?)"
)
_OPENING = re.compile(
    r"^(?:(?:specifically|however|otherwise|additionally|also|incidentally|of note|in addition|and|but|then|overall"
    r"|again|although|as|or|so|note(?: is)?(?: again)?(?: also)? made of|note of|we(?: again)?(?: also)? note"
    rf"|findings? (?:of|are of)|patient has|{_THERE}|it is|there|(?:also )?noted (?:is|are)|seen (?:is|are)"
    r"|(?:considering|given|allowing for)[^,]*,|for [^,]* ,|impression|findings|,)(?: |$))+"
)
_LABEL = re.compile(r"^([a-z/ ]{3,40}) : ")
_BREAK = re.compile(
    r"(?: ,)? (?:but|however|although|though|while|whereas|(?<!not )yet(?! to))(?: ,)? | : "
    r"|(?: ,)?(?: and)?(?<! if) there (?:is|are|was|were|has been) |(?: ,)? (?:and|with|also) (?=no )"
    r"| (?=otherwise no )| , (?=no |otherwise |recommend|consider|suggest |rule out |r/o |evaluate )"
    r"| , (?:and )?(?=without )|(?:(?<= seen)|(?<= identified)|(?<= noted)|(?<= present)) , "
)
# "hypoinflated but clear": both adjectives share the subject.
_BUT_ALSO = re.compile(rf" but (?={ADVERBS_BEFORE}{ADJECTIVE}\b)")
_AND = re.compile(AND)
_SUBJECT = re.compile(rf"((?:[\w/,-]+ ){{1,7}}?){VERB} ")
_NEGATED = re.compile(r"\b(?:no|without|not|neither|negative|free)\b")


def clauses(sentence: str) -> list[str]:
    """Returns the clauses of a sentence of `sentences` that describe the image, without comparisons."""
    sentence = _without_asides(_labelled(idioms.plain(sentence)))
    pieces = _BREAK.split(_BUT_ALSO.sub(_and_also, sentence))
    whole = [clause for piece in pieces for clause in _after_negation(piece)]
    bare = [_OPENING.sub("", _without_comparison(clause)).strip(" ,.-/") for clause in whole]
    # The words of the others show that they hold advice, messages, history or technique.
    return [clause for clause in bare if clause and _TECHNIQUE.sub("", f"{clause} ") and not _IRRELEVANT.search(clause)]


def _and_also(but: re.Match[str]) -> str:
    """Returns the replacement of a "but": " and ", or itself if it ends a negation or doubt ("no mass but edema")."""
    before = _after_negation(_BREAK.split(but.string[: but.start()])[-1])[-1]
    return but[0] if TRIGGER.search(before) else " and "


def _labelled(sentence: str) -> str:
    """Rewrites "lungs : clear" as "lungs are clear", and "findings : clear lungs" as "clear lungs"."""
    label = _LABEL.match(sentence)
    if not label:
        return sentence
    rest = sentence[label.end() :]
    described = is_adjective(rest.split()[0]) or rest.startswith("within normal")
    return f"{label[1]} are {rest}" if is_place(label[1]) and described and not re.search(VERB, rest) else rest


def _after_negation(clause: str) -> list[str]:
    """Splits "no effusion is seen and heart is normal" in two: an organ with its own verb ends a negation."""
    for match in _AND.finditer(clause):
        subject = _SUBJECT.match(clause, match.end())
        if subject and is_place(subject[1]) and _NEGATED.search(clause, 0, match.start()):
            return [clause[: match.start()], *_after_negation(clause[match.end() :])]
    return [clause]


# Clauses that do not describe the image.
_NOT_THE_PICTURE = (
    # Advice.
    r"recommend\w*|correlat\w+|follow-?up|further (?:evaluation|imaging|assessment|characterization)|if|please",
    r"attention|would|repeat|biopsy|bone scan|pet|(?:should|could|can) be obtained|should be|may be helpful",
    r"is suggested|consider (?:ct|follow|chest|further|repeat|dedicated)",
    # The clinical question.
    r"evaluat(?:ed?|ion|ing) for",
    # Messages.
    r"dictat\w+|discussed|telephone\w*|notif\w+|communicated|message|veriphy|primordial|results?|informed|called",
    r"thank you|end of report|opportunity|radiologists?|signed|interpretation|reviewed|attending",
    # History and other examinations.
    r"patient (?:is|was|rotation|positioning)|history|clinical (?:concern|suspicion|correlation|history|indication)",
    r"comparison (?:is|with)|comparisons|(?:for|no) comparison|similar appearance|not available|refer to",
    r"see (?:full|above|report|body)|as above|as described|described above",
    # Technique and image quality.
    r"technique|exam(?:ination)? is|(?:is|somewhat) limited|limited (?:exam|assessment|by|secondary|due|study)",
    r"limiting|(?:is|are)(?: \w+)? rotated|motion artifact|poorly visualized|not (?:well evaluated|included|imaged)",
    r"excluded from|obscured by patient|evaluation (?:is|of)|(?:could|may|can|might) obscure",
    r"(?:was|were) (?:obtained|performed)|submitted|consists of|images?$",
)
_IRRELEVANT = re.compile(
    rf"\b(?:{'|'.join(_NOT_THE_PICTURE)})\b|^(?:to )?(?:rule out|r/o|exclude|assess|evaluate) "
    r"|^limited (?:\w+ )?(?:evaluation|visualization|views?)\b(?!.*\b(?:reveals?|shows?|demonstrates?|no) )"
)
_VIEW = r"(?:views?|projections?|radiographs?|images?|films?)"
_TECHNIQUE = re.compile(
    r"(?:\d+|two|one|three|single|pa|ap|portable|(?:semi-?)?upright|frontal|lateral|supine|lordotic|apical|and|of|xxxx"
    rf"|{_VIEW}|study|examination|exam|obtained|,|chest|left|right|knee|shoulder|ribs?|abdomen|hand|foot|hip)(?: |$)"
)
_SEEN_ON_VIEW = re.compile(
    r" ,? ?(?:(?:(?:is |are )?not )?(?:best |well |well-|clearly |definitely )?(?:seen|visualized|noted|identified"
    r"|localized) )?(?:(?:only )?(?:on|in|with) )?(?:xxxx )?(?:frontal|lateral|pa|ap)(?: and (?:lateral|frontal))? "
    rf"(?:{_VIEW}|xxxx)\b"
)
_EXCUSE = (
    r"(?:considering|accounting for|allowing for|given|for)(?: \w+){0,6}? (?:technical factors|technique|projection)"
)
_ASIDE = re.compile(
    rf"^{_EXCUSE}(?: ,)?|\b{_EXCUSE}|\bin (?:\w+ )?clinical setting\b|\bin setting of (?:xxxx|\w+)|\bin patients?\b.*"
)
_ADVICE = re.compile(
    r"(?: ,| and| for which| if) (?:(?! , ).)*\b(?:recommended|advised|suggested|suspect|warranted)\b.*"
    r"| ,(?: and)? (?:if|correlate|please|recommend) .*"
)


def _without_asides(sentence: str) -> str:
    """Removes views ("seen on lateral view"), remarks on technique ("for technique") and advice."""
    sentence = _SEEN_ON_VIEW.sub("", f" {sentence}").strip()
    return _ADVICE.sub("", _ASIDE.sub("", sentence)).strip(" ,")


# Comparisons with earlier images and the rest of their clause: a single image cannot show them.
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
_CHANGE = re.compile(
    r"\b(?:in interval|over (?:time|interval)|as before"
    r"|(?:left|right) (?:greater|worse|more|larger) than(?: on)? (?:left|right)(?: side)?"
    # Unchanged.
    r"|(?:grossly |relatively |essentially |overall |mildly |slightly |significantly )?(?:stable|unchanged)(?: in)?"
    r"(?: (?:appearance|size|position|configuration|contours?|interval))?(?: of| in)?(?= |$)"
    r"|interval(?: development of)?|redemonstrat\w+(?: of)?|again|previously|largely|continued"
    r"|(?<!may )persist(?:s|ent|ing)?|newly|worsening|currently|today|once"
    # Changed.
    r"|(?:has|have)(?: also)?(?: mildly| slightly| somewhat| significantly| xxxx)? (?:increased|decreased|improved"
    r"|worsened|progressed|developed|changed|enlarged)(?: slightly)?(?: in (?:size|interval))?)\b"
)
# "are stable and normal" leaves "are and normal".
_LEFT_OVER = re.compile(rf"\b({VERB})(?: {VERB})? (?:and )?(?=\S)")


def _without_comparison(clause: str) -> str:
    """Rewrites "effusion , unchanged since prior study" as "effusion"; returns '' if nothing else remains."""
    clause = _CHANGE.sub("", _COMPARED.sub("", f" {_NO_CHANGE.sub('', clause)}"))
    return _LEFT_OVER.sub(r"\1 ", re.sub(r"\s+", " ", clause)).strip(" ,.-/")
