"""Coordination: "right and left pleural effusions or masses" as three phrases, with what they share given to each."""

import re

from ecor_jax.reports.anatomy import group_of
from ecor_jax.reports.heads import is_quality, with_heads
from ecor_jax.reports.sentences import HIDDEN
from ecor_jax.reports.words import AND, ATTRIBUTES, PLACE, QUALITIES, SIDES, is_place

_AND = re.compile(rf"{AND}|(?: ,)? (?:versus|vs\.?) ")
_TO_PLACE = re.compile(rf"^(.* {PLACE}) ((?:(?!\b{PLACE} ).)+)$")
_SHARED_PLACE = re.compile(r"^(.+?) ((?:of|in|at|within|overlying|involving) .+)$")
_PLACED = re.compile(rf" {PLACE} ")
_TWO_QUALITIES = re.compile(r"^(\w+) (?:and|or) (\w+) (.+)$")
_ONE_NOUN = re.compile(r"^([\w-]+) , ([\w-]+)(?= (?!and |or |, ))")
_NORMAL = re.compile(r"^((?:(?:grossly|essentially) )?(?:normal|unremarkable|clear))(?: appearing)? (.+)$")
_ATTRIBUTE_OF = re.compile(rf"^(.*?)((?: (?:{'|'.join(sorted(ATTRIBUTES))}))+)$")


def phrases(text: str) -> list[str]:
    """The phrases of a list. An adjective without a noun borrows the next one's, a place the phrase before it."""
    twice = _TWO_QUALITIES.match(text)
    if twice and {twice[1], twice[2]} <= QUALITIES:
        return [item for quality in twice.groups()[:2] for item in phrases(f"{quality} {twice[3]}")]
    items = [item.strip(" ,") for item in _AND.split(_ONE_NOUN.sub(_joined, text))]
    items = [item for item in items if item and item != HIDDEN]
    if not items:
        return []
    return _with_shared(_with_attributes(_with_phrases(with_heads(items))))


def _joined(match: re.Match[str]) -> str:
    """ "acute , displaced fracture" is one fracture."""
    return f"{match[1]} {match[2]}" if is_quality(match[1]) and is_quality(match[2]) else match[0]


def _with_phrases(items: list[str]) -> list[str]:
    """ "granuloma in right base | left apex" is "granuloma in right base", "granuloma in left apex"."""
    done: list[str] = []
    for item in items:
        before = _TO_PLACE.match(done[-1]) if done else None
        bare = re.sub(rf"^{PLACE} ", "", item)
        if before and is_place(bare):
            done.append(f"{before[1]} {bare}")
        elif done and bare != item and not is_place(done[-1]):
            done[-1] = f"{done[-1]} {item}"
        else:
            done.append(item)
    return done


def _with_attributes(items: list[str]) -> list[str]:
    """ "heart size | contour" is "heart size", "heart contour"."""
    done: list[str] = []
    for item in items:
        before = _ATTRIBUTE_OF.match(done[-1]) if done else None
        if before and before[1] and all(word in ATTRIBUTES for word in item.split()):
            item = f"{before[1]} {item}"
        done.append(item)
    return done


def _with_shared(items: list[str]) -> list[str]:
    """A "normal" before the first, or a place behind the last, is every phrase's that it can be."""
    normal = _NORMAL.match(items[0])
    if normal and is_place(normal[2]):
        return [items[0], *(f"{normal[1]} {item}" if is_place(item) else item for item in items[1:])]
    place = _SHARED_PLACE.match(items[-1])
    if place and is_place(place[2]):
        groups = ("other",) if place[2].startswith("of ") else ("other", group_of(place[2]))
        shared = (f"{one} {place[2]}" if group_of(one) in groups and not _placed(one) else one for one in items[:-1])
        return [*shared, items[-1]]
    return items


def _placed(item: str) -> bool:
    return bool(_PLACED.search(item)) or not SIDES.isdisjoint(item.split())
