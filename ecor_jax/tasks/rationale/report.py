"""The report of a rationale run: results as `ecor_jax.explain` shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecor_jax.data.decode import picture_of
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.explain.records import (
    Calibration,
    ExplainedPicture,
    Explanation,
    MethodRow,
    Outcomes,
    Pair,
    Reliability,
    ReliabilityBin,
    Report,
)
from ecor_jax.explain.report import write_report
from ecor_jax.metrics.calibration import expected_calibration_error, reliability
from ecor_jax.metrics.doubly_right import NAMES, rates
from ecor_jax.tasks.rationale.data import Dataset
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.predict import Predictions

if TYPE_CHECKING:
    from ecor_jax.tasks.rationale.task import Evaluation

MOST_CLASSES = 120
"""A per-class table longer than this helps nobody on a page; results.json has the totals."""


def write_rationale_report(
    directory: Path,
    config: RationaleOptions,
    vocabulary: Vocabulary,
    dataset: Dataset,
    evaluations: Mapping[str, "Evaluation"],
    metrics: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
    commands: Sequence[str],
) -> Path:
    """Writes `directory/index.html`: table, pictures, classes, calibration, and curves of the file `metrics`.

    seconds: of tuning and evaluating each method (since the run was last started).
    """
    curves = {name: [line for line in metrics if line["run"] == name] for name in evaluations}
    trained = {name: lines for name, lines in curves.items() if lines}
    classes = len(vocabulary.classes) <= MOST_CLASSES
    report = Report(
        title=f"What it sees, and why: {config.data.name}",
        intro="Each method names the category of a picture and the rationales it gives for it. "
        "A picture is doubly right only if both are.",
        dataset=config.data.name,
        facts=_facts(config, vocabulary, dataset),
        methods=[
            MethodRow(name, _outcomes(evaluation.judged.outcome), seconds=seconds[name])
            for name, evaluation in evaluations.items()
        ],
        pictures=_pictures(config.report.pictures, vocabulary, dataset, evaluations),
        classes={name: _classes(vocabulary, evaluation) for name, evaluation in evaluations.items()} if classes else {},
        calibration={name: _calibration(evaluation.predictions) for name, evaluation in evaluations.items()},
        loss={name: [(line["step"], line["loss"]) for line in lines] for name, lines in trained.items()},
        images_per_second={
            name: [(line["step"], line["examples_per_second"]) for line in lines] for name, lines in trained.items()
        },
        commands=commands,
        notes=[f"Left out: {line}" for line in dataset.left_out],
    )
    return write_report(report, directory)


def _facts(config: RationaleOptions, vocabulary: Vocabulary, dataset: Dataset) -> dict[str, str]:
    facts = {
        "Model": config.model,
        "Test pictures": str(len(dataset.test)),
        "Classes": str(len(vocabulary.classes)),
        "Rationales": str(len(vocabulary.rationales)),
        "Gold pairs": str(int(vocabulary.gold.sum())),
        "Evaluation": f"{config.evaluation.mode}, top {config.evaluation.top_k} pairs",
        "Seed": str(config.seed),
    }
    if dataset.train is not None:
        facts["Training pictures"] = str(len(dataset.train))
        facts["Steps"] = f"{config.steps} of {config.data.batch_size} pictures"
    return facts


def _outcomes(outcome: np.ndarray) -> Outcomes:
    shares = rates(outcome)
    return Outcomes(*(shares[name] for name in NAMES), count=int(shares["count"]))


def _pictures(
    count: int, vocabulary: Vocabulary, dataset: Dataset, evaluations: Mapping[str, "Evaluation"]
) -> list[ExplainedPicture]:
    """Pictures spread evenly over the test set, so over the classes."""
    rows = np.unique(np.linspace(0, len(dataset.test) - 1, min(count, len(dataset.test))).astype(int))
    # The answers leave out what could not be read, so rows agree only where nothing was skipped on the way.
    some = next(iter(evaluations.values())).predictions
    if len(some.gold_category) != len(dataset.test):
        return []
    return [
        ExplainedPicture(
            name=dataset.test[int(row)]["name"],
            image=picture_of(dataset.test[int(row)]),
            explanations=[
                Explanation(
                    name,
                    top_pairs_of(evaluation.predictions, int(row), vocabulary),
                    vocabulary.classes[evaluation.judged.voted[row]],
                    _OUTCOMES[evaluation.judged.outcome[row]],
                )
                for name, evaluation in evaluations.items()
            ],
            gold_category=vocabulary.classes[some.gold_category[row]],
            gold_rationales=[vocabulary.rationales[r] for r in np.flatnonzero(some.gold_rationales[row])],
        )
        for row in rows
    ]


_OUTCOMES = ("RR", "RW", "WR", "WW")


def top_pairs_of(predictions: Predictions, row: int, vocabulary: Vocabulary) -> list[Pair]:
    """The top pairs of image `row`, in words."""
    columns = (predictions.categories[row], predictions.rationales[row], predictions.probabilities[row])
    return [Pair(vocabulary.classes[c], vocabulary.rationales[r], float(p)) for c, r, p in zip(*columns, strict=True)]


def _classes(vocabulary: Vocabulary, evaluation: "Evaluation") -> dict[str, Outcomes]:
    gold = evaluation.predictions.gold_category
    return {vocabulary.classes[c]: _outcomes(evaluation.judged.outcome[gold == c]) for c in np.unique(gold)}


def _calibration(predictions: Predictions) -> Calibration:
    right_reason = np.take_along_axis(predictions.gold_rationales, predictions.rationale[:, None], axis=1)[:, 0]

    def diagram(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
        bins = reliability(confidence, correct)
        return Reliability([ReliabilityBin(*entry) for entry in bins], expected_calibration_error(bins))

    return Calibration(
        diagram(predictions.category_confidence, predictions.category == predictions.gold_category),
        diagram(predictions.rationale_confidence, right_reason),
    )
