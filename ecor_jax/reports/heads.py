"""Nouns that phrases of a list share: "right and left pleural effusions", "acute bony or soft tissue abnormality"."""

import itertools
import re
from collections.abc import Callable, Sequence

from ecor_jax.reports.words import (
    ADVERBS,
    ORGAN_ADJECTIVES,
    ORGANS,
    PLACE,
    QUALITIES,
    SIDES,
    is_adjective,
    is_place,
)

_PLACED = re.compile(rf" {PLACE} ")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_KIND = re.compile(r"(?!scar$|interval$|material$)\w{3,}(?:ic|ory|ous|ive|oid|al|ar)")


def with_heads(items: Sequence[str]) -> list[str]:
    """Each phrase that ends in an adjective with the noun of the next one.

    From the last to the first, so that a noun travels up a long list; qualities before the first go down to the others.
    """
    found = list(items)
    for row in range(len(found) - 2, -1, -1):
        words = found[row].split()
        head = _head(words, found[row + 1].split())
        if not head:
            continue
        found[row] = " ".join([*words, *head])
        qualities = list(itertools.takewhile(is_quality, words[:-1]))
        if qualities and words[-1] not in QUALITIES and not _PLACED.search(found[row]):
            _hand_down(found, row + 1, qualities, head[-1])
    return found


def is_quality(word: str) -> bool:
    """An adjective or adverb that several phrases can share."""
    return (word in QUALITIES or word in ADVERBS or is_adjective(word)) and word not in SIDES


def _hand_down(found: list[str], start: int, qualities: list[str], noun: str) -> None:
    for row in range(start, len(found)):
        words = found[row].split()
        if is_quality(words[0]):
            return
        if words[-1] == noun:
            found[row] = " ".join([*qualities, *words])


def _head(words: list[str], following: list[str]) -> list[str]:
    """What a phrase borrows of the next one: all behind that one's adjective of the same sort; [] for nothing."""
    last = words[-1]
    if _is_side(last):
        return _behind(_is_side, following) if _is_side(following[0]) else []
    if _is_kind(last):
        if following[:2] == ["soft", "tissue"]:
            return following[2:]
        where = list(itertools.dropwhile(lambda word: word in QUALITIES or word in SIDES, following))
        return where[1:] if where and _is_kind(where[0]) else following[1:]
    if last in QUALITIES:
        return _behind(is_quality, following)
    if not _is_where(words) or is_place(" ".join(following)):
        return []
    # "right midlung | left basilar densities", but "right lung | left lower lobe interstitial densities"
    sides = _behind(_is_side, following)
    if sides and sides[0] in ORGAN_ADJECTIVES:
        return _behind(_is_kind, sides)
    return _behind(ORGANS.__contains__, sides) if len(sides) < len(following) else []


def _behind(leading: Callable[[str], bool], following: list[str]) -> list[str]:
    return list(itertools.dropwhile(leading, following))


def _is_side(word: str) -> bool:
    return word in SIDES or bool(_ORDINAL.fullmatch(word))


def _is_kind(word: str) -> bool:
    """An adjective that can only stand before a noun: "mediastinal", "fibrotic"."""
    return word in ORGAN_ADJECTIVES or bool(_KIND.fullmatch(word))


def _is_where(words: list[str]) -> bool:
    """ "patchy right lower lobe": a place that wants a finding."""
    where = list(itertools.dropwhile(is_quality, words))
    return bool(where) and where[0] in SIDES and is_place(" ".join(where))
