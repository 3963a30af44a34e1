"""Which evidence of a diagnosis is worth showing first: pure functions of the evidence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ecor_jax.explain.study_records import Evidence


class Selection(NamedTuple):
    """The strongest evidence of four kinds, each by the size of its contribution, and the sum of all the rest.

    What is shown and `rest` (of `left_out` descriptors) add up to all contributions. "Seen" is a cosine beyond the
    typical; evidence is for the finding where its contribution is positive. Evidence that contributes nothing is of
    no kind.
    """

    seen_for: tuple[Evidence, ...]
    seen_against: tuple[Evidence, ...]
    unseen_for: tuple[Evidence, ...]
    unseen_against: tuple[Evidence, ...]
    rest: float
    left_out: int

    @property
    def shown(self) -> tuple[Evidence, ...]:
        return self.seen_for + self.seen_against + self.unseen_for + self.unseen_against


def select(evidence: Sequence[Evidence], top: int) -> Selection:
    """The `top` strongest of each kind; ties keep the order in which they are given."""
    kinds: dict[str, list[Evidence]] = {"seen_for": [], "seen_against": [], "unseen_for": [], "unseen_against": []}
    rest = []
    for one in strongest_first(evidence):
        kind = kinds[f"{'seen' if one.seen else 'unseen'}_{'for' if one.contribution > 0 else 'against'}"]
        if one.contribution and len(kind) < top:
            kind.append(one)
        else:
            rest.append(one.contribution)
    found = {name: tuple(kind) for name, kind in kinds.items()}
    return Selection(**found, rest=math.fsum(rest), left_out=len(rest))


def strongest_first(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence by the size of its contribution; ties keep the order in which they are given."""
    return sorted(evidence, key=lambda one: -abs(one.contribution))


class Reported(NamedTuple):
    """A reported descriptor, and whether the model sees it: None where it has no such descriptor."""

    descriptor: str
    seen: bool | None


def compare(reported: Sequence[str], evidence: Sequence[Evidence]) -> list[Reported]:
    """Which of the reported descriptors the model has, and sees; capitals and spaces do not count."""
    seen: dict[str, bool] = {}
    for one in evidence:
        name = _normal(one.descriptor)
        seen[name] = seen.get(name, False) or one.seen
    return [Reported(one, seen.get(_normal(one))) for one in reported]


def _normal(descriptor: str) -> str:
    return " ".join(descriptor.casefold().split())
