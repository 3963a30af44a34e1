"""Every page once, from small data with texts that would break it if they were not escaped.

Reports are built by the functions that a run calls, on answers that are made up.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.config.options import defaults, read
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pair_sets import PairSet
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InOrder
from ecor_jax.data.tally import Tally
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.metrics.scores import score_classes, score_labels
from ecor_jax.pages.page import write_page
from ecor_jax.radiology.reports.table import Descriptor, write_table_page
from ecor_jax.tasks.base import Log, MethodResult
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.explain import reading
from ecor_jax.tasks.concepts.explanation import Answer, Evidence, ExplainedImage, WhatIf, sigmoid
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import Evaluation, results_of
from ecor_jax.tasks.rationale.data import Dataset
from ecor_jax.tasks.rationale.doubly_right import strict_outcomes
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, Explanation, Pair
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.predict import Evaluation as RationaleEvaluation
from ecor_jax.tasks.rationale.predict import Predictions
from ecor_jax.tasks.rationale.report import write_rationale_report
from ecor_jax.tasks.verification.explanation import Concept, ExplainedPair, Intervention, Side
from ecor_jax.tasks.verification.options import VerificationOptions
from ecor_jax.tasks.verification.pairs import READING as PAIR_READING
from ecor_jax.tasks.verification.pairs import Seen
from ecor_jax.tasks.verification.report import Evaluation as FaceEvaluation
from ecor_jax.tasks.verification.report import write_verification
from ecor_jax.tasks.verification.scores import score_pairs

HOSTILE = "<script>alert('x')</script>\"&{{ 1 }}"
LINES = [{"run": "first", "step": step, "loss": 4 / step, "examples_per_second": 90.0} for step in (1, 2, 5)]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def records(count: int) -> InOrder:
    made = []
    for number in range(count):
        file = io.BytesIO()
        picture(24, 20, number).save(file, "PNG")
        name = f"/home/me/{HOSTILE}/{number}.png"
        made.append(Record(image=file.getvalue(), category="", rationales=(), name=name))
    return InOrder(made, origin="made up")


# Rationales


SAID = Explanation(
    "ecor",
    [Pair("cat & co", "<whiskers>", 0.61), Pair("cat & co", "wings", 0.122), Pair("dog", "fur", 0.00042)],
    category="cat & co",
    likeliest="cat & co",
    probability=0.75,
    classes=4,
    rationales=5,
    outcome="rr",
)
OTHER = replace(SAID, method="clip", category="dog", outcome="wr")
PICTURE = ExplainedPicture(f"/home/me/{HOSTILE}.png", picture(64, 64), [SAID, OTHER])
LABELLED = replace(PICTURE, gold_category="cat & co", gold_rationales=["<whiskers>", "a tail"])


def rationale_explanations(directory: Path, *pictures: ExplainedPicture) -> Path:
    shown = pictures or (PICTURE,)
    return write_page(directory, "rationale.html", title=f"Two {HOSTILE}", intro="Why?", pictures=shown)


def rationale_report(
    directory: Path, count: int = 12, left_out: tuple[str, ...] = (HOSTILE, HOSTILE, "x" * 300)
) -> Path:
    """Three methods on `count` pictures of three classes; the last two methods agree."""
    vocabulary = Vocabulary.from_lists(
        {"cat": [HOSTILE, "fur"], "dog_of_the_house": ["fur", "a nose"], "owl": ["wings"]}
    )
    gold = np.arange(count) % 3

    def evaluated(seed: int) -> RationaleEvaluation:
        generator = np.random.default_rng(seed)
        categories, rationales = generator.integers(0, 3, (count, 4)), generator.integers(0, 4, (count, 4))
        probabilities = -np.sort(-generator.uniform(0, 0.25, (count, 4)), axis=1)
        golds = vocabulary.gold[gold]
        predictions = Predictions(
            categories, rationales, probabilities, categories[:, 0], probabilities.sum(axis=1), rationales[:, 0],
            probabilities[:, 0], gold, golds,
        )  # fmt: skip
        return RationaleEvaluation(predictions, strict_outcomes(categories, rationales, gold, golds))

    config = defaults(RationaleOptions)
    config.data.name, config.data.images, config.model = "folder", f"/home/me/{HOSTILE}", "/home/me/clip/model"
    images = records(count)
    return write_rationale_report(
        directory,
        read(RationaleOptions, config),
        vocabulary,
        Dataset(vocabulary, images, None, images, Tally(left_out)),
        {"first": evaluated(1), "second": evaluated(2), HOSTILE: evaluated(2)},
        5,
        LINES,
        {"first": 3.21, "second": 75.0, HOSTILE: 0.0},
        [f"python -m launch.explain {HOSTILE}"],
    )


# Faces


# By group the contributions are .62 (nose), .26 (eyes) and -.05 (ears).
CONCEPTS = [
    Concept("nose", "a <broad> bridge", 0.6, 0.3, 0.4),
    Concept("nose", "a narrow bridge", 0.4, 0.7, 0.22),
    Concept("eyes", "round & wide", 0.25, 0.25, 0.2),
    Concept("eyes", "almond", 0.75, 0.75, 0.06),
    Concept("ears", "large", 0.501, 0.502, -0.04),
    Concept("ears", "small", 0.499, 0.498, -0.01),
]
ADA = Side("/home/me/ada/<1>.png", picture(92, 112)), Side("ada/2.png", picture(800, 400, seed=1))
MATCH = ExplainedPair(*ADA, similarity=0.83, threshold=0.71, concepts=CONCEPTS)
NO_MATCH = replace(MATCH, second=Side("/home/me/bob/3.png", picture(20, 20, seed=2)), similarity=0.63, bias=-0.2)


def pair_explanations(directory: Path, *pairs: ExplainedPair) -> Path:
    moved = [Intervention("nose", "a narrow bridge", 0.7, 0, 0.70), Intervention("ears", HOSTILE, 0.502, 0, 0.829)]
    shown = pairs or (replace(MATCH, same=True, interventions=moved), replace(NO_MATCH, threshold_source=HOSTILE))
    return write_page(
        directory, "verification.html", title="Pairs", facts={"Model": HOSTILE}, pairs=shown, notes=PAIR_READING
    )


def face_result(
    pair_sets: dict[str, PairSet], seed: int, proxy: float | None, output: str = "activations"
) -> MethodResult[FaceEvaluation]:
    """Activations of 30 faces in two groups of three concepts, those of a person alike."""
    generator = np.random.default_rng(seed)
    seen = {}
    for name, pairs in pair_sets.items():
        people = np.repeat(generator.uniform(0.1, 1, (15, 6)), 2, axis=0)
        activations = people + generator.uniform(0, 0.4, (30, 6))
        activations /= np.repeat(activations.reshape(30, 2, 3).sum(axis=2), 3, axis=1)
        seen[name] = Seen(activations.astype(np.float32), activations.astype(np.float32))
        del pairs
    face = SimpleNamespace(output=output, bottleneck=SimpleNamespace(aggregation=None, bank=np.zeros((6, 1))))
    scores = {name: score_pairs(seen[name].embeddings, pairs) for name, pairs in pair_sets.items()}
    return MethodResult(face, FaceEvaluation(scores, seen, proxy), 75.0)


def pair_set(name: str, same: np.ndarray) -> PairSet:
    first = 2 * np.arange(len(same)) % 30
    return PairSet(name, records(30), first, np.where(same, first + 1, (first + 4) % 30), same)


def verification_report(directory: Path, kinds: tuple[str, ...] = ("both", "few", "single"), count: int = 4) -> Path:
    """Sets of pairs with both kinds, with few of the same person, and with none."""
    same = {"both": np.arange(40) % 2 == 0, "few": np.arange(40) % 10 == 0, "single": np.zeros(40, bool)}
    pair_sets = {name: pair_set(name, same[name]) for name in kinds}
    words = Descriptors.from_groups({"nose": ["wide", HOSTILE, "hooked"], "eyes": ["round", "almond", "small"]}, "here")
    config = defaults(VerificationOptions)
    config.data.name, config.report.pairs = "faces", count
    rows = {
        "first": face_result(pair_sets, 0, 0.31),
        "group_softmax_random": face_result(pair_sets, 1, None),
        HOSTILE: face_result(pair_sets, 2, 0.2),
    }
    results = {"faithfulness": {"kept": {"1": 0.55, "6": 0.9}}}
    log = Log(LINES, Path("/home/me") / "model")
    return write_verification(
        directory, read(VerificationOptions, config), rows, pair_sets, results, words, log, Tally()
    )


# Chest X-rays


# They add up to 1.0 + 1.5 - .2 - .5 + .25 + 0 = 2.05, the logit is -.45 + 2.05 = 1.6.
EVIDENCE = [
    Evidence("a <blunt> angle", "pleura", 0.30, 0.25, 20.0),
    Evidence("clear lungs", "lungs", 0.20, 0.25, -30.0),
    Evidence("sharp & deep angle", "pleura", 0.30, 0.25, -4.0),
    Evidence("meniscus sign", "pleura", 0.20, 0.25, 10.0),
    Evidence("large heart", "heart", 0.26, 0.25, 25.0),
    Evidence("typical spine", "bones", 0.25, 0.25, 90.0),
]
EFFUSION = Answer("Effusion", probability=0.8320184, base=-0.45, evidence=EVIDENCE)


def film(*answers: Answer, **given: Any) -> ExplainedImage:
    return ExplainedImage(f"/home/me/{HOSTILE}.jpg", picture(100, 80), answers or (EFFUSION,), medical=True, **given)


def film_explanations(directory: Path, *films: ExplainedImage) -> Path:
    asked = {"Effusion": [WhatIf("clear lungs", 0.2, 0.25, sigmoid(0.1))]}
    shown = films or (film(what_ifs=asked, reported=["a <blunt> angle", HOSTILE], report_source="the <labels>"),)
    notes = reading(medical=True, classes=False)
    return write_page(directory, "concepts.html", title="Films", images=shown, notes=notes)


def concepts_report(directory: Path, single_label: bool = True, source: str = "reports", silent: bool = True) -> Path:
    """A bottleneck, a control and a black box (which never says yes) on 24 films."""
    generator, count = np.random.default_rng(0), 24
    words = Descriptors.from_groups(
        {"no finding": ["clear lungs", "sharp"], "effusion": [HOSTILE, "a", "fluid"]}, "here"
    )
    gold = np.arange(count) % 2
    targets = np.stack([1 - gold, gold] if single_label else [gold, np.arange(count) % 3 == 0], axis=1).astype(
        np.float32
    )
    phrases = [[], *[[HOSTILE, "a pacemaker"]] * (count - 1)]
    patients = tuple(f"p{number // 2}" for number in range(count))
    split = Split(records(count), targets, np.zeros((count, 5), bool), phrases, patients)
    classes = ("No Finding", "Effusion") if single_label else ("Effusion", "Edema <&>")
    data = ConceptsDataset(classes, single_label, words, None, split, None, split, tally=Tally([HOSTILE]))
    config = defaults(ConceptsOptions)
    config.concepts.source, config.data.single_label, config.data.name = source, single_label, "films"
    config.data.kind = "xrays"
    config.evaluation.resamples, config.report.studies = 60, 2
    config = read(ConceptsOptions, config)

    def evaluated(head: Any, logits: np.ndarray, cosines: Any = None, typical: Any = None) -> Evaluation:
        found = (
            np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) if single_label else 1 / (1 + np.exp(-logits))
        )
        given = {"resamples": 60, "seed": 0}
        if single_label:
            scores = score_classes(found, gold, patients, "binary", **given)
        else:
            scores = score_labels(found, targets, patients, classes, "binary", **given)
        return Evaluation(head, found, cosines, typical, scores)

    def bottleneck() -> Evaluation:
        head = Bottleneck(np.eye(5), None, scale=1.0, size=2, init="orthogonal", use_bias=True, rngs=nnx.Rngs(0))
        kernel = 10 * generator.normal(size=(5, 2)).astype(np.float32)
        kernel -= kernel.mean(axis=0)  # of a typical film it knows nothing
        head.aggregation.kernel[...] = jnp.asarray(kernel)
        cosines = (0.25 + 0.1 * generator.normal(size=(count, 5))).astype(np.float32)
        return evaluated(head, cosines @ kernel, cosines, np.full(5, 0.25, np.float32))

    no = (
        np.stack([np.linspace(2, 3, count), -np.linspace(2, 3, count)], axis=1)
        if silent
        else generator.normal(size=(count, 2))
    )
    rows = {
        "first": bottleneck(),
        "random_descriptors": bottleneck(),
        HOSTILE: evaluated(BlackBox(5, 0, 2, rngs=nnx.Rngs(0)), no if single_label else -np.abs(no)),
    }
    log = Log(LINES, Path("/home/me/model"))
    return write_report(directory, config, rows, results_of(rows, data, config), data, log)


# Pages without a task of ours


def descriptor_table(directory: Path) -> Path:
    found = [Descriptor(f"{HOSTILE} {number}", "other", 1, 2, 1) for number in range(70)]
    return write_table_page([Descriptor("clear", "lungs", 3, 0, 0), *found], directory, HOSTILE, {HOSTILE: HOSTILE})


def generic(directory: Path) -> Path:
    return write_page(
        directory,
        "generic.html",
        title=HOSTILE,
        facts={"Seed": 0, HOSTILE: HOSTILE},
        results={"first": {"accuracy": 0.5, HOSTILE: None}, HOSTILE: {"loss": 2.0}},
        pictures=[LABELLED, MATCH.first],
        metrics=LINES,
        left_out=[HOSTILE],
    )


PAGES: dict[str, Callable[[Path], Path]] = {
    function.__name__: function
    for function in (
        rationale_report,
        rationale_explanations,
        verification_report,
        pair_explanations,
        concepts_report,
        film_explanations,
        descriptor_table,
        generic,
    )
}
PAGES["concepts_report_of_several"] = lambda directory: concepts_report(directory, single_label=False)
PAGES["concepts_report_of_labels"] = lambda directory: concepts_report(directory, source="labels", silent=False)
PAGES["one_kind"] = lambda directory: verification_report(directory, ("single",), 0)
