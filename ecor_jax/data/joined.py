"""Sets of rationales joined into one prompt: `{r1} and ... and {rm}` (ECOR, arXiv 2404.12839, III-C.1)."""

import dataclasses
import itertools
import math

import numpy as np
from jaxtyping import Bool

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

MAX_SETS = 200_000
"""Maximum number of sets in a vocabulary."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """A vocabulary whose rationales are joined sets of the R rationales of another vocabulary.

    members: bool [sets, R], the membership of each rationale in each set.
    """

    vocabulary: Vocabulary
    members: Bool[np.ndarray, "sets R"]

    def gold_sets(self, rationales: Bool[np.ndarray, "R"]) -> Bool[np.ndarray, "sets"]:
        """Returns whether all members of each set are gold; `rationales` are the gold ones of a class or image."""
        return np.logical_not((self.members & ~rationales).any(axis=1))


def join_rationales(vocabulary: Vocabulary, count: int) -> Joined:
    """Joins all sets of `count` rationales of each class, in vocabulary order, by ' and '; 0 joins the complete list.

    A class with fewer rationales contributes its complete list.
    """
    if count < 0:
        raise UserError(f"rationales_per_prompt is {count}; expected 1 or more, or 0 for all of a class")
    own = [np.flatnonzero(gold).tolist() for gold in vocabulary.gold]
    sizes = [min(count or len(rationales), len(rationales)) for rationales in own]
    total = sum(math.comb(len(rationales), size) for rationales, size in zip(own, sizes, strict=True) if size)
    if total > MAX_SETS:
        raise UserError(
            f"rationales_per_prompt={count} makes {total} sets of rationales; at most {MAX_SETS} are feasible"
        )
    lists: dict[str, list[str]] = {}
    members: dict[str, tuple[int, ...]] = {}
    for name, rationales, size in zip(vocabulary.classes, own, sizes, strict=True):
        lists[name] = []
        for chosen in itertools.combinations(rationales, size) if size else ():
            text = " and ".join(vocabulary.rationales[rationale] for rationale in chosen)
            members[text] = chosen
            lists[name].append(text)
    listed = Vocabulary.from_lists(lists)
    matrix = np.zeros((len(listed.rationales), len(vocabulary.rationales)), bool)
    for number, text in enumerate(listed.rationales):
        matrix[number, list(members[text])] = True
    # A set is gold for every class that has all of its members, even if the class does not list the set.
    joined = Joined(listed, matrix)
    gold = np.stack([joined.gold_sets(of_class) for of_class in vocabulary.gold])
    return dataclasses.replace(joined, vocabulary=dataclasses.replace(listed, gold=gold))
