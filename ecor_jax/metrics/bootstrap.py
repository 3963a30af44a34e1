"""Percentile bootstrap over patients (Efron and Tibshirani 1993, chapter 13): how sure are figures?

Patients are drawn with replacement, as many as there are, and all studies of a patient go along each time: studies of
one patient resemble one another, and to resample studies would make intervals too narrow. Where no examples belong
together, give each the name of a patient of its own.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ecor_jax.errors import UserError

Weights = Float[np.ndarray, "resamples studies"]
Statistic = Callable[[Weights], Float[np.ndarray, "figures resamples"]]
"""Figures of every resample, in which study i stands weights[resample, i] times; NaN where one is not defined."""

RESAMPLES = 2000
LEVEL = 0.95
MOST_DRAWS = 20
"""A figure that is defined in fewer than one resample out of this many has no interval."""
_BLOCK = 2_000_000
"""Weights held at once: memory stays flat where there are many studies."""


class Interval(NamedTuple):
    """The middle 95 % of the resamples' figures."""

    low: float
    high: float


def ratios(numerators: Float[np.ndarray, "figures studies"], denominators: Float[np.ndarray, "..."]) -> Statistic:
    """Sums over the studies, divided: means where all of `denominators` are 1. NaN where these sum to 0."""
    denominators = np.broadcast_to(denominators, numerators.shape)

    def statistic(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
        total = denominators @ weights.T
        return np.divide(numerators @ weights.T, total, out=np.full(total.shape, np.nan), where=total > 0)

    return statistic


def bootstrap_intervals(
    statistic: Statistic, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Interval | None, ...]:
    """The 95 % interval of each figure of `statistic`; patients[i] names the patient of study i.

    A resample for which a figure is not defined (an AUROC with one class only) is replaced by a new one: the interval
    is that of the figure given that it can be told. None where the figure is not defined for the studies as they are,
    or for too few of the resamples (MOST_DRAWS). Equal seeds give equal intervals, and the same resamples to every
    statistic as far as none is replaced. Raises UserError where there is no study.
    """
    if not len(patients):
        raise UserError("no study to evaluate; expected at least one")
    # Takes a second to import, and only runs with patients need it.
    from scipy import stats

    names, numbers = np.unique(np.asarray(patients), return_inverse=True)

    def figures(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        """SciPy draws numbers of patients, [resamples, patients]; the studies' weights follow from them."""
        apart = drawn + len(names) * np.arange(len(drawn))[:, None]
        counts = np.bincount(apart.ravel(), minlength=len(drawn) * len(names)).reshape(len(drawn), len(names))
        return statistic(counts[:, numbers].astype(np.float64))

    everyone = np.arange(len(names))
    values = figures(everyone[None])
    wanted = ~np.isnan(values[:, 0])
    # SciPy refuses a single patient, of whom every resample is the studies as they are.
    missing = resamples if len(names) > 1 else 0
    rng, result = np.random.default_rng(seed), None
    while missing > 0 and wanted.any():
        with warnings.catch_warnings():
            # SciPy's own intervals are NaN, with a warning, where a resample has no figure: ours are taken below.
            warnings.simplefilter("ignore", RuntimeWarning)
            result = stats.bootstrap(
                (everyone,),
                figures,
                vectorized=True,
                n_resamples=missing,
                batch=max(1, _BLOCK // len(patients)),
                method="percentile",
                bootstrap_result=result,
                rng=rng,
            )
        values = result.bootstrap_distribution
        defined = np.sum(~np.isnan(values), axis=1)
        wanted &= defined * MOST_DRAWS >= values.shape[1]
        missing = resamples - defined[wanted].min(initial=resamples)
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    return tuple(
        Interval(*np.quantile(own[~np.isnan(own)][:resamples], tails).tolist()) if usable else None
        for own, usable in zip(values, wanted, strict=True)
    )
