"""The report of a diagnosis run."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import Findings
from ecor_jax.data.decode import picture_of
from ecor_jax.explain.diagnosis_page import write_diagnosis
from ecor_jax.explain.diagnosis_records import (
    Agreement,
    DiagnosisReport,
    DiagnosisRow,
    DiagnosisScore,
    Figure,
    WeightRow,
)
from ecor_jax.explain.records import Reliability, ReliabilityBin
from ecor_jax.explain.study_records import ExplainedStudy
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.classification import calibration_pairs, two_classes
from ecor_jax.metrics.scores import ClassificationScores, LabelScores
from ecor_jax.metrics.verification import roc
from ecor_jax.tasks.base import Log
from ecor_jax.tasks.concepts.data import DiagnosisData
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.results import Row
from ecor_jax.tasks.concepts.studies import Study, explained_studies, linear

MEASURES = {
    "rouge_l": "ROUGE-L",
    "rouge_lsum": "ROUGE-Lsum",
    "meteor": "METEOR",
    "meteor_exact_stem": "METEOR without synonyms",
}
"""Of text (`text_overlap`), as the page calls them."""


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
    kept, lines = results.get("kept", {}), log.metrics
    report = DiagnosisReport(
        title=f"{', '.join(findings)}, and why: {config.data.name}",
        intro="A chest X-ray is compared with descriptors; how well each fits decides, through one weight a finding.",
        dataset=config.data.name,
        facts=_facts(config, data),
        rows=[DiagnosisRow(name, _row_scores(row, findings)) for name, row in rows.items()],
        average=config.evaluation.average,
        differences={name: _figure(one) for name, one in results["auroc_differences"].items()},
        roc={
            finding: {
                name: _roc(row.probabilities[:, column - len(findings)], data.test.targets[:, column - len(findings)])
                for name, row in rows.items()
            }
            for column, finding in enumerate(findings)
        },
        calibration={name: _reliability(row, data, config) for name, row in rows.items()},
        studies=_examples(main, data, config),
        weights=_weights(main, data, config),
        kept_accuracy=_kept(kept, "accuracy"),
        kept_auroc=_kept(kept, "auroc"),
        agreement=_agreement(results["explanations"]) if "explanations" in results else None,
        loss={name: [(line["step"], line["loss"]) for line in lines if line["run"] == name] for name in rows},
        commands=[f"ecor-jax explain --model={log.model} --images PICTURE --output=page"] if log.model else [],
        notes=_notes(config, results["left_out"]),
    )
    return write_diagnosis(report, directory)


def _kept(kept: Mapping[str, Mapping[str, Any]], what: str) -> dict[str, dict[int, Figure]]:
    return {name: {int(count): _named(one, what) for count, one in counts.items()} for name, counts in kept.items()}


def _agreement(found: Mapping[str, Any]) -> Agreement:
    """Of the sets the means over studies, as the measures of text are."""
    names = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
    sets = {
        match: {title: _named(scores["macro"], name) for name, title in names.items()}
        for match, scores in found["sets"].items()
    }
    text = {MEASURES[name]: _figure(one) for name, one in found["text"].items()}
    return Agreement(found["reference"], found["studies"], found["without_report"], text, sets)


def _named(scores: Mapping[str, Any], name: str) -> Figure:
    return _figure({"value": scores[name], "interval": scores[f"{name}_interval"]})


def _figure(found: Mapping[str, Any] | None) -> Figure:
    """Of results.json, where a value and its interval may be missing."""
    if found is None:
        return Figure(None)
    return Figure(found["value"], found["interval"] and tuple(found["interval"]))


def _facts(config: ConceptsOptions, data: DiagnosisData) -> dict[str, str]:
    head, parts = config.head, (("train", data.train), ("test", data.test))
    counts = [
        f"{name} {len(part.studies)} images of {len(set(part.studies.patients))} patients ("
        + ", ".join(f"{c} {int(n)}" for c, n in zip(data.classes, np.nansum(part.targets, axis=0), strict=True))
        + ")"
        for name, part in parts
    ]
    return {
        "Encoders": config.model or config.embeddings or "a CLIP pretrained for this run (clip/model)",
        "Data": "; ".join(counts),
        "Descriptors": f"{len(data.descriptors.phrases)}, known to be present by {config.concepts.source}",
        "Adapter": f"width {head.adapter.width}, alpha {head.adapter.alpha}" if head.adapter.width else "none",
        "Loss": f"cross-entropy (class weights: {config.loss.class_weights}) + {config.loss.concept_weight} concept L1",
        "Steps": f"{config.steps} of {config.data.batch_size} images",
        "Seed": f"{config.seed} (split by patient: {config.data.seed})",
    }


def _notes(config: ConceptsOptions, left_out: Sequence[str]) -> list[str]:
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
    shown = [f"Left out: {line}." for line in left_out[:5]]
    return lines + shown + ([f"And {len(left_out) - 5} more lines, in results.json."] if len(left_out) > 5 else [])


def _row_scores(row: Row, findings: Sequence[str]) -> dict[str, DiagnosisScore]:
    if not isinstance(row.scores, LabelScores):
        return {findings[0]: _score(row.scores)}
    each = {name: _score(one) for name, one in row.scores.labels.items()}
    return each | ({"mean": _score(row.scores.macro)} if len(each) > 1 else {})


def _score(scores: ClassificationScores) -> DiagnosisScore:
    names = {field.name for field in dataclasses.fields(DiagnosisScore)} & {f.name for f in dataclasses.fields(scores)}
    return DiagnosisScore(**{name: getattr(scores, name) for name in names})


def _roc(probability: np.ndarray, gold: np.ndarray) -> list[tuple[float, float]]:
    known = ~np.isnan(gold)
    # A distance is small where two things are alike; here a small one is a high probability.
    curve = roc(1 - probability[known], gold[known] == 1)
    return [] if curve is None else list(zip(curve.far.tolist(), curve.tar.tolist(), strict=True))


def _reliability(row: Row, data: DiagnosisData, config: ConceptsOptions) -> Reliability:
    """Of several findings that of all of them together."""
    if config.data.single_label:
        pairs = calibration_pairs(row.probabilities, np.argmax(data.test.targets, axis=1))
    else:
        pairs = calibration_pairs(*two_classes(row.probabilities.ravel(), data.test.targets.ravel()))
    bins = reliability(*pairs)
    return Reliability([ReliabilityBin(*entry) for entry in bins], expected_calibration_error(bins))


def _weights(row: Row, data: DiagnosisData, config: ConceptsOptions) -> list[WeightRow]:
    if not isinstance(row.head, Bottleneck) or row.typical is None:
        return []
    end = linear(row.head, Findings(data.classes, config.data.single_label, row.typical))
    words = data.descriptors
    return [
        WeightRow(phrase, words.groups[group], dict(zip(end.findings, weights.tolist(), strict=True)))
        for phrase, group, weights in zip(words.phrases, words.group_of, end.weight, strict=True)
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
