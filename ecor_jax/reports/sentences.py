"""Sentences of a report, in lower case, with commas as words of their own and without de-identification."""

import html
import re

HIDDEN = "xxxx"
"""What stands for every de-identified word: `XXXX` of Open-I, `___` of MIMIC-CXR."""

_HIDDEN_MARK = re.compile(r"\bX{2,}\b|_{2,}|\[\*\*.*?\*\*\]")
_X_RAY = re.compile(r"\b(chest) x-(?:XXXX|rays?\b|___)", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?<!\S)(\d{1,2})[.)]\s*(?=[A-Za-z])")
_STOP = re.compile(
    r"(?<!\bdr)(?<!\bvs)(?<!\bapprox)(?<!\be\.g)(?<!\bi\.e)[.!?](?=[\s>\])]|$)|(?<=[a-z])\.(?=[A-Z])", re.IGNORECASE
)
# A full stop was forgotten where one of these starts in the middle of a line.
_FORGOTTEN_STOP = re.compile(r"(?<=[a-z])\s+(?=(?:No|There|The|Heart|Lungs) [a-z])")
# Blank lines, and lines that open with a label of their own: "HEART: normal".
_NEW_LINE = re.compile(r"\n\s*\n|\n(?=[ \t]*[A-Z][A-Z ,/&()-]*:)")
_BRACKETS = re.compile(r"\([^()]*\)")
_COMMA = re.compile(r"\s*,(?!\d)\s*")
_OTHER_SIGN = re.compile(r"[^a-z0-9.,:/%+'\- ]")
_ARTICLE = re.compile(r"\b(?:the|an?|its|their|his|her|this|these|those|any|some|both)\b(?![-.])")


def sentences(text: str) -> list[str]:
    """The sentences of a text: split at full stops, semicolons, blank lines and the numbers of a list.

    A line that opens with a label in capitals starts one. "1. The heart, XXXX is 2.5 cm." is
    ["heart , xxxx is 2.5 cm"]: decimals stay; brackets and articles go.
    """
    text = _HIDDEN_MARK.sub(HIDDEN, _X_RAY.sub(r"\1", html.unescape(text)))
    text = _NEW_LINE.sub(". ", text)
    text = _without_list_numbers(re.sub(r"\s+", " ", text))
    text = _FORGOTTEN_STOP.sub("\n", _STOP.sub("\n", text.replace(";", "\n")))
    tidied = (_tidy(line) for line in text.split("\n"))
    return [line for line in tidied if line]


def _without_list_numbers(text: str) -> str:
    """A number counts as a list's only where the one before it came before: "rib 7. The lungs" is no list."""
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
    line = re.sub(rf"\b{HIDDEN}-(?=\w)|(?<=\w)-{HIDDEN}\b", "", line)
    line = re.sub(r"\s*:\s*", " : ", _ARTICLE.sub(" ", line))
    return re.sub(r"\s+", " ", line).strip(" .,:-/")
