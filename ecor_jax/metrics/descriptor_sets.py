"""Which of the reported descriptors does an explanation name? Precision, recall and F1 of sets, whatever the order.

Descriptors are compared in lower case, runs of white space as one space; what is named twice counts once.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import RESAMPLES, bootstrap_intervals, ratios

Match = Callable[[str, str], bool]

STOP_WORDS = frozenset(
    ("of", "in", "the", "at", "with", "to", "and", "or", "on", "for", "is", "are", "a", "an", "within", "both")
)
NEGATIONS = frozenset(("no", "not", "without"))
HEDGES = frozenset(("possible",))


class SetScores(NamedTuple):
    """Shares in [0, 1]. Where nothing is predicted and nothing reported all are 1; where one of the two, all are 0."""

    precision: float
    recall: float
    f1: float


class Counts(NamedTuple):
    """How many descriptors of a study are matched, predicted and reported."""

    matched: int
    predicted: int
    reported: int


class SetAgreement(NamedTuple):
    """The counts of every study, and what follows from them."""

    studies: tuple[Counts, ...]

    @property
    def micro(self) -> SetScores:
        """Descriptors of all studies counted together."""
        return _scores(*map(sum, zip(*self.studies, strict=True)))

    @property
    def each(self) -> tuple[SetScores, ...]:
        """The studies' own scores."""
        return tuple(_scores(*study) for study in self.studies)

    @property
    def macro(self) -> SetScores:
        """The mean of the studies' own scores."""
        return SetScores(*(float(np.mean(column)) for column in zip(*self.each, strict=True)))

    def as_results(
        self, patients: Sequence[str] | None, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, dict[str, Any]]:
        """As results.json has them: "micro" and "macro", each score with its interval over patients, [low, high].

        patients[i] names the patient of study i; without patients there are no intervals. One is None where a precision
        or recall is 0 for want of any descriptor to count.
        """
        if patients is None:
            return {kind: scores._asdict() for kind, scores in (("micro", self.micro), ("macro", self.macro))}
        matched, predicted, reported = np.array(self.studies, np.float64).T
        each = np.array(self.each).T
        statistic = ratios(
            np.stack([matched, matched, 2 * matched, *each]),
            np.stack([predicted, reported, predicted + reported, *np.ones_like(each)]),
        )
        intervals = iter(bootstrap_intervals(statistic, patients, resamples=resamples, seed=seed))
        results: dict[str, dict[str, Any]] = {}
        for kind, scores in (("micro", self.micro), ("macro", self.macro)):
            results[kind] = {}
            for name, value in scores._asdict().items():
                interval = next(intervals)
                results[kind] |= {name: value, f"{name}_interval": interval and list(interval)}
        return results


def set_agreement(predicted: Sequence[Sequence[str]], reported: Sequence[Sequence[str]], match: Match) -> SetAgreement:
    """Scores of predicted[i] against reported[i], the descriptors of study i, that `match` (`equal` or `alike`) allows.

    Descriptors are matched one to one, as many as can be. Raises UserError where there is no study.
    """
    if not len(predicted):
        raise UserError("no study to compare the descriptors of; expected at least one")
    counts = []
    for said, truth in zip(predicted, reported, strict=True):
        said_set, true_set = (sorted({_normal(text) for text in texts}) for texts in (said, truth))
        counts.append(Counts(_matched(said_set, true_set, match), len(said_set), len(true_set)))
    return SetAgreement(tuple(counts))


def equal(first: str, second: str) -> bool:
    """The same words in the same order."""
    return _normal(first) == _normal(second)


def alike(first: str, second: str) -> bool:
    """At least half of the content words of either are common to both (Jaccard >= .5), or the texts are equal.

    Content words are those that are no STOP_WORDS, without a plural s. "no effusion" and "effusion" are not alike,
    nor is "possible effusion": what one denies or doubts the other has to deny or doubt.
    """
    words, others = (frozenset(re.findall(r"[a-z0-9]+", text.lower())) for text in (first, second))
    if any(bool(words & kind) != bool(others & kind) for kind in (NEGATIONS, HEDGES)):
        return False
    ours, theirs = _content(words), _content(others)
    return equal(first, second) or 2 * len(ours & theirs) >= len(ours | theirs) > 0


def _content(words: frozenset[str]) -> frozenset[str]:
    kept = words - STOP_WORDS - NEGATIONS - HEDGES
    return frozenset(word.removesuffix("s") for word in kept if word != "s")


def _matched(said: Sequence[str], truth: Sequence[str], match: Match) -> int:
    """The size of the largest one-to-one matching: it depends on no order."""
    # Takes a while to import, and STOP_WORDS alone need it not.
    from scipy.optimize import linear_sum_assignment

    allowed = np.array([[match(text, true) for true in truth] for text in said]).reshape(len(said), len(truth))
    return int(allowed[linear_sum_assignment(allowed, maximize=True)].sum())


def _scores(matched: int, said: int, truth: int) -> SetScores:
    if not said and not truth:
        return SetScores(1.0, 1.0, 1.0)
    return SetScores(
        precision=matched / said if said else 0.0,
        recall=matched / truth if truth else 0.0,
        f1=2 * matched / (said + truth),
    )


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
