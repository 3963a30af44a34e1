"""Writes the report page of a run or an evaluation of the rationale task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.data.decode import picture_of
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.metrics.calibration import Bin, expected_calibration_error, reliability
from ecor_jax.pages.numbers import duration
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.base import Log
from ecor_jax.tasks.rationale.causal import ChangedDrawings
from ecor_jax.tasks.rationale.data import Dataset
from ecor_jax.tasks.rationale.doubly_right import each_rate, rates
from ecor_jax.tasks.rationale.evaluation import Evaluation
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, explanations_of
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.pointing import CURVES

MAX_CLASSES = 120
"""The page has a table with a row per class only if there are at most this many classes."""

EXPERIMENTS = 6
"""Maximum number of drawings for which the page shows the causal test."""


def write_rationale_report(
    directory: Path,
    config: RationaleOptions,
    vocabulary: Vocabulary,
    dataset: Dataset,
    evaluations: Mapping[str, Evaluation],
    top_k: int,
    log: Log,
    seconds: Mapping[str, float],
    encoding: float,
) -> Path:
    """Writes `directory/index.html`: table, pictures, classes, calibration and training curves; returns its path.

    seconds: duration of tuning and evaluating each method, since the last resume. encoding: seconds in which the
    prompts of all methods were encoded or read from the cache.
    """
    classes = len(vocabulary.classes) <= MAX_CLASSES
    return write_page(
        directory,
        "rationale.html",
        title=config.data.name if config.data.name not in ("", "folder") else Path(config.data.images).name,
        kind=f"Categories with reasons, by {', '.join(evaluations)}",
        intro="Each method names the category of a picture and the rationales it gives for it. "
        "A picture is doubly right only if both are.",
        facts=_facts(config, log.opened, vocabulary, dataset, top_k) | {"Prompts encoded in": duration(encoding)},
        methods={name: evaluation.rates for name, evaluation in evaluations.items()},
        seconds=seconds,
        pictures=_pictures(config.report.pictures, vocabulary, dataset, evaluations),
        classes={name: _classes(vocabulary, evaluation) for name, evaluation in evaluations.items() if classes},
        causal={name: own.causal.results for name, own in evaluations.items() if own.causal},
        experiments=_experiments(dataset, evaluations),
        pointing={name: own.pointing.results for name, own in evaluations.items() if own.pointing},
        curves_of_pointing=CURVES,
        calibration=_calibration(evaluations),
        ece=expected_calibration_error,
        metrics=log.metrics,
        commands=[f"ecor-jax explain --model={log.model} --images PICTURE --output=page"] if log.model else [],
        left_out=dataset.tally.lines,
    )


def _facts(
    config: RationaleOptions, opened: str, vocabulary: Vocabulary, dataset: Dataset, top_k: int
) -> dict[str, str]:
    facts = {
        "Model": opened or "pretrained for this run",
        "Pictures": str(dataset.tally),
        "Test pictures": str(len(dataset.test)),
        "Classes": str(len(vocabulary.classes)),
        "Rationales": str(len(vocabulary.rationales)),
        "Gold pairs": str(int(vocabulary.gold.sum())),
        "Evaluation": f"{config.evaluation.mode}, top {top_k} pairs",
        "Seed": str(config.seed),
    }
    if dataset.train is not None:
        facts["Training pictures"] = str(len(dataset.train))
        facts["Steps"] = f"{config.steps} of {config.data.batch_size} pictures"
    return {name: value for name, value in facts.items() if value}


def _pictures(
    count: int, vocabulary: Vocabulary, dataset: Dataset, evaluations: Mapping[str, Evaluation]
) -> list[ExplainedPicture]:
    """Explains evenly spaced pictures of the test set, so of many classes; none if pictures were skipped."""
    # Predictions omit unreadable pictures, so indices agree only if no picture was skipped.
    gold = next(iter(evaluations.values())).predictions
    if len(gold.gold_category) != len(dataset.test):
        return []
    pictures = []
    for number in shown_numbers(count, len(dataset.test)):
        record = dataset.test[number]
        explanations = explanations_of(evaluations, number, vocabulary)
        reasons = [vocabulary.rationales[r] for r in np.flatnonzero(gold.gold_rationales[number])]
        category = vocabulary.classes[gold.gold_category[number]]
        view = next((own.details[number].view for own in evaluations.values() if number in own.details), None)
        pictures.append(ExplainedPicture(record["name"], picture_of(record), explanations, category, reasons, view))
    return pictures


def shown_numbers(count: int, pictures: int) -> list[int]:
    """Returns the numbers of at most `count` of the test pictures, evenly spaced."""
    return np.unique(np.linspace(0, pictures - 1, min(count, pictures)).astype(int)).tolist()


def _experiments(dataset: Dataset, evaluations: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """Returns removals of the last method's causal test, evenly spaced by predicted class, with their drawings."""
    name, evaluation = list(evaluations.items())[-1]
    test, drawings = evaluation.causal, dataset.drawings
    if test is None or drawings is None or not test.removals.chosen:
        return []
    chosen = test.removals.chosen
    by_class = sorted(range(len(chosen)), key=lambda number: chosen[number].category)
    spaced = np.unique(np.linspace(0, len(chosen) - 1, EXPERIMENTS).astype(int))
    changed = ChangedDrawings(drawings, chosen)
    return [
        {
            "method": name,
            "removal": chosen[number],
            "label": drawings.categories[chosen[number].index],
            "images": [picture_of(changed[3 * number + kind]) for kind in range(3)],
            "probabilities": test.probabilities[number].tolist(),
        }
        for number in (by_class[place] for place in spaced)
    ]


def _classes(vocabulary: Vocabulary, evaluation: Evaluation) -> dict[str, dict[str, float | int]]:
    gold = evaluation.predictions.gold_category
    each = each_rate(evaluation.outcomes.outcome)
    return {
        vocabulary.classes[c]: rates({name: values[gold == c] for name, values in each.items()})
        for c in np.unique(gold)
    }


def _calibration(evaluations: Mapping[str, Evaluation]) -> dict[str, tuple[Bin, ...]]:
    """Computes reliability bins of every method's categories, then of their rationales."""
    categories, reasons = {}, {}
    for name, evaluation in evaluations.items():
        said = evaluation.predictions
        if said.category_confidence is None or said.rationale is None or said.rationale_confidence is None:
            continue
        right_reason = np.take_along_axis(said.gold_rationales, said.rationale[:, None], axis=1)[:, 0]
        categories[f"{name}, category"] = reliability(said.category_confidence, said.category == said.gold_category)
        reasons[f"{name}, reason"] = reliability(said.rationale_confidence, right_reason)
    return categories | reasons
