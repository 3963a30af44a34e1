"""The fewest rationales without which a method would name another category: an exact search over ranked pairs.

Removing rationales from the vocabulary renormalises the joint distribution. For the orders 'rationale_first' and
'pairs' all remaining pairs are divided by one number, and so keep their order: the vote without some rationales is that
of the first k pairs that have none of them. For 'category_first', P(r | c, I) is renormalised for every category
separately, which changes the order; the search does not apply.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

MOST_REMOVED = 4
"""Maximum number of removed rationales: more are no longer read as one reason. With k = 5, at most 780 sets."""
MOST_PAIRS = 50_000
"""Maximum number of pairs that vote in all sets of one size, which bounds the time to some tenths of a second: k pairs
extend a set in up to k ways."""


class Removal(NamedTuple):
    """The smallest set of rationales (ids, by rank) whose removal changes the vote, and the category of that vote.

    category: None if no set is known; `rationales` is then empty. searched: no set of up to so many rationales changes
    the vote; one less than the size of a known set.
    """

    rationales: tuple[int, ...]
    category: int | None
    searched: int


def smallest_removal(categories: Sequence[int], rationales: Sequence[int], k: int, complete: bool) -> Removal:
    """Searches the smallest set of rationales whose removal changes the vote of the first k pairs of one picture.

    Of several smallest sets it returns the first in the lexicographic order of the ranks of their rationales, where a
    rationale has the rank of its best pair. The search ends before the first set, in this order, that leaves fewer than
    k pairs of an incomplete list. It also ends before a size whose sets have more than MOST_PAIRS pairs.

    categories, rationales: ids of the ranked pairs, best first; plain ints are fastest. complete: whether these are all
    pairs: if fewer than k remain, all of them vote. If none remain, there is no vote, which is not a change.
    """
    # Let T be a smallest set that changes the vote, and S a proper subset of T. If no rationale of T were among the k
    # pairs that vote without S, they would vote without T too. So sets grown by rationales of their voters reach T.
    by_rank = list(dict.fromkeys(rationales))
    rank = {rationale: number for number, rationale in enumerate(by_rank)}
    ranked = [(category, rank[rationale]) for category, rationale in zip(categories, rationales, strict=True)]
    said, sets, searched = _vote(_voters(ranked, (), k)), [()], 0
    for size in range(MOST_REMOVED + 1):
        larger: set[tuple[int, ...]] = set()
        for removed in sorted(sets):
            voters = _voters(ranked, removed, k)
            if len(voters) < k and not complete:
                return Removal((), None, searched)
            if voters and _vote(voters) != said:
                return Removal(tuple(by_rank[number] for number in removed), _vote(voters), searched)
            if size < MOST_REMOVED and k * len(larger) <= MOST_PAIRS:
                larger |= {tuple(sorted((*removed, number))) for _, number in voters}
        searched = size
        if not larger or k * len(larger) > MOST_PAIRS:
            break
        sets = larger
    return Removal((), None, searched)


def _voters(ranked: Sequence[tuple[int, int]], removed: tuple[int, ...], k: int) -> list[tuple[int, int]]:
    """Returns the first k pairs (fewer if there are fewer) whose rationale is not removed."""
    voters = []
    for pair in ranked:
        if pair[1] not in removed:
            voters.append(pair)
            if len(voters) == k:
                break
    return voters


def _vote(voters: Sequence[tuple[int, int]]) -> int | None:
    """Returns the category that `majority_vote` returns for these pairs; None without pairs."""
    counts = Counter(category for category, _ in voters)
    return max(counts, key=counts.__getitem__, default=None)
