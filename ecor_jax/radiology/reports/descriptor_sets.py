"""Set-based scores of predicted against reported descriptors: precision, recall and F1, independent of their order.

Descriptors are compared in lower case with white space collapsed; repetitions count once.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ecor_jax.errors import UserError
from ecor_jax.metrics.bootstrap import RESAMPLES, bootstrap_intervals, ratios

Match = Callable[[str, str], bool]

STOP_WORDS = frozenset(
    ("of", "in", "the", "at", "with", "to", "and", "or", "on", "for", "is", "are", "a", "an", "within", "both")
)
NEGATIONS = frozenset(("no", "not", "without"))
HEDGES = frozenset(("possible",))


class SetScores(NamedTuple):
    """Scores in [0, 1]: all are 1 if nothing is predicted and nothing reported, 0 if only one of the two is empty."""

    precision: float
    recall: float
    f1: float


class SetAgreement(NamedTuple):
    """The numbers of matched, predicted and reported descriptors of each study, and the scores derived from them."""

    counts: Int[np.ndarray, "studies 3"]

    @property
    def micro(self) -> SetScores:
        """Returns the scores of the counts summed over all studies."""
        return _scores(*self.counts.sum(axis=0).tolist())

    @property
    def macro(self) -> SetScores:
        """Returns the mean of the scores of the studies."""
        return SetScores(*(float(column.mean()) for column in self._each.T))

    @property
    def _each(self) -> Float[np.ndarray, "studies 3"]:
        return np.array([_scores(*study) for study in self.counts.tolist()])

    def as_results(
        self, patients: Sequence[str] | None, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> dict[str, dict[str, Any]]:
        """Returns "micro" and "macro" of results.json: each score with its interval over patients, [low, high].

        patients[i] names the patient of study i; without patients there are no intervals. An interval is None if a
        precision or recall is undefined (and reported as 0) because there is no descriptor to count.
        """
        if patients is None:
            return {kind: scores._asdict() for kind, scores in (("micro", self.micro), ("macro", self.macro))}
        matched, predicted, reported = self.counts.T.astype(np.float64)
        statistic = ratios(
            np.stack([matched, matched, 2 * matched, *self._each.T]),
            np.stack([predicted, reported, predicted + reported, *np.ones((3, len(matched)))]),
        )
        intervals = iter(bootstrap_intervals(statistic, patients, resamples=resamples, seed=seed))
        results: dict[str, dict[str, Any]] = {"micro": {}, "macro": {}}
        for entries, scores in zip(results.values(), (self.micro, self.macro), strict=True):
            for name, value in scores._asdict().items():
                interval = next(intervals)
                entries |= {name: value, f"{name}_interval": interval and list(interval)}
        return results


def set_agreement(predicted: Sequence[Sequence[str]], reported: Sequence[Sequence[str]], match: Match) -> SetAgreement:
    """Compares predicted[i] with reported[i], the descriptors of study i, by `match` (`equal` or `alike`).

    Uses a maximum one-to-one matching. Raises UserError if there is no study.
    """
    if not len(predicted):
        raise UserError("no study to compare the descriptors of; expected at least one")
    counts = []
    for texts, true_texts in zip(predicted, reported, strict=True):
        said, true = (sorted(set(map(_normal, descriptors))) for descriptors in (texts, true_texts))
        counts.append((_matched(said, true, match), len(said), len(true)))
    return SetAgreement(np.array(counts))


def equal(first: str, second: str) -> bool:
    """Returns whether both have the same words in the same order."""
    return _normal(first) == _normal(second)


def alike(first: str, second: str) -> bool:
    """Returns whether the Jaccard index of the content words is at least .5, or the texts are equal.

    Content words exclude STOP_WORDS, NEGATIONS and HEDGES, and lose a plural s. Negation and doubt must agree: neither
    "no effusion" nor "possible effusion" is alike to "effusion".
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
    """Returns the size of the maximum one-to-one matching, which does not depend on the order."""
    # Imported late, because it is slow and users of STOP_WORDS do not need it.
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
