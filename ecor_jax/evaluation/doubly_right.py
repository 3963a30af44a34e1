"""Doubly right recognition (DROR, arXiv 2212.06202): is the category right, and is the reason?"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

RR, RW, WR, WW = range(4)
"""Right category for the right reason, right for a wrong one, wrong for a right one, wrong for a wrong one."""
OUTCOMES = ("rr", "rw", "wr", "ww")
Mode = Literal["strict", "dror"]


def majority_vote(categories: Int[np.ndarray, "images k"]) -> Int[np.ndarray, "images"]:
    """The category most of an image's top pairs name; of equals, the one whose pair ranks highest."""
    votes = (categories[:, :, None] == categories[:, None, :]).sum(axis=2)
    best = np.argmax(votes, axis=1)
    return np.take_along_axis(categories, best[:, None], axis=1)[:, 0]


def strict_outcomes(
    categories: Int[np.ndarray, "images k"],
    rationales: Int[np.ndarray, "images k"],
    gold_category: Int[np.ndarray, "images"],
    gold_rationales: Bool[np.ndarray, "images R"],
) -> tuple[Int[np.ndarray, "images"], Int[np.ndarray, "images"]]:
    """Outcome (RR, RW, WR, WW) and voted category of each image, from its top-k pairs, by exact ids.

    The reason is right if some top pair names the voted category together with a gold rationale of the image.
    """
    voted = majority_vote(categories)
    reasons = np.take_along_axis(gold_rationales, rationales, axis=1)
    reason_right = (reasons & (categories == voted[:, None])).any(axis=1)
    return np.where(voted == gold_category, RR, WR) + ~reason_right, voted


def dror_outcomes(
    categories: Int[np.ndarray, "images k"],
    rationales: Int[np.ndarray, "images k"],
    gold_category: Int[np.ndarray, "images"],
    gold_rationales: Bool[np.ndarray, "images R"],
    vocabulary: Vocabulary,
    template: str,
) -> tuple[Int[np.ndarray, "images"], Int[np.ndarray, "images"]]:
    """The same as DROR's released code counts it (cvlab-columbia/DoubleRight, commit d0d74f5).

    It walks down the top pairs and stops at the first whose text contains the gold category and a gold rationale,
    and votes among the pairs walked only, which cuts the vote short and inflates RR. Texts match by substring.
    """
    outcomes, voted = np.empty(len(categories), int), np.empty(len(categories), int)
    for image, pairs in enumerate(zip(categories, rationales, strict=True)):
        texts = [template.format(c=vocabulary.classes[c], r=vocabulary.rationales[r]) for c, r in zip(*pairs, strict=True)]
        golds = [vocabulary.rationales[r] for r in np.flatnonzero(gold_rationales[image])]

        def names(text: str, category: int, golds: list[str] = golds) -> bool:
            return vocabulary.classes[category] in text and any(gold in text for gold in golds)

        hit = next((rank for rank, text in enumerate(texts) if names(text, gold_category[image])), None)
        walked = pairs[0] if hit is None else pairs[0][: hit + 1]
        voted[image] = majority_vote(walked[None])[0]
        if voted[image] == gold_category[image]:
            outcomes[image] = RW if hit is None else RR
        else:
            outcomes[image] = WR if any(names(text, voted[image]) for text in texts) else WW
    return outcomes, voted


def outcomes_of(mode: Mode, *pairs: np.ndarray, vocabulary: Vocabulary, template: str):
    """`strict_outcomes` or `dror_outcomes` by name."""
    if mode == "strict":
        return strict_outcomes(*pairs)
    if mode == "dror":
        return dror_outcomes(*pairs, vocabulary=vocabulary, template=template)
    raise UserError(f"evaluation.mode is {mode!r}; expected 'strict' or 'dror'")


def rates(outcomes: Int[np.ndarray, "images"]) -> dict[str, float | int]:
    """Shares of the four outcomes (they add up to 1), accuracy = rr + rw, and the number of images."""
    if not len(outcomes):
        raise ValueError("no images to average over")
    shares = {name: float(np.mean(outcomes == value)) for value, name in enumerate(OUTCOMES)}
    right = int(np.sum(outcomes <= RW))
    return {**shares, "accuracy": right / len(outcomes), "count": len(outcomes)}
