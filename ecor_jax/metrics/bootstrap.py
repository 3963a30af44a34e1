"""Percentile bootstrap over patients (Efron and Tibshirani 1993, chapter 13): how sure is a figure?

Patients are drawn with replacement, as many as there are, and all studies of a patient go along each time: studies of
one patient resemble one another, and to resample studies would make intervals too narrow.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ecor_jax.errors import UserError

Weights = Float[np.ndarray, "resamples studies"]
Statistic = Callable[[Weights], Float[np.ndarray, "resamples"]]
"""A figure of every resample, in which study i stands weights[resample, i] times; NaN where it is not defined."""

RESAMPLES = 2000
LEVEL = 0.95
REDRAWS = 100
"""How many times a resample for which the figure is not defined is drawn again, at most."""
_BLOCK = 2_000_000
"""Weights held at once: memory stays flat where there are many studies."""


class Interval(NamedTuple):
    """The middle 95 % of the resamples' figures."""

    low: float
    high: float


class Difference(NamedTuple):
    """First minus second, and its interval; an interval that holds 0 does not tell them apart."""

    value: float
    interval: Interval | None


def point(statistic: Statistic, count: int) -> float:
    """The figure of `count` studies as they are; NaN where it is not defined. Raises UserError for no study."""
    if not count:
        raise UserError("no study to evaluate; expected at least one")
    return float(statistic(np.ones((1, count)))[0])


def ratio(parts: Float[np.ndarray, "studies"], wholes: Float[np.ndarray, "studies"]) -> Statistic:
    """The sum of `parts` over that of `wholes`: a mean where these are 1. NaN where they sum to 0."""

    def of(weights: Weights) -> np.ndarray:
        part, whole = weights @ parts, weights @ wholes
        return np.divide(part, whole, out=np.full(len(weights), np.nan), where=whole > 0)

    return of


def bootstrap_interval(
    statistic: Statistic, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The 95 % interval of `statistic`; patients[i] names the patient of study i.

    A resample for which the figure is not defined (an AUROC with one class only) is drawn again, up to REDRAWS times:
    the interval is that of the figure given that it can be told. None where the figure is not defined for the
    studies as they are, or some resample never gives one. Equal seeds give equal intervals, and the same resamples
    to every statistic as far as none is redrawn. Raises UserError where there is no study.
    """
    if np.isnan(point(statistic, len(patients))):
        return None
    places, study_patients = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)
    values = _draw(statistic, study_patients, len(places), resamples, rng)
    for _ in range(REDRAWS):
        undefined = np.flatnonzero(np.isnan(values))
        if not len(undefined):
            tail = (1 - LEVEL) / 2
            low, high = np.quantile(values, (tail, 1 - tail))
            return Interval(float(low), float(high))
        values[undefined] = _draw(statistic, study_patients, len(places), len(undefined), rng)
    return None


def paired_difference(
    first: Statistic, second: Statistic, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference | None:
    """How far `first` is above `second`, both on the same resamples; what makes a resample hard is then common to both.

    None where one of them is not defined for the studies as they are. Raises UserError where there is no study.
    """

    def difference(weights: np.ndarray) -> np.ndarray:
        return first(weights) - second(weights)

    value = point(difference, len(patients))
    if np.isnan(value):
        return None
    return Difference(value, bootstrap_interval(difference, patients, resamples=resamples, seed=seed))


def _draw(
    statistic: Statistic, study_patients: np.ndarray, patients: int, resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "resamples"]:
    """The figure of each of `resamples` new resamples; study_patients[i] is the number of the patient of study i."""
    block = max(1, _BLOCK // max(len(study_patients), patients))
    found = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(patients, size=(rows, patients)) + patients * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * patients).reshape(rows, patients)
        found.append(statistic(counts[:, study_patients].astype(np.float64)))
    return np.concatenate(found)
