"""Finds the sections of a MIMIC-CXR report and selects those that describe the image.

The selection follows the parser published with MIMIC-CXR (MIT-LCP/mimic-cxr, create_section_files.py): impression, else
findings, else the last paragraph; of several sections with one name, the last that is not empty.
"""

import re
from typing import Literal

from ecor_jax.radiology.reports.words import is_place

Sections = Literal["last", "findings+impression"]
"""`last`: the impression, else the findings, else the last paragraph. `findings+impression`: both, in that order, else
the last paragraph."""

LAST_PARAGRAPH = "last paragraph"
_ROLES = {
    "findings": ("findings", "finding", "report", "observation", "observations", "chest findings"),
    "impression": ("impression", "impressions", "conclusion", "conclusions", "summary", "final impression", "opinion"),
}
_OTHER = (
    "indication|indications|history|clinical history|clinical information|clinical indication|reason for exam|"
    "reason for examination|reason for study|comparison|comparisons|technique|examination|exam|study|procedure|"
    "recommendation|recommendations|notification|notifications"
)
# These headers are recognised in capitals only, because the words also occur in sentences.
_APART = (
    "final report|wet read|preliminary report|addendum|attestation|recommendation(s)|notification(s)|"
    "indication/history|history/indication|type of exam|type of examination"
)
_KNOWN = "|".join((*_ROLES["findings"], *_ROLES["impression"], _OTHER))
_BOTH = r"(?:findings?\s*(?:and|/|&)\s*impressions?|impressions?\s*(?:and|/|&)\s*findings?)"
_HEADER = re.compile(
    # At the start of a line: capitals with a colon, a known name with a colon, or a name in capitals on its own line.
    rf"^[ \t]*(?:(?P<capitals>[A-Z][A-Z0-9 ()/,&#_-]*?)[ \t]*:|(?P<known>(?i:{_BOTH}|{_KNOWN}))[ \t]*:"
    r"|(?P<alone>FINDINGS AND IMPRESSION|FINDINGS/IMPRESSION|FINDINGS|IMPRESSION|CONCLUSION"
    r"|FINAL REPORT|WET READ)[ \t]*$)"
    # Within a line: only the two sections that are used.
    r"|(?<=[.\w] )(?P<within>FINDINGS|IMPRESSION)[ \t]*:",
    re.MULTILINE,
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def sections(text: str) -> tuple[tuple[str, str], ...]:
    """Returns (name, content) of each section in order; names in lower case, contents stripped, '' if empty.

    The text before the first header is the section "preamble". If both findings and impression are empty or missing,
    the text after the first blank line of the last section becomes a separate section, LAST_PARAGRAPH. An unknown
    header within the findings or the impression ("SUPPORT DEVICES:") is part of their content.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    headers = _headers(text)
    ends = [header.start() for _, header in headers] + [len(text)]
    named = [("preamble", text[: ends[0]])]
    named += [(name, text[header.end() : end]) for (name, header), end in zip(headers, ends[1:], strict=True)]
    if not any(content.strip() and _roles(name) for name, content in named):
        named[-1:] = _with_last_paragraph(*named[-1])
    return tuple((name, content.strip()) for name, content in named if content.strip() or name != "preamble")


def _headers(text: str) -> list[tuple[str, re.Match[str]]]:
    """Returns (name, header) of each section; "LUNGS: clear" is content, as is "DEVICES: none" within the findings."""
    headers: list[tuple[str, re.Match[str]]] = []
    for header in _HEADER.finditer(text):
        name = re.sub(r"\s+", " ", next(group for group in header.groups() if group)).strip().lower()
        known = _roles(name) or name in f"{_OTHER}|{_APART}".split("|")
        within = headers and _roles(headers[-1][0])
        if known or not (within or is_place(name)):
            headers.append((name, header))
    return headers


def _with_last_paragraph(name: str, content: str) -> list[tuple[str, str]]:
    first, *last = _BLANK_LINE.split(content.strip("\n"), maxsplit=1)
    if last and last[0].strip():
        return [(name, first), (LAST_PARAGRAPH, last[0])]
    # "PORTABLE CHEST: ..." and a report without headers are one paragraph; "INDICATION: cough" describes no image.
    return [(name, content)] if name in _OTHER.split("|") else [(LAST_PARAGRAPH, content)]


def _roles(name: str) -> list[str]:
    """Returns the roles of a section: "findings", "impression", both or none."""
    return [role for role, names in _ROLES.items() if name in names or re.fullmatch(_BOTH, name)]


def report_text(text: str, which: Sections = "last") -> str:
    """Returns the sections of a report that describe the image; '' if there are none (empty, only an indication)."""
    by_role: dict[str, str] = {}
    for name, content in sections(text):
        if content:
            by_role |= dict.fromkeys(_roles(name) or [name], content)
    if which == "last":
        return by_role.get("impression") or by_role.get("findings") or by_role.get(LAST_PARAGRAPH, "")
    contents = dict.fromkeys(by_role[role] for role in _ROLES if role in by_role)
    return "\n\n".join(contents) or by_role.get(LAST_PARAGRAPH, "")
