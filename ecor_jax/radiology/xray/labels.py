"""Which images a task is about, and their targets: views, findings, and what to make of uncertain labels."""

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
    """The images of a task, in their order; their targets float32 [N, F], a column for each of `findings`.

    And how many images are no part of it, by reason.

    Args:
        studies: images with labels.
        findings: label columns of `studies`, upper and lower case alike.
        views: views to keep, as the table has them (PA, AP, LATERAL; LATERAL does not stand for MIMIC's LL);
            () keeps all.
        uncertain: an uncertain label is not known ("drop"), counts as negative ("zeros") or as positive ("ones"): the
            U-Ignore, U-Zeros and U-Ones of CheXpert (Irvin et al. 2019, section 4). What is not known is NaN; of
            classes that exclude each other the image is left out, and where it is known of no finding.
        single_label: the findings are classes, in this selection exclusive: kept are images positive for exactly
            one of them, whatever other findings they show; targets are one-hot.

    Findings that the report does not mention count as negative, as is the practice with CheXpert's labels; an image of
    which the table says nothing at all is left out.

    Raises UserError for findings that do not exist (naming those that do) or are given twice, for views of which
    there is none, for fewer than two classes, and if no image is left.
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
    """1 for positive labels, uncertain ones by the policy (NaN where they are dropped), 0 for all others."""
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
    """bool [N]"""
    known = set(studies.views)
    unknown = [view for view in views if view not in known]
    listed = ", ".join(sorted(known - {""})) or "none"
    if views and len(unknown) == len(views):
        raise UserError(f"{studies.origin} has no image of view {', '.join(map(repr, unknown))}; there are: {listed}")
    if unknown:  # no error: a subset of a data set may happen to have none
        logging.warning("%s: no image of view %s; there are: %s", studies.origin, ", ".join(unknown), listed)
    return np.asarray([not views or view in views for view in studies.views], bool)
