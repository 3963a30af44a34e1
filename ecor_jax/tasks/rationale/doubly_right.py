"""Doubly right recognition (DROR, arXiv 2212.06202): whether both the category and the rationale are right."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

RR, RW, WR, WW = range(4)
"""Outcomes: category right or wrong (first letter), rationale right or wrong (second letter)."""
NAMES = ("rr", "rw", "wr", "ww")


class Outcomes(NamedTuple):
    """The outcome (RR, RW, WR or WW) and the voted category of each of N images."""

    outcome: Int[np.ndarray, "N"]
    voted: Int[np.ndarray, "N"]


TOP_K = 5
"""Number of pairs that vote in DROR's released code."""


def pairs_that_vote(asked: int | None, vocabulary: Vocabulary, option: str) -> int:
    """Returns the number of pairs that vote: `asked`, or by default TOP_K (all pairs if there are fewer).

    Raises UserError, naming the `option`, if `asked` is less than 1 or more than the number of pairs.
    """
    pairs = len(vocabulary.classes) * len(vocabulary.rationales)
    if asked is None:
        return min(TOP_K, pairs)
    if not 1 <= asked <= pairs:
        raise UserError(f"{option} is {asked}; expected 1 to {pairs}, the number of pairs")
    return asked


def majority_vote(categories: Int[np.ndarray, "N k"]) -> Int[np.ndarray, "N"]:
    """Returns the most frequent category among each image's top pairs; the highest-ranked one breaks ties."""
    votes = (categories[:, :, None] == categories[:, None, :]).sum(axis=2)
    best = np.argmax(votes, axis=1)
    return np.take_along_axis(categories, best[:, None], axis=1)[:, 0]


def strict_outcomes(
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_category: Int[np.ndarray, "N"],
    gold_rationales: Bool[np.ndarray, "N R"],
) -> Outcomes:
    """Evaluates the top-k pairs of each image by exact ids.

    The rationale is right if a top pair has the voted category and a gold rationale of the image.
    """
    voted = majority_vote(categories)
    reasons = np.take_along_axis(gold_rationales, rationales, axis=1)
    reason_right = (reasons & (categories == voted[:, None])).any(axis=1)
    return Outcomes(np.where(voted == gold_category, RR, WR) + ~reason_right, voted)


def right_share(
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    voted: Int[np.ndarray, "N"],
    gold_rationales: Bool[np.ndarray, "N R"],
) -> Float[np.ndarray, "N"]:
    """Returns the share of gold rationales among the top pairs with the voted category, by exact ids in all modes.

    This counts all rationales of an image and all that it is given, as CCI proposes (arXiv 2508.14280). It is written
    from the paper's abstract; its formula was not checked.
    """
    named = categories == voted[:, None]
    right = np.take_along_axis(gold_rationales, rationales, axis=1) & named
    return right.sum(axis=1) / named.sum(axis=1)


def judge_as_dror(
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_category: Int[np.ndarray, "N"],
    gold_rationales: Bool[np.ndarray, "N R"],
    vocabulary: Vocabulary,
    template: str,
) -> Outcomes:
    """Evaluates as DROR's released code does (cvlab-columbia/DoubleRight, commit d0d74f5), for comparison with it.

    The vote ends with the first pair whose text contains the gold category and a gold rationale: later pairs do not
    vote, which inflates RR. Texts match by substring. Both rules are more lenient than `strict_outcomes`. It
    is also more lenient than the released code in one respect: that code compares the folder name of a class with
    texts of normalised names, so that a class whose name changes by normalisation is never counted (415 of ImageNet's
    997). This function uses the names of the rationale file for both.

    template: the prompt of a pair, with {c} and {r}.
    """
    voted, reason_right = np.empty(len(categories), int), np.empty(len(categories), bool)
    for image, (pair_categories, pair_rationales) in enumerate(zip(categories, rationales, strict=True)):
        texts = [
            template.format(c=vocabulary.classes[c], r=vocabulary.rationales[r])
            for c, r in zip(pair_categories, pair_rationales, strict=True)
        ]
        golds = [vocabulary.rationales[r] for r in np.flatnonzero(gold_rationales[image])]
        right = [text for text in texts if any(gold in text for gold in golds)]
        gold_name = vocabulary.classes[gold_category[image]]
        walked = next((place for place, text in enumerate(texts, 1) if gold_name in text and text in right), None)
        voted[image] = majority_vote(pair_categories[None, :walked])[0]
        reason_right[image] = any(vocabulary.classes[voted[image]] in text for text in right)
    return Outcomes(np.where(voted == gold_category, RR, WR) + ~reason_right, voted)


def evaluate(
    mode: Literal["strict", "dror"],
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_category: Int[np.ndarray, "N"],
    gold_rationales: Bool[np.ndarray, "N R"],
    vocabulary: Vocabulary,
    template: str,
) -> Outcomes:
    """Evaluates the top pairs with `strict_outcomes` or `judge_as_dror`, depending on `mode`."""
    pairs = (categories, rationales, gold_category, gold_rationales)
    return strict_outcomes(*pairs) if mode == "strict" else judge_as_dror(*pairs, vocabulary, template)


def each_rate(outcome: Int[np.ndarray, "N"]) -> dict[str, Float[np.ndarray, "N"]]:
    """Returns what each image counts, 0 or 1, for the four outcomes and for the accuracy, rr + rw."""
    counts = {name: outcome == value for value, name in enumerate(NAMES)} | {"accuracy": outcome <= RW}
    return {name: values.astype(np.float64) for name, values in counts.items()}


def rates(each: Mapping[str, Float[np.ndarray, "N"]]) -> dict[str, float | int]:
    """Returns the means of `each_rate`, and N as count; N is at least 1."""
    return {**{name: float(np.mean(values)) for name, values in each.items()}, "count": len(next(iter(each.values())))}
