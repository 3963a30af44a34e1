"""The descriptors of many reports, as a CSV file and a page: how often each is present, absent or uncertain."""

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
    """A descriptor of a corpus. `count` is the number of reports that mention it, whichever way."""

    text: str
    group: str
    present: int
    negated: int
    uncertain: int

    @property
    def count(self) -> int:
        return self.present + self.negated + self.uncertain


def descriptors(reports: Iterable[Sequence[Statement]]) -> tuple[Descriptor, ...]:
    """The descriptors of the reports' statements, most mentioned first, then by text.

    Each report adds one for each of its statements; one that both affirms and denies a descriptor counts in both.
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
    """A CSV file; its `count` is of all mentions, `negated` and `uncertain` of those of them."""
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "group", "count", "negated", "uncertain"))
        writer.writerows((item.text, item.group, item.count, item.negated, item.uncertain) for item in table)


def write_table_page(table: Sequence[Descriptor], directory: Path, title: str, facts: Mapping[str, str]) -> Path:
    """Writes `index.html` into the directory and returns its path; UserError as `write_page` raises it.

    `facts` are shown below the title, as they are.
    """
    groups = {group: [descriptor for descriptor in table if descriptor.group == group] for group in GROUPS}
    groups = {group: descriptors for group, descriptors in groups.items() if descriptors}
    return write_page(directory, "descriptors.html", title=title, facts=facts, groups=groups)
