"""The descriptors of many reports: how often each is said to be there, not to be there, or perhaps to be."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecor_jax.atomic import new_file
from ecor_jax.reports.statements import STATUSES, Statement

COLUMNS = ("text", "group", "count", "negated", "uncertain")


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
    """A CSV file with COLUMNS; `count` is of all mentions, `negated` and `uncertain` of those of them."""
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((item.text, item.group, item.count, item.negated, item.uncertain) for item in table)
