"""The descriptor table as a page: the most frequent descriptors of each group, and how often they are negated."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecor_jax.pages.page import write_page
from ecor_jax.reports.statements import GROUPS
from ecor_jax.reports.table import Descriptor

SHOWN = 60
"""Descriptors of a group on the page; all of them are in the CSV file beside it."""
NOTES = (
    "A descriptor's count is the number of reports that mention it: as present, absent or uncertain.",
    "The descriptors were taken out of free text by a program. They are as good as its reading, which is not perfect.",
    "Research software, not a medical device: not for diagnosis or treatment.",
)


def write_table_page(found: Sequence[Descriptor], directory: Path, title: str, facts: Mapping[str, str]) -> Path:
    """Writes `index.html` into the directory and returns its path; UserError as `write_page` raises it.

    `facts` are shown below the title, as they are.
    """
    groups = {name: [descriptor for descriptor in found if descriptor.group == name] for name in GROUPS}
    return write_page(
        directory,
        "descriptors.html",
        title=title,
        intro="What the reports say, one descriptor a line, grouped by anatomy; the most frequent first. "
        "descriptors.csv beside this page has all of them.",
        facts=facts,
        groups={name: descriptors for name, descriptors in groups.items() if descriptors},
        most=SHOWN,
        notes=NOTES,
    )
