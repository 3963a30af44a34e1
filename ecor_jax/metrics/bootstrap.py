"""Percentile bootstrap over patients (Efron and Tibshirani 1993, chapter 13) for confidence intervals of metrics.

A resample draws as many patients as there are, with replacement, and includes all studies of each. Studies of one
patient are correlated, so resampling studies would make the intervals too narrow. If examples are independent, give
each a patient name of its own.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ecor_jax.errors import UserError

Weights = Float[np.ndarray, "resamples studies"]
Statistic = Callable[[Weights], Float[np.ndarray, "figures resamples"]]
"""Metrics of all resamples, in which study i occurs weights[resample, i] times; NaN where a metric is undefined."""

RESAMPLES = 2000
LEVEL = 0.95
MAX_DRAWS = 20
"""A metric that is defined in fewer than one in MAX_DRAWS resamples has no interval."""
_BLOCK = 2_000_000
"""Number of weights held at a time, which bounds memory for many studies."""


class Interval(NamedTuple):
    """A 95 % percentile interval of a metric over the resamples."""

    low: float
    high: float


def ratios(numerators: Float[np.ndarray, "figures studies"], denominators: Float[np.ndarray, "..."]) -> Statistic:
    """Returns the statistic sum(numerators) / sum(denominators) over studies; NaN if the denominators sum to 0."""
    denominators = np.broadcast_to(denominators, numerators.shape)

    def statistic(weights: Weights) -> Float[np.ndarray, "figures resamples"]:
        total = denominators @ weights.T
        return np.divide(numerators @ weights.T, total, out=np.full(total.shape, np.nan), where=total > 0)

    return statistic


def means_with_intervals(values: Float[np.ndarray, "figures studies"]) -> list[dict[str, Any]]:
    """Returns the mean of each row and its interval over independent studies, for results.json; None without any."""
    count = values.shape[1]
    if not count:
        return [{"value": None, "interval": None} for _ in values]
    intervals = bootstrap_intervals(ratios(values, np.ones(count)), [str(number) for number in range(count)])
    return [
        {"value": float(row.mean()), "interval": interval and list(interval)}
        for row, interval in zip(values, intervals, strict=True)
    ]


def percent_with_interval(mean: Mapping[str, Any]) -> str:
    """Formats a mean of `means_with_intervals` of 0.312 with its interval as `31.2 (29.0 to 33.0)`."""
    if mean["value"] is None:
        return "-"
    low, high = mean["interval"] or (mean["value"], mean["value"])
    return f"{100 * mean['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def bootstrap_intervals(
    statistic: Statistic, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Interval | None, ...]:
    """Returns the 95 % interval of each metric of `statistic`; patients[i] names the patient of study i.

    A resample in which a metric is undefined (an AUROC with one class only) is replaced by a new one: the interval is
    conditional on the metric being defined. It is None if the metric is undefined for the original studies, or for too
    many resamples (MAX_DRAWS). Equal seeds give equal intervals, and every statistic gets the same resamples as long
    as none is replaced. Raises UserError if there are no studies.
    """
    if not len(patients):
        raise UserError("no study to evaluate; expected at least one")
    # Imported late: it takes a second, and only runs with patients need it.
    from scipy import stats

    names, numbers = np.unique(np.asarray(patients), return_inverse=True)

    def figures(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        """Computes the statistic for resamples that SciPy gives as patient indices, [resamples, patients]."""
        apart = drawn + len(names) * np.arange(len(drawn))[:, None]
        counts = np.bincount(apart.ravel(), minlength=len(drawn) * len(names)).reshape(len(drawn), len(names))
        return statistic(counts[:, numbers].astype(np.float64))

    everyone = np.arange(len(names))
    values = figures(everyone[None])
    wanted = ~np.isnan(values[:, 0])
    # SciPy rejects a single patient, for whom every resample equals the original studies.
    missing = resamples if len(names) > 1 else 0
    rng, result, batch = np.random.default_rng(seed), None, max(1, _BLOCK // len(patients))
    while missing > 0 and wanted.any():
        with warnings.catch_warnings():
            # SciPy's own intervals are NaN, with a warning, if a resample's metric is undefined; ours are taken below.
            warnings.simplefilter("ignore", RuntimeWarning)
            drawing: dict[str, Any] = {"n_resamples": missing, "batch": batch, "bootstrap_result": result, "rng": rng}
            result = stats.bootstrap((everyone,), figures, vectorized=True, method="percentile", **drawing)
        values = result.bootstrap_distribution
        defined = np.sum(~np.isnan(values), axis=1)
        wanted &= defined * MAX_DRAWS >= values.shape[1]
        missing = resamples - defined[wanted].min(initial=resamples)
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    return tuple(
        Interval(*np.quantile(own[~np.isnan(own)][:resamples], tails).tolist()) if usable else None
        for own, usable in zip(values, wanted, strict=True)
    )
