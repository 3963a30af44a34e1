"""The table of descriptors of a corpus, with counts by status, as a CSV file and an HTML page."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecor_jax.atomic import new_file
from ecor_jax.pages.page import write_page
from ecor_jax.radiology.reports.statements import GROUPS, STATUSES, Statement


@dataclass(frozen=True)
class Descriptor:
    """A descriptor of a corpus, with the number of reports by status; `count` is the sum of the three numbers."""

    text: str
    group: str
    present: int
    negated: int
    uncertain: int

    @property
    def count(self) -> int:
        return self.present + self.negated + self.uncertain


def descriptors(reports: Iterable[Sequence[Statement]]) -> tuple[Descriptor, ...]:
    """Returns the descriptors of the reports' statements, by descending count, then by text.

    A report counts once per distinct statement; one that both affirms and denies a descriptor counts for both.
    """
    counts: Counter[tuple[str, str]] = Counter()
    groups: dict[str, str] = {}
    for statements in reports:
        for statement in set(statements):
            counts[statement.text, statement.status] += 1
            groups[statement.text] = statement.group
    table = [Descriptor(text, group, *(counts[text, status] for status in STATUSES)) for text, group in groups.items()]
    return tuple(sorted(table, key=lambda descriptor: (-descriptor.count, descriptor.text)))


def write_table(table: Sequence[Descriptor], path: Path) -> None:
    """Writes a CSV file; `count` includes `negated` and `uncertain`."""
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "group", "count", "negated", "uncertain"))
        writer.writerows((item.text, item.group, item.count, item.negated, item.uncertain) for item in table)


def write_table_page(table: Sequence[Descriptor], directory: Path, title: str, facts: Mapping[str, str]) -> Path:
    """Writes `index.html` into the directory and returns its path; raises UserError as `write_page` does.

    `facts` are shown unchanged below the title.
    """
    groups = {group: members for group in GROUPS if (members := [item for item in table if item.group == group])}
    return write_page(directory, "descriptors.html", title=title, facts=facts, groups=groups)
