"""Doubly right recognition (DROR, arXiv 2212.06202): is the category right, and is the reason?"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

RR, RW, WR, WW = range(4)
"""Right category for the right reason, right for a wrong one, wrong for a right one, wrong for a wrong one."""
NAMES = ("rr", "rw", "wr", "ww")


class Outcomes(NamedTuple):
    """Of N images: the outcome (RR, RW, WR or WW) and the voted category."""

    outcome: Int[np.ndarray, "N"]
    voted: Int[np.ndarray, "N"]


TOP_K = 5
"""Pairs that vote in DROR's released code."""


def pairs_that_vote(asked: int | None, vocabulary: Vocabulary, option: str) -> int:
    """How many pairs vote: those asked for; None: TOP_K, or all where there are fewer.

    UserError, naming the `option`, where more were asked for than there are, or none.
    """
    pairs = len(vocabulary.classes) * len(vocabulary.rationales)
    if asked is None:
        return min(TOP_K, pairs)
    if not 1 <= asked <= pairs:
        raise UserError(f"{option} is {asked}; expected 1 to {pairs}, the number of pairs")
    return asked


def majority_vote(categories: Int[np.ndarray, "N k"]) -> Int[np.ndarray, "N"]:
    """The category most of an image's top pairs name; of equals, the one whose pair ranks highest."""
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

    The reason is right if some top pair names the voted category together with a gold rationale of the image.
    """
    voted = majority_vote(categories)
    reasons = np.take_along_axis(gold_rationales, rationales, axis=1)
    reason_right = (reasons & (categories == voted[:, None])).any(axis=1)
    return Outcomes(np.where(voted == gold_category, RR, WR) + ~reason_right, voted)


def judge_as_dror(
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_category: Int[np.ndarray, "N"],
    gold_rationales: Bool[np.ndarray, "N R"],
    vocabulary: Vocabulary,
    template: str,
) -> Outcomes:
    """Evaluates as DROR's released code does (cvlab-columbia/DoubleRight, commit d0d74f5), for comparison with it.

    It walks down the top pairs and stops at the first whose text contains the gold category and a gold rationale,
    and votes among the pairs walked only, which cuts the vote short and inflates RR. Texts match by substring.
    That makes it kinder than `strict_outcomes`. It is kinder than the released loops, too, in one thing: they compare
    the class's name as its folder has it with texts in which names are normalised, so a class whose name that changes
    is never counted (415 of ImageNet's 997). Here both are the names of the rationale file. `template` is the prompt of
    a pair, with {c} and {r}.
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
    """`strict_outcomes` or `judge_as_dror`, by `mode`."""
    pairs = (categories, rationales, gold_category, gold_rationales)
    return strict_outcomes(*pairs) if mode == "strict" else judge_as_dror(*pairs, vocabulary, template)


def rates(outcome: Int[np.ndarray, "N"]) -> dict[str, float | int]:
    """Shares of the four outcomes (they add up to 1), accuracy = rr + rw, and N as count; N at least 1."""
    shares = {name: float(np.mean(outcome == value)) for value, name in enumerate(NAMES)}
    return {**shares, "accuracy": float(np.mean(outcome <= RW)), "count": len(outcome)}
