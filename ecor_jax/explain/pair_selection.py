"""Which concepts of a pair are worth showing first: pure functions of its concepts.

Groups and concepts come in the order in which they are given, and ties keep it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ecor_jax.explain.pair_records import Concept


class Highlight(NamedTuple):
    """A group with the concepts that stand for it, best first.

    `size` is the number of all concepts of the group, `contribution` what they add to the similarity together,
    `difference` the total variation of the two pictures' activations in [0, 1]: half their L1 distance, which is
    the share of one that has to move to make the other.
    """

    group: str
    concepts: tuple[Concept, ...]
    size: int
    contribution: float
    difference: float


def groups(concepts: Sequence[Concept]) -> dict[str, list[Concept]]:
    """The concepts by group."""
    found: dict[str, list[Concept]] = {}
    for concept in concepts:
        found.setdefault(concept.group, []).append(concept)
    return found


def most_shared(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """The `top` groups that add most to the similarity, each with the concept that both pictures activate most.

    That is the one with the largest smaller activation: both show it at least so much.
    """
    found = [
        _highlight(name, members, [max(members, key=lambda one: min(one.first, one.second))])
        for name, members in groups(concepts).items()
    ]
    return sorted(found, key=lambda one: -one.contribution)[:top]


def most_different(concepts: Sequence[Concept], top: int) -> list[Highlight]:
    """The `top` groups in which the pictures differ most, each with the strongest concept of either picture.

    Where both have the same strongest concept, it stands alone.
    """
    found = []
    for name, members in groups(concepts).items():
        first = max(members, key=lambda one: one.first)
        second = max(members, key=lambda one: one.second)
        found.append(_highlight(name, members, [first] if first is second else [first, second]))
    return sorted(found, key=lambda one: -one.difference)[:top]


def _highlight(name: str, members: Sequence[Concept], chosen: Sequence[Concept]) -> Highlight:
    contribution = math.fsum(one.contribution for one in members)
    difference = math.fsum(abs(one.first - one.second) for one in members) / 2
    return Highlight(name, tuple(chosen), len(members), contribution, difference)
