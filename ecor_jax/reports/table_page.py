"""The descriptor table as a page: the most frequent descriptors of each group, and how often they are negated."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecor_jax.explain.document import document
from ecor_jax.explain.html import Html, join, table, tag
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import Report as About
from ecor_jax.explain.sections import Part, notes_part, part
from ecor_jax.reports.statements import GROUPS
from ecor_jax.reports.table import Descriptor

SHOWN = 60
"""Descriptors of a group on the page; all of them are in the CSV file beside it."""

_STYLE = """
th:first-child{min-width:8.5rem}
.shares{display:flex;height:.55rem;border-radius:4px;overflow:hidden;background:var(--inset);margin-top:.25rem;
 forced-color-adjust:none;min-width:6rem}
.shares i{display:block}
.shares .is{background:var(--rr)}.shares .maybe{background:var(--wr)}.shares .not{background:var(--ww)}
.keys{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;list-style:none;margin-top:.9rem;font-size:.875rem}
.keys i{display:inline-block;width:.8rem;height:.8rem;border-radius:3px;margin-right:.45rem;vertical-align:-.08rem;
 forced-color-adjust:none}
.keys .is{background:var(--rr)}.keys .maybe{background:var(--wr)}.keys .not{background:var(--ww)}
"""
_NOTES = (
    "A descriptor's count is the number of reports that mention it: as present, absent or uncertain.",
    "The descriptors were taken out of free text by a program. They are as good as its reading, which is not perfect.",
    "Research software, not a medical device: not for diagnosis or treatment.",
)


def write_table_page(found: Sequence[Descriptor], directory: Path, title: str, facts: Mapping[str, str]) -> Path:
    """Writes `index.html` into the directory and returns its path; UserError as `publish.publish` raises it.

    `facts` are shown below the title, as they are.
    """
    intro = (
        "What the reports say, one descriptor a line, grouped by anatomy; the most frequent first. "
        "descriptors.csv beside this page has all of them."
    )
    about = About(title=title, intro=intro, facts=facts)
    parts = [_group(name, [one for one in found if one.group == name]) for name in GROUPS]
    parts = [one for one in parts if one is not None]
    if parts:
        parts[0] = parts[0]._replace(section=join(_KEYS, parts[0].section))
    return publish(directory, lambda folder: document(about, [*parts, notes_part(_NOTES)], _STYLE))


def _key(name: str, meaning: str) -> Html:
    return tag("li", tag("i", class_=name, aria_hidden="true"), meaning)


_KEYS = tag("ul", _key("is", "present"), _key("maybe", "uncertain"), _key("not", "absent (negated)"), class_="keys")


def _group(name: str, found: Sequence[Descriptor]) -> Part | None:
    if not found:
        return None
    shown = found[:SHOWN]
    lead = f"{len(found):,} descriptors"
    lead += f"; the {len(shown)} most frequent." if len(shown) < len(found) else "."
    header = ["Descriptor", "Reports", "Present", "Negated", "Uncertain"]
    drawn = table(f"Descriptors: {name}", header, [_row(one) for one in shown])
    return part(name, name.capitalize(), lead, tag("div", drawn, class_="card"))


def _row(one: Descriptor) -> list[str]:
    counts = (one.count, one.present, one.negated, one.uncertain)
    return [join(one.text, _shares(one)), *(f"{count:,}" for count in counts)]


def _shares(one: Descriptor) -> Html:
    """A bar that repeats the numbers of its row, so a screen reader leaves it out."""
    parts = (("is", one.present), ("maybe", one.uncertain), ("not", one.negated))
    bars = (tag("i", class_=name, style=f"width:{100 * count / one.count:.2f}%") for name, count in parts if count)
    return tag("div", *bars, class_="shares", aria_hidden="true")
