"""The page of a diagnosis run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import Findings
from ecor_jax.data.decode import picture_of
from ecor_jax.metrics.calibration import Bin, expected_calibration_error, reliability
from ecor_jax.metrics.classification import calibration_pairs, two_classes
from ecor_jax.metrics.scores import ClassificationScores, LabelScores
from ecor_jax.metrics.verification import Roc, roc
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.base import Log
from ecor_jax.tasks.concepts.data import DiagnosisData
from ecor_jax.tasks.concepts.explanation import ExplainedStudy
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.results import Row
from ecor_jax.tasks.concepts.studies import NOTICE, READING, Study, explained_studies, linear


class DescriptorWeights(NamedTuple):
    """What each finding's logit gains per unit of a descriptor's cosine, and the size of the largest of these."""

    phrase: str
    group: str
    by_finding: Mapping[str, float]
    strength: float


def write_report(
    directory: Path,
    config: ConceptsOptions,
    rows: Mapping[str, Row],
    results: Mapping[str, Any],
    data: DiagnosisData,
    log: Log,
) -> Path:
    """Writes `directory/index.html`: the table, curves, weights, explained studies of the first method."""
    main = next(iter(rows.values()))
    findings = data.classes[1:] if config.data.single_label else data.classes
    scores = {name: {method: _scores(row, name) for method, row in rows.items()} for name in findings}
    if len(findings) > 1:
        scores["mean"] = {method: row.main for method, row in rows.items()}
    studies = _examples(main, data, config)
    # Of two classes the last column is the finding's.
    columns = {name: number - len(findings) for number, name in enumerate(findings)}
    return write_page(
        directory,
        "concepts.html",
        title=f"{config.data.name}: {', '.join(findings)}",
        kind="What is found in chest X-rays, and why",
        intro="A chest X-ray is compared with descriptors; how well each fits decides, through one weight a finding. "
        + NOTICE,
        facts=_facts(config, data),
        medical=True,
        scores=scores,
        silent={
            (name, method)
            for name, column in columns.items()
            for method, row in rows.items()
            if not (row.probabilities[:, column] > 0.5).any()
        },
        differences=results["auroc_differences"],
        roc=_rocs(rows, columns, scores, data),
        calibration={method: _reliability(row, data, config) for method, row in rows.items()},
        ece=expected_calibration_error,
        studies=studies,
        weights=_weights(main, data, config),
        kept=_kept(results.get("kept", {})),
        agreement=results.get("explanations"),
        metrics=log.metrics,
        commands=[f"ecor-jax explain --model={log.model} --images PICTURE --output=page"] if log.model else [],
        left_out=results["left_out"],
        notes=[*_notes(config), *(READING if studies else ())],
    )


def _scores(row: Row, finding: str) -> ClassificationScores:
    return row.scores.labels[finding] if isinstance(row.scores, LabelScores) else row.scores


def _rocs(
    rows: Mapping[str, Row],
    columns: Mapping[str, int],
    scores: Mapping[str, Mapping[str, ClassificationScores]],
    data: DiagnosisData,
) -> dict[str, dict[str, tuple[Roc, float]]]:
    """By finding and method; none of a finding that all test studies have, or none of them."""
    found = {}
    for name, column in columns.items():
        gold = data.test.targets[:, column]
        known = ~np.isnan(gold)
        # A distance is small where two things are alike; here a small one is a high probability.
        curves = {
            method: (roc(1 - row.probabilities[known, column], gold[known] == 1), scores[name][method].auroc)
            for method, row in rows.items()
        }
        if all(curve is not None for curve, _ in curves.values()):
            found[name] = curves
    return found


def _kept(kept: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, dict[int, tuple[float, Any]]]]:
    """Accuracy and AUROC by method and number of concepts, with their intervals; what is not defined is left out."""
    figures = {
        what: {
            method: {
                int(count): (values[what.lower()], values[f"{what.lower()}_interval"])
                for count, values in counts.items()
                if values[what.lower()] is not None
            }
            for method, counts in kept.items()
        }
        for what in ("accuracy", "AUROC")
    }
    figures = {what: {name: curve for name, curve in curves.items() if curve} for what, curves in figures.items()}
    return {what: curves for what, curves in figures.items() if curves}


def _facts(config: ConceptsOptions, data: DiagnosisData) -> dict[str, str]:
    head, parts = config.head, (("train", data.train), ("test", data.test))
    counts = [
        f"{name} {len(part.studies)} images of {len(set(part.studies.patients))} patients ("
        + ", ".join(f"{c} {int(n)}" for c, n in zip(data.classes, np.nansum(part.targets, axis=0), strict=True))
        + ")"
        for name, part in parts
    ]
    return {
        "Encoders": config.model or config.embeddings or "a CLIP pretrained for this run",
        "Data": "; ".join(counts),
        "Descriptors": f"{len(data.descriptors.phrases)}, known to be present by {config.concepts.source}",
        "Adapter": f"width {head.adapter.width}, alpha {head.adapter.alpha}" if head.adapter.width else "none",
        "Loss": f"cross-entropy (class weights: {config.loss.class_weights}) + {config.loss.concept_weight} concept L1",
        "Steps": f"{config.steps} of {config.data.batch_size} images",
        "Seed": f"{config.seed} (split by patient: {config.data.seed})",
    }


def _notes(config: ConceptsOptions) -> list[str]:
    lines = [
        "Intervals hold 95 % of bootstrap resamples of the test patients; they say nothing of another training run.",
        "Random descriptors have random letters in the place of every word: what they reach owes nothing to meaning.",
    ]
    if config.concepts.source == "labels":
        lines.append(
            "No reports belong to these images: which descriptors hold of one is derived from its labels, and the "
            "text measures compare with those, not with a radiologist's words."
        )
    if not (config.model or config.embeddings):
        lines.append(
            "The CLIP was pretrained on the training patients' images and labels, so the heads were trained on "
            "features that fit these images better than those of the test patients."
        )
    if config.loss.class_weights == "balanced":
        lines.append("Classes were balanced in training: probabilities are those of findings as frequent as not.")
    return lines


def _reliability(row: Row, data: DiagnosisData, config: ConceptsOptions) -> tuple[Bin, ...]:
    """Of several findings that of all of them together."""
    if config.data.single_label:
        pairs = calibration_pairs(row.probabilities, np.argmax(data.test.targets, axis=1))
    else:
        pairs = calibration_pairs(*two_classes(row.probabilities.ravel(), data.test.targets.ravel()))
    return reliability(*pairs)


def _weights(row: Row, data: DiagnosisData, config: ConceptsOptions) -> list[DescriptorWeights]:
    """The strongest first; what is no number counts as nothing."""
    if not isinstance(row.head, Bottleneck) or row.typical is None:
        return []
    end = linear(row.head, Findings(data.classes, config.data.single_label, row.typical))
    words, strengths = data.descriptors, np.abs(np.nan_to_num(end.weight)).max(axis=1)
    return [
        DescriptorWeights(
            words.phrases[number],
            words.groups[words.group_of[number]],
            dict(zip(end.findings, end.weight[number].tolist(), strict=True)),
            float(strengths[number]),
        )
        for number in np.argsort(-strengths, kind="stable").tolist()
    ]


def _examples(row: Row, data: DiagnosisData, config: ConceptsOptions) -> list[ExplainedStudy]:
    """Test studies spread evenly over the probabilities, as many of each gold of the last finding as there are."""
    count, test = config.report.studies, data.test
    if not isinstance(row.head, Bottleneck) or row.cosines is None or row.typical is None or not count:
        return []
    kinds = [np.flatnonzero(test.targets[:, -1] == gold) for gold in (1, 0)]
    ordered = [kind[np.argsort(row.probabilities[kind, -1], kind="stable")] for kind in kinds if len(kind)]
    spread = [kind[np.unique(np.linspace(0, len(kind) - 1, -(-count // 2)).astype(int))] for kind in ordered]
    chosen = np.concatenate(spread)[:count]
    end = linear(row.head, Findings(data.classes, config.data.single_label, row.typical))
    studies = []
    for number in map(int, chosen):
        record = test.studies[number]
        targets = dict(zip(data.classes, test.targets[number].tolist(), strict=True))
        gold = {finding: targets[finding] == 1 for finding in end.findings if not np.isnan(targets[finding])}
        studies.append(Study(record["name"], picture_of(record), gold, test.phrases[number]))
    source = {"labels": "the labels", "reports": "the radiologist's report"}[config.concepts.source]
    return explained_studies(studies, row.cosines[chosen], end, row.typical, data.descriptors, source)
