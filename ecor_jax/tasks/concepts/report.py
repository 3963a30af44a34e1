"""Writes the report page of a run or an evaluation of the concepts task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.bottleneck.directory import Findings
from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.data.decode import picture_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.metrics.calibration import Bin, expected_calibration_error, reliability
from ecor_jax.metrics.classification import calibration_pairs, two_classes
from ecor_jax.metrics.scores import ClassificationScores, LabelScores
from ecor_jax.metrics.verification import Roc, roc
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.base import Log
from ecor_jax.tasks.concepts.data import ConceptsDataset
from ecor_jax.tasks.concepts.explain import NOTICE, Shown, explained_images, reading
from ecor_jax.tasks.concepts.explanation import ExplainedImage
from ecor_jax.tasks.concepts.heads import Linear, linear
from ecor_jax.tasks.concepts.measures import page_of
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.results import Evaluation
from ecor_jax.tasks.concepts.saliency import with_maps

TOP_OF_CLASS = 5
MAX_COUNTED = 14
"""Maximum number of classes for which the top of the page has the number of pictures of each class."""


def write_report(
    directory: Path,
    config: ConceptsOptions,
    rows: Mapping[str, Evaluation],
    results: Mapping[str, Any],
    data: ConceptsDataset,
    log: Log,
    clip: Model | None,
) -> Path:
    """Writes `directory/index.html`: the table, curves, weights and explained pictures of the first method.

    clip: the encoder, for saliency maps; None for a file of embeddings.
    """
    main = next(iter(rows.values()))
    medical, several = data.test.patients is not None, data.exclusive and len(data.classes) > 2
    scores = {name: {method: _scores(row, name) for method, row in rows.items()} for name in data.shown}
    if len(scores) != 1:
        scores["mean" if scores else "all classes"] = {method: row.main for method, row in rows.items()}
    end = linear(main.head, data.classes, data.exclusive) if isinstance(main.head, Bottleneck) else None
    images = [] if end is None else _examples(main, end, data, config)
    if config.report.saliency and clip is not None and isinstance(main.head, Bottleneck):
        images = with_maps(images, clip, main.head, data.classes, data.exclusive)
    # Of two exclusive classes, only the last one is shown, and its column is the last.
    columns = {name: number - len(data.shown) for number, name in enumerate(data.shown)}
    what = ", ".join(data.shown) or f"{len(data.classes)} classes"
    return write_page(
        directory,
        "concepts.html",
        title=f"{config.data.name or 'pictures'}: {what}",
        kind="What is found in chest X-rays, and why" if medical else "What pictures show, and why",
        intro="A chest X-ray is compared with descriptors; how well each fits decides, through one weight a finding. "
        + NOTICE
        if medical
        else "A picture is compared with descriptors; how well each fits decides, through one weight for each answer.",
        facts=_facts(config, log.opened, data),
        medical=medical,
        several=several,
        scores=scores,
        silent={
            (name, method)
            for name, column in columns.items()
            for method, row in rows.items()
            if not (row.probabilities[:, column] > 0.5).any()
        },
        differences=results["auroc_differences"],
        roc=_rocs(rows, columns, scores, data),
        calibration={method: _reliability(row, data) for method, row in rows.items()},
        ece=expected_calibration_error,
        images=images,
        weights=[] if end is None or several else _weights(end, data.descriptors),
        strongest=_strongest(end, data.descriptors) if end is not None and several else {},
        kept=_kept(results.get("kept", {})),
        worth=page_of(results["methods"]),
        agreement=results.get("explanations"),
        metrics=log.metrics,
        commands=[f"ecor-jax explain --model={log.model} --images PICTURE --output=page"] if log.model else [],
        left_out=results["left_out"],
        notes=[*_notes(config, data), *(reading(medical=medical, classes=several) if images else ())],
    )


def _scores(row: Evaluation, finding: str) -> ClassificationScores:
    return row.scores.labels[finding] if isinstance(row.scores, LabelScores) else row.scores


def _rocs(
    rows: Mapping[str, Evaluation],
    columns: Mapping[str, int],
    scores: Mapping[str, Mapping[str, ClassificationScores]],
    data: ConceptsDataset,
) -> dict[str, dict[str, tuple[Roc, float]]]:
    """Computes ROC curves by finding and method; omits findings that all or none of the test studies have."""
    shown = {}
    for name, column in columns.items():
        gold = data.test.targets[:, column]
        known = ~np.isnan(gold)
        # `roc` expects distances, which are small for positives.
        curves = {
            method: (roc(1 - row.probabilities[known, column], gold[known] == 1), scores[name][method].auroc)
            for method, row in rows.items()
        }
        if all(curve is not None for curve, _ in curves.values()):
            shown[name] = curves
    return shown


def _kept(kept: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, dict[int, tuple[float, Any]]]]:
    """Returns accuracy and AUROC by method and number of concepts, with intervals; omits undefined values."""
    figures = {}
    for what, key in (("accuracy", "accuracy"), ("AUROC", "auroc")):
        for method, counts in kept.items():
            defined = {int(count): values for count, values in counts.items() if values[key] is not None}
            curve = {count: (values[key], values.get(f"{key}_interval")) for count, values in defined.items()}
            if curve:
                figures.setdefault(what, {})[method] = curve
    return figures


def _facts(config: ConceptsOptions, opened: str, data: ConceptsDataset) -> dict[str, str]:
    head, by = config.head, "" if data.test.patients is None else f" (split by patient: {config.data.seed})"
    named = (("train", data.train), ("validation", data.validation), ("test", data.test))
    splits = [(name, split) for name, split in named if split is not None]
    counts = []
    for name, split in splits:
        of = "" if split.patients is None else f" of {len(set(split.patients))} patients"
        positives = zip(data.classes, np.nansum(split.targets, axis=0), strict=True)
        each = " (" + ", ".join(f"{label} {int(count)}" for label, count in positives) + ")"
        counts.append(f"{name} {len(split.pictures)} images{of}{each if len(data.classes) <= MAX_COUNTED else ''}")
    return {
        "Encoders": opened or config.embeddings or "a CLIP pretrained for this run",
        "Pictures": str(data.tally),
        "Data": "; ".join(counts),
        "Descriptors": f"{len(data.descriptors.phrases)}, known to be present by {config.concepts.source}",
        "Adapter": f"width {head.adapter.width}, alpha {head.adapter.alpha}" if head.adapter.width else "none",
        "Loss": f"cross-entropy (class weights: {config.loss.class_weights}) + {config.loss.concept_weight} concept L1",
        "Steps": f"{config.steps} of {config.data.batch_size} images",
        "Seed": f"{config.seed}{by}",
    }


def _notes(config: ConceptsOptions, data: ConceptsDataset) -> list[str]:
    medical = data.test.patients is not None
    lines = [
        "Random descriptors have random letters in the place of every word: what they reach owes nothing to meaning.",
    ]
    if medical:
        lines.append(
            "Intervals hold 95 % of bootstrap resamples of the test patients; they say nothing of another training run."
        )
    if config.concepts.source == "labels" and not medical:
        lines.append("Which descriptors hold of a picture is derived from its class: nobody looked at the picture.")
    if config.concepts.source == "labels" and medical:
        lines.append(
            "No reports belong to these images: which descriptors hold of one is derived from its labels, and the "
            "text measures compare with those, not with a radiologist's words."
        )
    if medical and not (config.model or config.embeddings):
        lines.append(
            "The CLIP was pretrained on the training patients' images and labels, so the heads were trained on "
            "features that fit these images better than those of the test patients."
        )
    if config.loss.class_weights == "balanced":
        lines.append("Classes were balanced in training: probabilities are those of findings as frequent as not.")
    return lines


def _reliability(row: Evaluation, data: ConceptsDataset) -> tuple[Bin, ...]:
    """Computes the reliability bins of a method; for labels, pooled over all of them."""
    if data.exclusive:
        pairs = calibration_pairs(row.probabilities, np.argmax(data.test.targets, axis=1))
    else:
        pairs = calibration_pairs(*two_classes(row.probabilities.ravel(), data.test.targets.ravel()))
    return reliability(*pairs)


def _weights(end: Linear, words: Descriptors) -> list[dict[str, Any]]:
    """Returns the weights of all descriptors in each label's logit, the strongest first; NaN counts as 0.

    strength: the largest magnitude of the weights of a descriptor.
    """
    strengths = np.abs(np.nan_to_num(end.weight)).max(axis=1)
    return [
        {
            "phrase": words.phrases[number],
            "group": words.groups[words.group_of[number]],
            "by_label": dict(zip(end.names, end.weight[number].tolist(), strict=True)),
            "strength": float(strengths[number]),
        }
        for number in np.argsort(-strengths, kind="stable").tolist()
    ]


def _strongest(end: Linear, words: Descriptors) -> dict[str, list[tuple[str, str, float]]]:
    """Returns the descriptors with the largest weights for each class, with their groups and weights."""
    return {
        name: [
            (words.phrases[concept], words.groups[words.group_of[concept]], float(weight[concept]))
            for concept in np.argsort(-np.nan_to_num(weight), kind="stable")[:TOP_OF_CLASS].tolist()
        ]
        for name, weight in zip(end.names, end.weight.T, strict=True)
    }


def _examples(row: Evaluation, end: Linear, data: ConceptsDataset, config: ConceptsOptions) -> list[ExplainedImage]:
    """Explains test pictures, spread evenly over their order by probability: as many right as wrong ones, or for labels
    and for two classes, as many with the last label as without it, if there are enough."""
    count, test = config.report.studies, data.test
    if row.cosines is None or row.typical is None or not count:
        return []
    several = data.exclusive and len(data.classes) > 2
    if several:
        answers = np.argmax(row.probabilities, axis=1)
        shares, first = row.probabilities.max(axis=1), test.targets[np.arange(len(answers)), answers]
    else:
        shares, first = row.probabilities[:, -1], test.targets[:, -1]
    kinds = [np.flatnonzero(first == gold) for gold in (1, 0)]
    ordered = [kind[np.argsort(shares[kind], kind="stable")] for kind in kinds if len(kind)]
    spread = [kind[np.unique(np.linspace(0, len(kind) - 1, -(-count // 2)).astype(int))] for kind in ordered]
    chosen = np.concatenate(spread)[:count]
    images = []
    for number in map(int, chosen):
        record = test.pictures[number]
        targets = dict(zip(data.classes, test.targets[number].tolist(), strict=True))
        gold = {label: targets[label] == 1 for label in end.names if not np.isnan(targets[label])}
        images.append(Shown(record["name"], picture_of(record), gold, test.phrases[number]))
    source = {"labels": "the labels", "reports": "the radiologist's report"}[config.concepts.source]
    findings = Findings(data.classes, data.exclusive, row.typical, medical=test.patients is not None)
    return explained_images(images, row.cosines[chosen], end, findings, data.descriptors, source)
