"""Selects the images of an X-ray task and their targets, by views, findings and a policy for uncertain labels."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from absl import logging
from jaxtyping import Float32, Int8

from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.studies import POSITIVE, UNCERTAIN, UNMENTIONED, Studies

Uncertain = Literal["drop", "zeros", "ones"]


def select(
    studies: Studies,
    *,
    findings: Sequence[str],
    views: Sequence[str] = (),
    uncertain: Uncertain = "drop",
    single_label: bool,
) -> tuple[Studies, np.ndarray, dict[str, int]]:
    """Returns the images of a task, their targets float32 [N, F], and the numbers of skipped images by reason.

    The targets have one column for each of `findings`.

    Args:
        studies: images with labels.
        findings: label columns of `studies`; case is ignored.
        views: views to keep, as spelled in the table (PA, AP, LATERAL; LATERAL does not include MIMIC's LL); () keeps
            all.
        uncertain: an uncertain label is unknown ("drop"), negative ("zeros") or positive ("ones"): the U-Ignore,
            U-Zeros and U-Ones of CheXpert (Irvin et al. 2019, section 4). Unknown targets are NaN. An image is skipped
            if all its targets are unknown, or with `single_label` if any is.
        single_label: the findings are mutually exclusive classes: keeps the images that are positive for exactly one of
            them, whatever other findings they show; targets are one-hot.

    Findings that the report does not mention count as negative, as is usual with CheXpert's labels; an image without
    any label in the table is skipped.

    Raises UserError if a finding does not exist (naming those that do) or is repeated, if no image has any of `views`
    (a warning if some views are missing), if `single_label` has fewer than two classes, or if no image is left.
    """
    if uncertain not in get_args(Uncertain):
        raise UserError(f"uncertain is {uncertain!r}; expected one of {', '.join(get_args(Uncertain))}")
    columns = _columns(studies, findings)
    if single_label and len(columns) < 2:
        raise UserError(f"found {len(columns)} class, {', '.join(findings)}; expected at least 2 to tell apart")
    in_view = _in_views(studies, views)
    targets = targets_of(studies.labels[:, columns], uncertain)
    known = ~np.isnan(targets)
    clear = known.all(axis=1) if single_label else known.any(axis=1)
    clear &= (studies.labels != UNMENTIONED).any(axis=1)
    of_one_class = targets.sum(axis=1) == 1 if single_label else np.ones(len(studies), bool)
    kept = np.flatnonzero(in_view & clear & of_one_class)
    if not len(kept):
        raise UserError(f"{studies.origin}: none of {len(studies)} images is left for {', '.join(findings)}")
    skipped = {
        "of another view": ~in_view,
        "of unknown label": in_view & ~clear,
        "not of exactly one class": in_view & clear & ~of_one_class,
    }
    counts = {reason: int(rows.sum()) for reason, rows in skipped.items() if rows.any()}
    return studies.take(kept), targets[kept], counts


def targets_of(labels: Int8[np.ndarray, "N F"], uncertain: Uncertain) -> Float32[np.ndarray, "N F"]:
    """Returns 1 for positive labels, the policy's value for uncertain ones (NaN to drop them), and 0 for all others."""
    doubtful = {"drop": np.nan, "zeros": 0.0, "ones": 1.0}[uncertain]
    return np.where(labels == UNCERTAIN, doubtful, labels == POSITIVE).astype(np.float32)


def _columns(studies: Studies, findings: Sequence[str]) -> list[int]:
    column_of = {normalise_name(name): column for column, name in enumerate(studies.findings)}
    keys = [normalise_name(name) for name in findings]
    if unknown := [name for name, key in zip(findings, keys, strict=True) if key not in column_of]:
        known = ", ".join(studies.findings)
        raise UserError(f"{studies.origin} has no label column {', '.join(map(repr, unknown))}; there are: {known}")
    if not keys or len(set(keys)) < len(keys):
        raise UserError(f"found the findings {', '.join(findings) or '(none)'}; expected at least one, each once")
    return [column_of[key] for key in keys]


def _in_views(studies: Studies, views: Sequence[str]) -> np.ndarray:
    """Returns bool [N]: whether the view of each image is among `views`."""
    known = set(studies.views)
    unknown = [view for view in views if view not in known]
    listed = ", ".join(sorted(known - {""})) or "none"
    if views and len(unknown) == len(views):
        raise UserError(f"{studies.origin} has no image of view {', '.join(map(repr, unknown))}; there are: {listed}")
    if unknown:  # not an error, because a subset of a data set may lack a view
        logging.warning("%s: no image of view %s; there are: %s", studies.origin, ", ".join(unknown), listed)
    return np.asarray([not views or view in views for view in studies.views], bool)
