"""The report of a verification run, and the tests of whether its concepts carry the decision."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ecor_jax.bottleneck import similarity_shares
from ecor_jax.data.decode import picture_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pair_sets import PairSet
from ecor_jax.explain.pair_records import ExplainedPair, Side
from ecor_jax.explain.verification_page import write_verification_report
from ecor_jax.explain.verification_records import BenchmarkScore, TarScore, VerificationReport, VerificationRow
from ecor_jax.metrics.faithfulness import deletion, strongest_only
from ecor_jax.tasks.base import Log
from ecor_jax.tasks.verification.model import FaceModel
from ecor_jax.tasks.verification.options import VerificationOptions
from ecor_jax.tasks.verification.pairs import Seen, explained_pairs, head_of
from ecor_jax.tasks.verification.scores import FaceScores, score_pairs

KEPT = (1, 2, 3, 5, 10, 20, 40, 80)
"""Numbers of concepts that the faithfulness tests keep or delete."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One face model: its scores and what it saw, by set of pairs; seconds include its training."""

    face: FaceModel
    scores: Mapping[str, FaceScores]
    seen: Mapping[str, Seen]
    proxy: float | None
    seconds: float


def faithfulness(row: Row, pair_sets: Mapping[str, PairSet], seed: int) -> dict[str, Any]:
    """For results.json, on the first set of pairs; {} where no concept takes part in the decision.

    kept: accuracy with each picture's n strongest concepts alone. deleted: mean similarity of the pairs of the same
    person, after n concepts are deleted from both pictures.
    """
    head = head_of(row.face)
    if head is None:
        return {}
    name, pairs = next(iter(pair_sets.items()))
    activations = row.seen[name].activations
    concepts = activations.shape[1]
    counts = tuple(count for count in KEPT if count < concepts)
    kept = {
        n: score_pairs(strongest_only(activations, n) @ head.weight + head.bias, pairs).folds.accuracy
        for n in (*counts, concepts)
    }
    first, second = activations[pairs.first[pairs.same]], activations[pairs.second[pairs.same]]
    shares = similarity_shares(*(jnp.asarray(array) for array in (first, second, *head)))
    deleted = deletion(first, second, np.asarray(shares.concepts), head, (0, *counts), seed)
    return {
        "faithfulness": {
            "pairs": name,
            "kept": {str(n): accuracy for n, accuracy in kept.items()},
            "deleted": {
                order: dict(zip(map(str, (0, *counts)), values, strict=True)) for order, values in deleted.items()
            },
        }
    }


def write_verification(
    directory: Path,
    config: VerificationOptions,
    rows: Mapping[str, Row],
    pair_sets: Mapping[str, PairSet],
    results: Mapping[str, Any],
    descriptors: Descriptors,
    log: Log,
) -> Path:
    """Writes `directory/index.html`: the table, curves, explained pairs of the first row and the first set."""
    name, main = next(iter(rows.items()))
    kept = results.get("faithfulness", {}).get("kept", {})
    lines = [line for line in log.metrics if line["run"] == name]
    report = VerificationReport(
        title=f"The same person, and why: {config.data.name}",
        intro="Two pictures are compared through characteristic descriptors: what the model finds in both decides.",
        dataset=", ".join(pair_sets),
        facts=_facts(config, pair_sets, descriptors),
        rows=[
            VerificationRow(
                one, {key: _benchmark(score) for key, score in row.scores.items()}, row.proxy, seconds=row.seconds
            )
            for one, row in rows.items()
        ],
        roc={
            key: {
                one: list(zip(curve.far.tolist(), curve.tar.tolist(), strict=True))
                for one, row in rows.items()
                if (curve := row.scores[key].roc) is not None
            }
            for key in pair_sets
        },
        kept={name: [(int(n), accuracy) for n, accuracy in kept.items()]} if kept else {},
        pairs=_examples(config.report.pairs, main, pair_sets, descriptors),
        loss={name: [(line["step"], line["loss"]) for line in lines]} if lines else {},
        commands=[f"ecor-jax explain --model={log.model} --pair FIRST SECOND --output=page"] if log.model else [],
        notes=[
            "Every picture is embedded as it is and mirrored; thresholds are chosen on nine folds of the pairs and "
            "applied to the tenth (insightface's protocol).",
            "Threshold of the explained pairs: the mean of the folds' thresholds on their own set.",
        ],
    )
    return write_verification_report(report, directory)


def _facts(config: VerificationOptions, pair_sets: Mapping[str, PairSet], descriptors: Descriptors) -> dict[str, str]:
    head = config.bottleneck
    return {
        "Model": config.model or "pretrained for this run (clip/model)",
        "Tuned": ", ".join(head.tuned) or "nothing",
        "Decides": head.output,
        "Descriptors": f"{len(descriptors.phrases)} in {len(descriptors.groups)} groups"
        + (", scrambled" if head.scrambled else ""),
        "Loss": f"{config.margin.name}, margin {config.margin.margin}",
        "Steps": f"{config.steps} of {config.data.batch_size} pictures",
        "Pairs": "; ".join(f"{name} {len(pairs.same)}" for name, pairs in pair_sets.items()),
        "Seed": str(config.seed),
    }


def _benchmark(score: FaceScores) -> BenchmarkScore:
    return BenchmarkScore(
        score.folds.accuracy,
        score.auc,
        [TarScore(tar.far, tar.tar, tar.resolved) for tar in score.tar],
        one_kind=score.same in (0, score.pairs),
    )


def _examples(count: int, row: Row, pair_sets: Mapping[str, PairSet], descriptors: Descriptors) -> list[ExplainedPair]:
    """Pairs spread evenly over the first set, as many of the same person as of two."""
    head = head_of(row.face)
    if head is None or not count:
        return []
    name, pairs = next(iter(pair_sets.items()))
    kinds = [np.flatnonzero(pairs.same == kind) for kind in (True, False)]
    spread = [kind[np.unique(np.linspace(0, len(kind) - 1, -(-count // 2)).astype(int))] for kind in kinds if len(kind)]
    chosen = [int(number) for number in np.sort(np.concatenate(spread))][:count]
    rows = [(int(pairs.first[number]), int(pairs.second[number])) for number in chosen]
    sides = [(_side(pairs, first), _side(pairs, second)) for first, second in rows]
    same = [bool(pairs.same[number]) for number in chosen]
    return explained_pairs(row.seen[name], head, descriptors, sides, rows, row.scores[name].threshold, same)


def _side(pairs: PairSet, row: int) -> Side:
    record = pairs.images[row]
    return Side(record["name"], picture_of(record))
