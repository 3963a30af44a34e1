"""Explanations that each name one part of a built-in drawing: what the category is without that part."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from ecor_jax.data.procedural import Procedural

MOST = 200
"""Maximum number of drawings."""
Parts = Sequence[str]
"""A part of each drawing, named by its rationale, or by a text that no part has."""


def without_parts(
    drawings: Procedural, named: Mapping[str, Parts], shown: Sequence[Sequence[str]]
) -> list[UInt8[np.ndarray, "size size 3"]]:
    """Returns the drawings, then, for each explanation, the drawings without the part that it names.

    named: the parts by explanation. shown: the parts of each drawing. A drawing without the named part stays as it is.
    """
    whole = [np.asarray(drawings[row]["image"]) for row in range(len(shown))]
    changed = [
        np.asarray(drawings.without(row, part)["image"]) if part in shown[row] else whole[row]
        for parts in named.values()
        for row, part in enumerate(parts)
    ]
    return whole + changed


def worth_of_parts(
    named: Mapping[str, Parts],
    shown: Sequence[Sequence[str]],
    told: Float[np.ndarray, "drawings 2"],
    hit: Sequence[bool],
) -> dict[str, Float[np.ndarray, "N"]]:
    """Returns what each of N drawings contributes, by names such as 'words_drop'.

    EXPLANATION_drawn: whether it names a part that is drawn. EXPLANATION_drop: by how much the probability of the
    category falls without this part; 0 if none is drawn. EXPLANATION_changes: whether another category is then
    likelier, where it was the likeliest. EXPLANATION_agrees: whether it names the part that the words do.

    told: for the drawings of `without_parts`, the probability of the category of the whole drawing, and whether no
    other category is likelier. hit: whether the peak of the saliency map shows the part that the words name.
    """
    before, *after = told.reshape(1 + len(named), len(shown), 2)
    each: dict[str, np.ndarray] = {}
    for (what, parts), own in zip(named.items(), after, strict=True):
        each[f"{what}_drawn"] = np.array([part in there for part, there in zip(parts, shown, strict=True)])
        each[f"{what}_drop"] = before[:, 0] - own[:, 0]
        each[f"{what}_changes"] = before[:, 1] * (1 - own[:, 1])
        if what != "words":
            same = np.array([part == words for part, words in zip(parts, named["words"], strict=True)])
            each[f"{what}_agrees"] = each[f"{what}_drawn"] & same
    each["hit"] = np.array(hit)
    return {key: values.astype(np.float64) for key, values in each.items()}


def random_parts(shown: Sequence[Sequence[str]]) -> list[str]:
    """Returns a random part of each drawing, always the same."""
    random = np.random.default_rng(0)
    return [own[int(random.integers(len(own)))] for own in shown]


def brightest_parts(
    drawings: Procedural, maps: Float[np.ndarray, "N side side"], shown: Sequence[Sequence[str]]
) -> list[str]:
    """Returns the drawn part of each drawing over which its map is highest on average."""
    return [
        max(own, key=lambda part: mean_within(maps[row], drawings.mask(row, part))) for row, own in enumerate(shown)
    ]


def peaks_within(
    drawings: Procedural, maps: Float[np.ndarray, "N side side"], named: Parts, shown: Sequence[Sequence[str]]
) -> list[bool]:
    """Returns whether the peak of each map is a patch that shows the named part; False if the part is not drawn."""
    return [
        part in own and bool(patches_of(drawings.mask(row, part), len(maps[row])).ravel()[maps[row].argmax()] > 0)
        for row, (part, own) in enumerate(zip(named, shown, strict=True))
    ]


def mean_within(values: Float[np.ndarray, "side side"], mask: Bool[np.ndarray, "size size"]) -> float:
    """Returns the mean of a map over a mask; less than any mean if the mask is empty."""
    cover = patches_of(mask, len(values))
    return float((values * cover).sum() / cover.sum()) if cover.any() else -np.inf


def patches_of(mask: Bool[np.ndarray, "size size"], side: int) -> Float[np.ndarray, "side side"]:
    """Returns the share of each patch that a mask covers."""
    return mask.reshape(side, len(mask) // side, side, -1).mean(axis=(1, 3))
