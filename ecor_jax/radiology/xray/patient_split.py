"""Train/test splits of images without patient overlap."""

from collections.abc import Sequence

import numpy as np

from ecor_jax.errors import UserError, some_of


def split_patients(
    patients: Sequence[str], *, test: float, seed: int, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of training and of test images, ascending; all images of a patient are in the same split.

    The result depends only on the set of patients, which of them are positive, and the seed, not on the order of rows.

    Args:
        patients: the patient id of each of N images.
        test: the share of patients to test on; the number is rounded, and is at least one but not all of them.
        seed: the seed of the draw.
        strata: [N, F], 1 where an image is positive. The split is stratified by whether a patient has a positive of the
            rarest column, which is the one with the fewest positive patients, but at least one. Both splits get their
            share of positive and of other patients, and at least one positive patient each if there are two or more.

    Raises UserError if the share is not between 0 and 1, or if there are fewer than two patients.
    """
    if not 0 < test < 1:
        raise UserError(f"the share of patients to test on is {test}; expected a number between 0 and 1")
    names, codes = np.unique(np.asarray(patients, str), return_inverse=True)
    if len(names) < 2:
        raise UserError(f"the number of patients is {len(names)}; expected at least 2, to split them")
    positive = np.zeros(len(names), bool) if strata is None else _rarest(codes, len(names), np.asarray(strata) == 1)
    groups = [group for group in (np.flatnonzero(positive), np.flatnonzero(~positive)) if len(group)]
    if max(map(len, groups)) < 2:
        groups = [np.arange(len(names))]
    rng = np.random.default_rng(seed)
    tested = np.zeros(len(names), bool)
    for group in groups:
        # The only patient of a stratum is used for training.
        count = min(max(1, round(test * len(group))), len(group) - 1)
        tested[rng.permutation(group)[:count]] = True
    of_row = tested[codes]
    return np.flatnonzero(~of_row), np.flatnonzero(of_row)


def check_no_overlap(train: Sequence[str], test: Sequence[str], *, where: str = "training and test images") -> None:
    """Raises UserError listing the patients in both splits (their number and ten names)."""
    if both := sorted(set(train) & set(test)):
        raise UserError(f"{where}: a patient in two splits is refused, found {len(both)}: {some_of(both)}")


def _rarest(codes: np.ndarray, count: int, positive: np.ndarray) -> np.ndarray:
    """Returns bool [patients]: has a positive of the column with the fewest (but at least one) such patients."""
    of_patient = np.zeros((count, positive.shape[1]), bool)
    np.logical_or.at(of_patient, codes, positive)
    totals = of_patient.sum(axis=0)
    if not totals.any():
        return np.zeros(count, bool)
    return of_patient[:, np.where(totals > 0, totals, count + 1).argmin()]
