"""Measures of a bottleneck that take more than its predictions: sparsity, interventions, leakage, and others.

Each returns what every test picture contributes, by names such as 'sparsity.ncc', so that the means have intervals.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Float, Shaped

from ecor_jax.bottleneck.decomposition import decompose
from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.bottleneck.sparse import layers_by_effective
from ecor_jax.clip.model import unit
from ecor_jax.data.procedural import Procedural
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder, DualEncoder
from ecor_jax.metrics.concepts import POLICIES, contributing_concepts, interventions
from ecor_jax.tasks.concepts.data import ConceptsDataset
from ecor_jax.tasks.concepts.heads import linear, outputs
from ecor_jax.tasks.concepts.parts import named_parts

CORRECTED = (0, 1, 2, 5, 10, 20, 50, 100, 200)
"""Numbers of concepts that interventions correct."""
SEVERAL = (2, 5, 10, 20, 50)
"""Numbers of concepts that leakage is measured with, besides all."""
NAMED = 5
"""Number of descriptors that count as named by a decomposition: those with the largest weights."""

ROWS = {
    "NCC": ("sparsity", "ncc", "concepts that make 95 % of the contributions to a logit"),
    "L0": ("decomposition", "l0", "descriptors with a weight in a sparse decomposition of the image's embedding"),
    "Cosine": ("decomposition", "cosine", "of the decomposition to the embedding, less the mean of all"),
    "Error": ("decomposition", "error", "squared distance of the decomposition, at its best scale, to the same"),
    "Precision at 5": (
        "decomposition",
        "precision_at_5",
        f"share of the {NAMED} largest weights that it shows",
    ),
    "Words drop": ("parts", "words_drop", "fall of the class's probability without the part that the words name"),
    "Chance drop": ("parts", "chance_drop", "the same without a random drawn part"),
}
"""The columns of the page's table: the measure, its key, and what it is."""

Curve = dict[int, tuple[float, None]]
Each = Mapping[str, Shaped[np.ndarray, "N"]]


class Measured:
    """A trained bottleneck with the features and scores of its training and test pictures.

    encoder: made the features. seed: of random orders. penalty: of the decomposition.
    """

    def __init__(
        self,
        head: Bottleneck,
        data: ConceptsDataset,
        train: Float[np.ndarray, "train embed"],
        test: Float[np.ndarray, "test embed"],
        encoder: DualEncoder,
        seed: int,
        penalty: float,
    ):
        self.head, self.data, self.encoder, self.seed, self.penalty = head, data, encoder, seed, penalty
        self.features, self.tested = train, test
        self.scores, self.tested_scores = (_cosines(head, features) for features in (train, test))
        self.labels, self.gold = (np.argmax(split.targets, axis=1) for split in (data.train, data.test))


def _cosines(head: Bottleneck, features: Float[np.ndarray, "N embed"]) -> Float[np.ndarray, "N concepts"]:
    found = outputs(head, features).cosines
    assert found is not None
    return found


def sparsity(of: Measured) -> Each:
    """Returns NCC, of contributions as on the page, and the accuracy at NEC 5 to 30; 'anec' is their mean (ANEC-avg).

    The sparse layers are fitted anew on the scores of the training pictures (`bottleneck.sparse`).
    """
    classes = of.data.classes
    end = linear(of.head, classes, exclusive=True)
    each = {"ncc": contributing_concepts(of.tested_scores - of.scores.mean(axis=0), end.weight)}
    layers = layers_by_effective(of.scores, of.labels, len(classes))
    right = {f"nec_{n}": np.argmax(layer(of.tested_scores), axis=1) == of.gold for n, layer in layers.items()}
    return each | right | {"anec": np.mean(list(right.values()), axis=0)}


def corrected(of: Measured) -> Each:
    """Returns the accuracy after interventions on n concepts of a picture, by policy (`metrics.concepts`).

    An intervention sets the mean score of the training pictures with, or without, the concept. (Koh et al. 2020 set the
    95th and 5th percentiles of all; few pictures have a concept, so that both would lie among those without it.) A
    concept that none or all of the pictures have keeps its score.
    """
    weight, bias = of.head.linear()
    present = of.data.train.present
    counts_of = np.stack([(~present).sum(axis=0), present.sum(axis=0)])
    sums = np.stack([(of.scores * ~present).sum(axis=0), (of.scores * present).sum(axis=0)])
    levels = np.where(counts_of.min(axis=0) > 0, sums / np.maximum(counts_of, 1), np.nan).astype(np.float32)
    counts = [count for count in CORRECTED if count < len(weight)] + [len(weight)]
    answers = interventions(of.tested_scores, of.data.test.present, levels, weight, bias, counts, of.seed)
    return {f"{policy}_{count}": answer == of.gold for policy, own in answers.items() for count, answer in own.items()}


def leakage(of: Measured) -> Each:
    """Returns accuracies of linear layers on n random concepts: on their scores, and on the truth, absent or present.

    What the scores tell beyond the truth is leakage (Mahinpei et al. 2021): it is not what the words say. The concepts
    are drawn anew for each n, and are the same for both. The layers are linear discriminants (shrinkage: Ledoit-Wolf).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # imported late: it takes 2 s

    rng, concepts, each = np.random.default_rng(of.seed), of.scores.shape[1], {}
    train, test = of.data.train.present.astype(np.float32), of.data.test.present.astype(np.float32)
    for count in (*(n for n in SEVERAL if n < concepts), concepts):
        own = np.sort(rng.permutation(concepts)[:count])
        right = {}
        for name, (fitted, tested) in {"scores": (of.scores, of.tested_scores), "truth": (train, test)}.items():
            layer = LinearDiscriminantAnalysis("lsqr", shrinkage="auto").fit(fitted[:, own], of.labels)
            right[name] = (layer.predict(tested[:, own]) == of.gold).astype(np.float32)
            each[f"{name}_{count}"] = right[name]
        each[f"leakage_{count}"] = right["scores"] - right["truth"]
    return each


def decomposition(of: Measured) -> Each:
    """Returns figures of a sparse decomposition of image embeddings into descriptors (`bottleneck.decomposition`).

    It depends on the encoder and the descriptors, not on the head. l0: the number of descriptors with a weight. cosine:
    of the decomposition to the mean-centred embedding. error: their squared distance as unit vectors at the best scale,
    1 - cosine^2. precision_at_5: of the NAMED descriptors with the largest weights, the share that the picture shows, 0
    for a picture without any; only if the truth is known of each picture.
    """
    mean = np.asarray(unit(jnp.asarray(of.features)).mean(axis=0))
    weights, cosines = decompose(of.tested, np.asarray(of.head.bank[...]), mean, of.penalty)
    each = {"l0": (weights > 0).sum(axis=1), "cosine": cosines, "error": 1 - cosines**2}
    if not of.data.by_picture:
        return each
    largest = np.argsort(-weights, axis=1, kind="stable")[:, :NAMED]
    named = np.take_along_axis(weights, largest, axis=1) > 0
    there = np.take_along_axis(of.data.test.present, largest, axis=1) & named
    return each | {"precision_at_5": there.sum(axis=1) / np.maximum(named.sum(axis=1), 1)}


def parts(of: Measured) -> Each:
    """Returns what the parts are worth that words, saliency and chance name, for some drawings (`concepts.parts`)."""
    drawings, data = of.data.test.pictures, of.data
    assert isinstance(drawings, Procedural) and isinstance(of.encoder, ClipEncoder)
    typical = of.scores.mean(axis=0)
    return named_parts(of.head, of.encoder, drawings, of.tested, data.descriptors.phrases, data.classes, typical)


MEASURES: Mapping[str, Callable[[Measured], Each]] = {
    "sparsity": sparsity,
    "interventions": corrected,
    "leakage": leakage,
    "decomposition": decomposition,
    "parts": parts,
}


def check_measures(names: tuple[str, ...], data: ConceptsDataset, *, training: bool) -> None:
    """Raises UserError for an unknown measure, or one whose truth is not known; warns if none can be computed."""
    if unknown := set(names) - set(MEASURES):
        raise UserError(f"evaluation.measures has {sorted(unknown)[0]!r}; expected some of {', '.join(MEASURES)}")
    if names and not training:
        logging.warning("evaluation.measures (%s) are left out: they need the training pictures", ", ".join(names))
        return
    if names and not data.exclusive:
        raise UserError(
            f"evaluation.measures is {','.join(names)!r}, which is for pictures of one class each; "
            "data.single_label is False"
        )
    if "parts" in names and not isinstance(data.test.pictures, Procedural):
        raise UserError("evaluation.measures has parts, which needs the built-in drawings (data.images=procedural)")
    for name in names:
        if name in ("interventions", "leakage") and not data.by_picture:
            raise UserError(
                f"evaluation.measures has {name}, which needs to know the descriptors that each picture shows; here "
                "they are those of its class. The built-in drawings (data.images=procedural) and reports "
                "(concepts.source=reports) tell"
            )


def measured(names: tuple[str, ...], of: Measured) -> dict[str, Float[np.ndarray, "N"]]:
    """Returns the values of all test pictures, by names such as 'sparsity.ncc'."""
    return {
        f"{name}.{key}": np.asarray(values, np.float32) for name in names for key, values in MEASURES[name](of).items()
    }


def page_of(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the measures in results.json as the curves and the table of the page; {} if there are none.

    curves: titles, what the horizontal axis counts, and {name: {count: (value, None)}}.
    """
    have = {name: own for name, own in methods.items() if set(own) & set(MEASURES)}
    curves: list[tuple[str, str, dict[str, Curve]]] = []
    if levels := {name: _curve(own["sparsity"], "nec_") for name, own in have.items() if "sparsity" in own}:
        curves.append(("accuracy of a sparse layer", "effective concepts", levels))
    for name, own in have.items():
        if "interventions" in own:
            policies = {policy: _curve(own["interventions"], f"{policy}_") for policy in POLICIES}
            curves.append((f"accuracy of {name}", "corrected concepts", policies))
    leaks = {name: own["leakage"] for name, own in have.items() if "leakage" in own}
    if leaks:
        told = {f"scores of {name}": _curve(own, "scores_") for name, own in leaks.items()}
        told["truth"] = _curve(next(iter(leaks.values())), "truth_")
        curves.append(("accuracy of a layer on some concepts", "random concepts", told))
    rows = {
        name: {shown: own[measure][key] for shown, (measure, key, _) in ROWS.items() if key in own.get(measure, {})}
        for name, own in have.items()
    }
    columns = {
        shown: about for shown, (_, _, about) in ROWS.items() if any(shown in values for values in rows.values())
    }
    return {"curves": curves, "rows": rows if columns else {}, "columns": columns} if have else {}


def _curve(values: Mapping[str, float], prefix: str) -> Curve:
    return {int(key.removeprefix(prefix)): (value, None) for key, value in values.items() if key.startswith(prefix)}
