"""Resolves coordination: "right and left pleural effusions or masses" becomes three phrases with their shared words."""

import itertools
import re
from collections.abc import Callable

from ecor_jax.radiology.reports.words import (
    ADVERBS,
    AND,
    ATTRIBUTES,
    MASKED,
    ORGAN_ADJECTIVES,
    ORGANS,
    PLACE,
    QUALITIES,
    SIDES,
    group_of,
    is_adjective,
    is_place,
)

_AND = re.compile(rf"{AND}|(?: ,)? (?:versus|vs\.?) ")
_TO_PLACE = re.compile(rf"^(.* {PLACE}) ((?:(?!\b{PLACE} ).)+)$")
_SHARED_PLACE = re.compile(r"^(.+?) ((?:of|in|at|within|overlying|involving) .+)$")
_PLACED = re.compile(rf" {PLACE} ")
_TWO_QUALITIES = re.compile(r"^(\w+) (?:and|or) (\w+) (.+)$")
_ONE_NOUN = re.compile(r"^([\w-]+) , ([\w-]+)(?= (?!and |or |, ))")
_NORMAL = re.compile(r"^((?:(?:grossly|essentially) )?(?:normal|unremarkable|clear))(?: appearing)? (.+)$")
_ATTRIBUTE_OF = re.compile(rf"^(.*?)((?: (?:{'|'.join(sorted(ATTRIBUTES))}))+)$")


def phrases(text: str) -> list[str]:
    """Splits a list into phrases.

    A phrase that ends in an adjective takes the noun of the next one; a place takes the finding of the previous one.
    """
    twice = _TWO_QUALITIES.match(text)
    if twice and {twice[1], twice[2]} <= QUALITIES:
        return [item for quality in twice.groups()[:2] for item in phrases(f"{quality} {twice[3]}")]
    items = [item.strip(" ,") for item in _AND.split(_ONE_NOUN.sub(_joined, text))]
    items = [item for item in items if item and item != MASKED]
    if not items:
        return []
    return _with_shared(_with_ends(_with_heads(items)))


def _joined(match: re.Match[str]) -> str:
    """Joins "acute , displaced fracture", which is one fracture."""
    return f"{match[1]} {match[2]}" if _is_quality(match[1]) and _is_quality(match[2]) else match[0]


def _with_ends(items: list[str]) -> list[str]:
    """Completes phrases that share the beginning of the previous one.

    "granuloma in right base | left apex" becomes "granuloma in right base", "granuloma in left apex", and "heart size |
    contour" becomes "heart size", "heart contour".
    """
    done: list[str] = []
    for item in items:
        before = done[-1] if done else ""
        placed, attribute = _TO_PLACE.match(before), _ATTRIBUTE_OF.match(before)
        bare = re.sub(rf"^{PLACE} ", "", item)
        if placed and is_place(bare):
            done.append(f"{placed[1]} {bare}")
        elif before and bare != item and not is_place(before):
            done[-1] = f"{before} {item}"
        elif attribute and all(word in ATTRIBUTES for word in item.split()):
            done.append(f"{attribute[1]} {item}")
        else:
            done.append(item)
    return done


def _with_shared(items: list[str]) -> list[str]:
    """Distributes a "normal" before the first phrase, or a place after the last, over all phrases it applies to."""
    normal = _NORMAL.match(items[0])
    if normal and is_place(normal[2]):
        return [items[0], *(f"{normal[1]} {item}" if is_place(item) else item for item in items[1:])]
    place = _SHARED_PLACE.match(items[-1])
    if place and is_place(place[2]):
        groups = ("other",) if place[2].startswith("of ") else ("other", group_of(place[2]))
        for at, item in enumerate(items[:-1]):
            if group_of(item) in groups and not _PLACED.search(item) and SIDES.isdisjoint(item.split()):
                items[at] = f"{item} {place[2]}"
    return items


_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_KIND = re.compile(r"(?!scar$|interval$|material$)\w{3,}(?:ic|ory|ous|ive|oid|al|ar)")


def _with_heads(items: list[str]) -> list[str]:
    """Completes each phrase that ends in an adjective by the noun of the next one.

    Works from last to first, so that a noun can pass through a long list. The qualities at the start of a completed
    phrase are then also put before later phrases with the same noun, up to the first that has qualities of its own.
    """
    whole = list(items)
    for at in range(len(whole) - 2, -1, -1):
        words = whole[at].split()
        head = _head(words, whole[at + 1].split())
        if not head:
            continue
        whole[at] = " ".join([*words, *head])
        qualities = list(itertools.takewhile(_is_quality, words[:-1]))
        if not qualities or words[-1] in QUALITIES or _PLACED.search(whole[at]):
            continue
        for later in range(at + 1, len(whole)):
            following = whole[later].split()
            if _is_quality(following[0]):
                break
            if following[-1] == head[-1]:
                whole[later] = " ".join([*qualities, *following])
    return whole


def _is_quality(word: str) -> bool:
    """Returns whether a word is an adjective or adverb that several phrases can share."""
    return (word in QUALITIES or word in ADVERBS or is_adjective(word)) and word not in SIDES


def _head(words: list[str], following: list[str]) -> list[str]:
    """Returns the words that a phrase takes from the next one; [] if it needs none.

    They follow the adjectives at the start of the next one that are of the same kind (side, organ, quality) as the
    phrase's last word; for a place without a finding, they follow the place at the start of the next one.
    """
    last = words[-1]
    if _is_side(last):
        return _behind(_is_side, following) if _is_side(following[0]) else []
    if _is_kind(last):
        if following[:2] == ["soft", "tissue"]:
            return following[2:]
        where = _behind(lambda word: word in QUALITIES or word in SIDES, following)
        return where[1:] if where and _is_kind(where[0]) else following[1:]
    if last in QUALITIES:
        return _behind(_is_quality, following)
    # "patchy right lower lobe" is a place that lacks a finding.
    where = _behind(_is_quality, words)
    if not where or where[0] not in SIDES or not is_place(" ".join(where)) or is_place(" ".join(following)):
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
    """Returns whether a word is an adjective that only occurs before a noun: "mediastinal", "fibrotic"."""
    return word in ORGAN_ADJECTIVES or bool(_KIND.fullmatch(word))
