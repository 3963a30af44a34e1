"""Scores of face embeddings on a set of pairs, for results.json and the report of the verification task."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from ecor_jax.data.pair_sets import PairSet
from ecor_jax.metrics.verification import (
    Roc,
    TarAtFar,
    TenFold,
    auc,
    every_threshold,
    pair_distances,
    roc,
    tar_at_far,
    ten_fold,
)

FARS = (1e-3, 1e-4)


@dataclasses.dataclass(frozen=True)
class FaceScores:
    """Accuracies by the ten-fold protocol, and error curves, of a set of pairs.

    fine: the same folds, but with every possible threshold. The thresholds of the protocol are 0.01 apart in squared
    distance, and distances of softmax activations often differ by less.
    """

    folds: TenFold
    fine: TenFold
    auc: float | None
    roc: Roc | None
    tar: tuple[TarAtFar, ...]
    pairs: int
    same: int

    @property
    def threshold(self) -> float:
        """The cosine above which a pair is accepted as the same person: the mean of the thresholds of `fine`."""
        return 1 - float(np.mean(self.fine.thresholds)) / 2

    @property
    def one_kind(self) -> bool:
        """Whether all pairs are of the same person, or all of different people."""
        return self.same in (0, self.pairs)

    @property
    def frequent(self) -> str:
        """The more frequent answer; "different" if both are equally frequent."""
        return "same" if 2 * self.same > self.pairs else "different"

    @property
    def majority(self) -> float:
        """The accuracy of always predicting the more frequent answer."""
        return max(self.same, self.pairs - self.same) / self.pairs

    def as_results(self) -> dict[str, Any]:
        """Returns the scores for results.json. A TAR is omitted if there are too few pairs to resolve its FAR."""
        return {
            "accuracy": self.folds.accuracy,
            "accuracy_std": float(np.std(self.folds.fold_accuracies)),
            "accuracy_any_threshold": self.fine.accuracy,
            "auc": self.auc,
            "tar_at_far": {f"{score.far:g}": score.tar for score in self.tar if score.resolved},
            "threshold": self.threshold,
            "pairs": self.pairs,
            "same": self.same,
        }


def score_pairs(embeddings: Float[np.ndarray, "N size"], pairs: PairSet) -> FaceScores:
    """Computes the scores of unnormalised embeddings of the images of `pairs`."""
    wide = embeddings.astype(np.float64)
    rows = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    distances = pair_distances(rows[pairs.first], rows[pairs.second])
    curve = roc(distances, pairs.same)
    scores = (tar_at_far(curve, far) for far in FARS)
    return FaceScores(
        folds=ten_fold(distances, pairs.same),
        fine=ten_fold(distances, pairs.same, thresholds=every_threshold(distances)),
        auc=auc(distances, pairs.same),
        roc=curve,
        tar=tuple(score for score in scores if score is not None),
        pairs=len(pairs.same),
        same=int(pairs.same.sum()),
    )
