"""Several rationales at once: `{r1} and ... and {rm}` (ECOR, arXiv 2404.12839, III-C.1)."""

import dataclasses
import itertools
import math

import numpy as np
from jaxtyping import Bool

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

MOST = 200_000
"""Sets a vocabulary may have."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """A vocabulary whose rationales are joined sets of the rationales of another.

    members: bool [sets, R], which rationales a set is made of.
    """

    vocabulary: Vocabulary
    members: Bool[np.ndarray, "sets R"]

    def gold_row(self, rationales: Bool[np.ndarray, "R"]) -> Bool[np.ndarray, "sets"]:
        """The sets all of whose members are gold."""
        return np.logical_not((self.members & ~rationales).any(axis=1))


def join_rationales(vocabulary: Vocabulary, count: int) -> Joined:
    """All sets of `count` rationales of a class, in its order, joined by ' and '; 0 joins a class's whole list.

    A class with fewer rationales contributes its whole list.
    """
    if count < 0:
        raise UserError(f"rationales_per_prompt is {count}; expected 1 or more, or 0 for all of a class")
    sizes = [(int(row.sum()), count or int(row.sum())) for row in vocabulary.gold]
    total = sum(math.comb(size, min(chosen, size)) for size, chosen in sizes if size)
    if total > MOST:
        raise UserError(f"rationales_per_prompt={count} makes {total} sets of rationales; at most {MOST} are feasible")
    lists: dict[str, list[str]] = {}
    members: dict[str, tuple[int, ...]] = {}
    for name, row in zip(vocabulary.classes, vocabulary.gold, strict=True):
        own = [int(rationale) for rationale in np.flatnonzero(row)]
        lists[name] = []
        for chosen in itertools.combinations(own, min(count or len(own), len(own))) if own else ():
            text = " and ".join(vocabulary.rationales[rationale] for rationale in chosen)
            members[text] = chosen
            lists[name].append(text)
    joined = Vocabulary.from_lists(lists)
    matrix = np.zeros((len(joined.rationales), len(vocabulary.rationales)), bool)
    for row, text in enumerate(joined.rationales):
        matrix[row, list(members[text])] = True
    # A set may be gold for a class that does not list it first: judge by members.
    gold = np.stack([~(matrix & ~row).any(axis=1) for row in vocabulary.gold])
    return Joined(Vocabulary(joined.classes, joined.rationales, gold), matrix)
