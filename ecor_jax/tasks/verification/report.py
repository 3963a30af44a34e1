"""Writes the report page of a verification run, and runs the faithfulness tests of its concepts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ecor_jax.bottleneck.head import CONCEPTS_KEPT, similarity_shares
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.decode import picture_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pair_sets import PairSet
from ecor_jax.data.tally import Tally
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.base import Log, MethodResult
from ecor_jax.tasks.verification.explanation import ExplainedPair, Side
from ecor_jax.tasks.verification.faithfulness import Head, deletion, strongest_only
from ecor_jax.tasks.verification.model import FaceModel
from ecor_jax.tasks.verification.options import VerificationOptions
from ecor_jax.tasks.verification.pairs import READING, Seen, explained_pairs, head_of
from ecor_jax.tasks.verification.saliency import with_maps
from ecor_jax.tasks.verification.scores import FaceScores, score_pairs


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores, embeddings and activations by set of pairs. proxy: the alignment proxy; None without pictures for it."""

    scores: Mapping[str, FaceScores]
    seen: Mapping[str, Seen]
    proxy: float | None


def faithfulness(
    face: FaceModel, evaluation: Evaluation, pair_sets: Mapping[str, PairSet], seed: int
) -> dict[str, Any]:
    """Runs the faithfulness tests on the first set of pairs, for results.json; {} if the decision uses no concepts.

    kept: accuracy with only the n strongest concepts of each picture. deleted: mean similarity of the pairs of the same
    person after deleting n concepts from both pictures.
    """
    head = head_of(face)
    if head is None:
        return {}
    name, pairs = next(iter(pair_sets.items()))
    activations = evaluation.seen[name].activations
    concepts = activations.shape[1]
    counts = tuple(count for count in CONCEPTS_KEPT if count < concepts)
    kept = {
        str(n): score_pairs(strongest_only(activations, n) @ head.weight + head.bias, pairs).folds.accuracy
        for n in (*counts, concepts)
    }
    first, second = activations[pairs.first[pairs.same]], activations[pairs.second[pairs.same]]
    shares = similarity_shares(*(jnp.asarray(array) for array in (first, second, *head)))
    deleted = deletion(first, second, np.asarray(shares.concepts), head, (0, *counts), seed)
    deleted = {order: dict(zip(map(str, (0, *counts)), values, strict=True)) for order, values in deleted.items()}
    return {"faithfulness": {"pairs": name, "kept": kept, "deleted": deleted}}


def write_verification(
    directory: Path,
    config: VerificationOptions,
    evaluated: Mapping[str, MethodResult[Evaluation]],
    pair_sets: Mapping[str, PairSet],
    results: Mapping[str, Any],
    descriptors: Descriptors,
    log: Log,
    tally: Tally,
    preprocess: Preprocess,
) -> Path:
    """Writes `directory/index.html`: the table, curves, and explained pairs of the first method and the first set."""
    (name, (face, main, _)) = next(iter(evaluated.items()))
    scores = {name: own.evaluation.scores for name, own in evaluated.items()}
    pairs = _examples(config.report.pairs, face, main, pair_sets, descriptors)
    if config.report.saliency:
        pairs = with_maps(pairs, face, preprocess)
    # The average omits sets with pairs of only one kind, because their accuracy is not informative.
    telling = [key for key, score in main.scores.items() if not score.one_kind]
    kept = results.get("faithfulness", {}).get("kept", {})
    return write_page(
        directory,
        "verification.html",
        title=", ".join(pair_sets),
        kind="The same person or not, through descriptors",
        intro="Two pictures are compared through characteristic descriptors: what the model finds in both decides.",
        facts=_facts(config, log.opened, pair_sets, descriptors) | {"Pictures": str(tally)},
        left_out=tally.lines,
        evaluated=evaluated,
        telling=telling,
        averages={name: float(np.mean([own[key].folds.accuracy for key in telling])) for name, own in scores.items()}
        if telling
        else {},
        majority=float(np.mean([main.scores[key].majority for key in telling])) if telling else None,
        aligned=any(own.evaluation.proxy is not None for own in evaluated.values()),
        roc={key: {name: (own[key].roc, own[key].auc) for name, own in scores.items()} for key in telling},
        pairs=pairs,
        kept={"accuracy": {name: {int(n): (accuracy, None) for n, accuracy in kept.items()}}} if kept else {},
        metrics=[line for line in log.metrics if line["run"] == name],
        commands=[f"ecor-jax explain --model={log.model} --pair FIRST SECOND --output=page"] * bool(log.model),
        notes=[
            "Every picture is embedded as it is and mirrored; thresholds are chosen on nine folds of the pairs and "
            "applied to the tenth (insightface's protocol).",
            *(READING if pairs else ()),
        ],
    )


def _facts(
    config: VerificationOptions, opened: str, pair_sets: Mapping[str, PairSet], descriptors: Descriptors
) -> dict[str, str]:
    head = config.bottleneck
    return {
        "Model": opened or "pretrained for this run",
        "Tuned": ", ".join(head.tuned) or "nothing",
        "Decides": head.output,
        "Descriptors": f"{len(descriptors.phrases)} in {len(descriptors.groups)} groups"
        + (", scrambled" if head.scrambled else ""),
        "Loss": f"{config.margin.name}, margin {config.margin.margin}",
        "Steps": f"{config.steps} of {config.data.batch_size} pictures",
        "Pairs": "; ".join(f"{name} {len(pairs.same)}" for name, pairs in pair_sets.items()),
        "Seed": str(config.seed),
    }


def _examples(
    count: int, face: FaceModel, evaluation: Evaluation, pair_sets: Mapping[str, PairSet], descriptors: Descriptors
) -> list[ExplainedPair]:
    """Explains evenly spaced pairs of the first set, as many of the same person as of different people."""
    head = head_of(face)
    if head is None or not count:
        return []
    name, pairs = next(iter(pair_sets.items()))
    kinds = [np.flatnonzero(pairs.same == kind) for kind in (True, False)]
    spread = [kind[np.unique(np.linspace(0, len(kind) - 1, -(-count // 2)).astype(int))] for kind in kinds if len(kind)]
    chosen = [int(number) for number in np.sort(np.concatenate(spread))][:count]
    compared = [(int(pairs.first[number]), int(pairs.second[number])) for number in chosen]
    sides = [(_side(pairs, first), _side(pairs, second)) for first, second in compared]
    same = [bool(pairs.same[number]) for number in chosen]
    seen, threshold, source = evaluation.seen[name], evaluation.scores[name].threshold, threshold_source(name, pairs)
    typical = typical_shares(seen, pairs, head, descriptors)
    return explained_pairs(
        seen, head, descriptors, sides, compared, threshold, same, threshold_source=source, typical=typical
    )


def threshold_source(name: str, pairs: PairSet) -> str:
    """Describes the origin of a model's threshold in words."""
    return f"learnt on the {len(pairs.same):,} pairs of {name}: the mean of ten folds"


def typical_shares(seen: Seen, pairs: PairSet, head: Head, descriptors: Descriptors) -> dict[str, float]:
    """Computes the mean contribution of each group to the similarity of pairs of the same person; {} without any."""
    if not pairs.same.any():
        return {}
    first, second = seen.activations[pairs.first[pairs.same]], seen.activations[pairs.second[pairs.same]]
    shares = similarity_shares(*(jnp.asarray(array) for array in (first, second, *head)))
    added = np.bincount(descriptors.group_of, np.asarray(shares.concepts, np.float64).mean(axis=0))
    return dict(zip(descriptors.groups, added.tolist(), strict=True))


def _side(pairs: PairSet, number: int) -> Side:
    record = pairs.images[number]
    return Side(record["name"], picture_of(record))
