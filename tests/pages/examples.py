"""Every page once, from small data with texts that would break it if they were not escaped.

Reports are built by the functions that a run calls, on answers that are made up.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.config.options import read
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pair_sets import PairSet
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.data.tally import Tally
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.metrics.scores import score_classes, score_labels
from ecor_jax.pages.page import write_page
from ecor_jax.radiology.reports.table import Descriptor, write_table_page
from ecor_jax.tables.page import write_summary_page
from ecor_jax.tasks.base import Log, MethodResult
from ecor_jax.tasks.concepts import explanation as concepts
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.explanation import Answer, Evidence, ExplainedImage, Removed, WhatIf, sigmoid
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import Evaluation, results_of
from ecor_jax.tasks.explanation import SaliencyMap
from ecor_jax.tasks.rationale import predict
from ecor_jax.tasks.rationale.counterfactual import Removal
from ecor_jax.tasks.rationale.data import Dataset
from ecor_jax.tasks.rationale.details import Detail
from ecor_jax.tasks.rationale.doubly_right import strict_outcomes
from ecor_jax.tasks.rationale.evaluation import Evaluation as RationaleEvaluation
from ecor_jax.tasks.rationale.explanation import Counterfactual, ExplainedPicture, Explanation, Pair
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.pointing import STEPS, PointingTest
from ecor_jax.tasks.rationale.report import write_rationale_report
from ecor_jax.tasks.verification import report as face_report
from ecor_jax.tasks.verification.explanation import Concept, ExplainedPair, Intervention, Side
from ecor_jax.tasks.verification.options import VerificationOptions
from ecor_jax.tasks.verification.pairs import Seen
from ecor_jax.tasks.verification.scores import score_pairs

HOSTILE = "<script>alert('x')</script>\"&{{ 1 }}"
LINES = [{"run": "first", "step": step, "loss": 4 / step, "examples_per_second": 90.0} for step in (1, 2, 5)]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def records(count: int) -> InMemory:
    def record(number: int) -> Record:
        file = io.BytesIO()
        picture(24, 20, number).save(file, "PNG")
        return Record(image=file.getvalue(), category="", rationales=(), name=f"/home/me/{HOSTILE}/{number}.png")

    return InMemory([record(number) for number in range(count)], origin="made up")


# Rationales


SAID = Explanation(
    "ecor", [Pair("cat & co", "<whiskers>", 0.61), Pair("cat & co", "wings", 0.122), Pair("dog", "fur", 0.00042)],
    voted="cat & co", likeliest="cat & co", probability=0.75, classes=4, rationales=5, outcome="rr",
)  # fmt: skip
OTHER = replace(SAID, method="clip", voted="dog", outcome="wr")
PICTURE = ExplainedPicture(f"/home/me/{HOSTILE}.png", picture(64, 64), [SAID, OTHER])
REMOVED = (["<whiskers>", HOSTILE, "wings"], "dog", 2), ([], None, 4)
MAP = SaliencyMap(np.arange(6, dtype=np.float32).reshape(2, 3) / 6)
SEARCHED = [
    replace(said, outcome=None, counterfactual=Counterfactual(*found), saliency=[MAP] * 3)
    for said, found in zip((SAID, OTHER), REMOVED, strict=True)
]
LABELLED = replace(PICTURE, gold_category="cat & co", gold_rationales=["<whiskers>", "a tail"])


def rationale_report(directory: Path) -> Path:
    """Three methods on 24 pictures of three classes; the last two methods agree."""
    reasons = {"cat": [HOSTILE, "fur"], "dog_of_the_house": ["fur", "a nose"], "owl": ["wings"]}
    vocabulary, images, gold = Vocabulary.from_lists(reasons), records(24), np.arange(24) % 3
    gold_reasons = vocabulary.gold[gold]

    def evaluated(seed: int) -> RationaleEvaluation:
        generator = np.random.default_rng(seed)
        categories, rationales = generator.integers(0, 3, (24, 4)), generator.integers(0, 4, (24, 4))
        shares = -np.sort(-generator.uniform(0, 0.25, (24, 4)), axis=1)
        likeliest = categories[:, 0], shares.sum(axis=1), rationales[:, 0], shares[:, 0]
        predictions = predict.Predictions(categories, rationales, shares, *likeliest, None, gold, gold_reasons)
        outcomes = strict_outcomes(categories, rationales, gold, gold_reasons)
        view, maps = picture(24, 24), generator.uniform(size=(4, 2, 2)).astype(np.float32)
        removals = [Removal((1,), int(voted + 1) % 3, 0) for voted in outcomes.voted]
        details = {number: Detail(view, maps, removals[number]) for number in range(0, 24, 3)}
        pointing = PointingTest(
            generator.uniform(size=(6, 2, 2, 2)),
            generator.uniform(size=(4, 3, 2, STEPS + 1)),
            generator.uniform(size=(6, 2, 2)) > 0.5,
            undrawn=3,
        )
        return RationaleEvaluation(predictions, outcomes, None, pointing, details)

    options = {"model": "/home/me/clip/model", "data": {"name": "folder", "images": f"/home/me/{HOSTILE}"}}
    dataset = Dataset(vocabulary, images, None, images, Tally([HOSTILE, HOSTILE, "x" * 300]))
    evaluations = {"first": evaluated(1), "second": evaluated(2), HOSTILE: evaluated(2)}
    seconds, log = {"first": 3.21, "second": 75.0, HOSTILE: 0.0}, Log(LINES, Path(f"/home/me/{HOSTILE}"))
    config = read(RationaleOptions, options)
    return write_rationale_report(directory, config, vocabulary, dataset, evaluations, 5, log, seconds, 2.5)


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
MAPS = {f"{concept.group}: {concept.descriptor}": MAP for concept in CONCEPTS}
ADA = Side("/home/me/ada/<1>.png", picture(92, 112)), Side("ada/2.png", picture(800, 400, seed=1))
MATCH = ExplainedPair(*ADA, similarity=0.83, threshold=0.71, concepts=CONCEPTS)
NO_MATCH = replace(MATCH, second=Side("/home/me/bob/3.png", picture(20, 20, seed=2)), similarity=0.63, bias=-0.2)


MOVED = [Intervention("nose", "a narrow bridge", 0.7, 0, 0.70), Intervention("ears", HOSTILE, 0.502, 0, 0.829)]
PAIRS = replace(MATCH, same=True, interventions=MOVED), replace(NO_MATCH, threshold_source=HOSTILE)


def verification_report(directory: Path, kinds: Sequence[str] = ("both", "few", "single"), count: int = 4) -> Path:
    """Sets of pairs of 30 faces: with both kinds, with few of the same person, and with none."""
    same = {"both": np.arange(40) % 2 == 0, "few": np.arange(40) % 10 == 0, "single": np.zeros(40, bool)}
    first = 2 * np.arange(40) % 30
    pair_sets = {
        name: PairSet(name, records(30), first, np.where(same[name], first + 1, (first + 4) % 30), same[name])
        for name in kinds
    }

    def result(seed: int, proxy: float | None) -> MethodResult[face_report.Evaluation]:
        """Activations in two groups of three concepts, those of a person alike."""
        generator, seen = np.random.default_rng(seed), {}
        for name in kinds:
            people = np.repeat(generator.uniform(0.1, 1, (15, 6)), 2, axis=0)
            activations = people + generator.uniform(0, 0.4, (30, 6))
            activations /= np.repeat(activations.reshape(30, 2, 3).sum(axis=2), 3, axis=1)
            seen[name] = Seen(activations.astype(np.float32), activations.astype(np.float32))
        head = SimpleNamespace(aggregation=None, bank=np.zeros((6, 1)))
        scores = {name: score_pairs(seen[name].embeddings, pairs) for name, pairs in pair_sets.items()}
        face = SimpleNamespace(output="activations", bottleneck=head)
        return MethodResult(face, face_report.Evaluation(scores, seen, proxy), 75.0)

    words = Descriptors.from_groups({"nose": ["wide", HOSTILE, "hooked"], "eyes": ["round", "almond", "small"]}, "here")
    rows = {"first": result(0, 0.31), "group_softmax_random": result(1, None), HOSTILE: result(2, 0.2)}
    config = read(VerificationOptions, {"data": {"name": "faces"}, "report": {"pairs": count}})
    results = {"faithfulness": {"kept": {"1": 0.55, "6": 0.9}}}
    log = Log(LINES, Path("/home/me/model"))
    return face_report.write_verification(
        directory, config, rows, pair_sets, results, words, log, Tally(), Preprocess(16)
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


ASKED = {"Effusion": [WhatIf("clear lungs", 0.2, 0.25, sigmoid(0.1))]}
WITHOUT = concepts.Counterfactual(
    [Removed("clear lungs", "lungs"), Removed("a <blunt> angle", "pleura")], sigmoid(-0.9)
)
FILM = film(
    replace(EFFUSION, counterfactual=WITHOUT),
    what_ifs=ASKED,
    reported=["a <blunt> angle", HOSTILE],
    report_source="the <labels>",
)


def concepts_report(directory: Path, single_label: bool = True, source: str = "reports", silent: bool = True) -> Path:
    """A bottleneck, a control and a black box (which never says yes) on 24 films."""
    generator, numbers = np.random.default_rng(0), np.arange(24)
    gold, patients = numbers % 2, tuple(f"p{number // 2}" for number in numbers)
    targets = np.stack([1 - gold, gold] if single_label else [gold, numbers % 3 == 0], axis=1).astype(np.float32)
    phrases = [[], *[[HOSTILE, "a pacemaker"]] * 23]
    split = Split(records(24), targets, np.zeros((24, 5), bool), phrases, patients)
    words = {"no finding": ["clear lungs", "sharp"], "effusion": [HOSTILE, "a", "fluid"]}
    descriptors = Descriptors.from_groups(words, "here")
    classes = ("No Finding", "Effusion") if single_label else ("Effusion", "Edema <&>")
    data = ConceptsDataset(classes, single_label, descriptors, None, split, None, split, tally=Tally([HOSTILE]))
    options = {"data": {"name": "films", "kind": "xrays", "single_label": single_label}, "concepts": {"source": source}}
    options |= {"evaluation": {"resamples": 60}, "report": {"studies": 2}}
    config = read(ConceptsOptions, options)

    def evaluated(head: Any, logits: np.ndarray, cosines: Any = None, typical: Any = None) -> Evaluation:
        odds = np.exp(logits)
        found = odds / (odds.sum(axis=1, keepdims=True) if single_label else 1 + odds)
        if single_label:
            scores = score_classes(found, gold, patients, "binary", resamples=60)
        else:
            scores = score_labels(found, targets, patients, classes, "binary", resamples=60)
        return Evaluation(head, found, cosines, typical, scores)

    def bottleneck() -> Evaluation:
        head = Bottleneck(np.eye(5), None, scale=1.0, size=2, init="orthogonal", use_bias=True, rngs=nnx.Rngs(0))
        kernel = 10 * generator.normal(size=(5, 2)).astype(np.float32)
        kernel -= kernel.mean(axis=0)  # of a typical film it knows nothing
        head.aggregation.kernel[...] = jnp.asarray(kernel)
        cosines = (0.25 + 0.1 * generator.normal(size=(24, 5))).astype(np.float32)
        return evaluated(head, cosines @ kernel, cosines, np.full(5, 0.25, np.float32))

    no = np.outer(np.linspace(2, 3, 24), [1, -1]) if silent else generator.normal(size=(24, 2))
    black_box = evaluated(BlackBox(5, 0, 2, rngs=nnx.Rngs(0)), no if single_label else -np.abs(no))
    rows = {"first": bottleneck(), "random_descriptors": bottleneck(), HOSTILE: black_box}
    if single_label:
        for name in ("first", "random_descriptors"):
            rows[name] = replace(rows[name], measures=dict.fromkeys(MEASURED, np.linspace(0, 1, 24)))
    log = Log(LINES, Path("/home/me/model"))
    return write_report(directory, config, rows, results_of(rows, data, config), data, log, clip=None)


MEASURED = ("sparsity.ncc", "sparsity.nec_5", "sparsity.nec_10", "interventions.random_0", "interventions.random_5",
    "interventions.uncertain_0", "interventions.contribution_0", "leakage.scores_2", "leakage.truth_2",
    "decomposition.l0")  # fmt: skip
"""Names of measures of tasks.concepts.measures."""


# Pages of no run


def explanations(directory: Path, *shown: ExplainedPicture | ExplainedPair | ExplainedImage) -> Path:
    templates = {ExplainedPicture: ("rationale", "pictures"), ExplainedPair: ("verification", "pairs")}
    template, name = templates.get(type(shown[0]), ("concepts", "images"))
    facts, notes = {"Model": HOSTILE}, [HOSTILE]
    return write_page(
        directory, f"{template}.html", title=HOSTILE, intro="Why?", facts=facts, notes=notes, **{name: shown}
    )


def descriptor_table(directory: Path) -> Path:
    found = [Descriptor(f"{HOSTILE} {number}", "other", 1, 2, 1) for number in range(70)]
    return write_table_page([Descriptor("clear", "lungs", 3, 0, 0), *found], directory, HOSTILE, {HOSTILE: HOSTILE})


def generic(directory: Path) -> Path:
    results = {"first": {"accuracy": 0.5, HOSTILE: None}, HOSTILE: {"loss": 2.0}}
    shown = {"results": results, "pictures": [LABELLED, MATCH.first], "metrics": LINES, "left_out": [HOSTILE]}
    return write_page(directory, "generic.html", title=HOSTILE, facts={"Seed": 0, HOSTILE: HOSTILE}, **shown)


REPORTS = rationale_report, verification_report, concepts_report


def spread(mean: float | None, half: float, **more: Any) -> dict[str, Any]:
    if mean is None:
        return {"mean": None, "min": None, "max": None, "interval": None, "values": {"0": None}, "seeds": 1} | more
    low, high = mean - half / 2, mean + half / 2
    values = {"0": low, "1": high}
    interval = [mean - half, mean + half]
    return {"mean": mean, "min": low, "max": high, "interval": interval, "values": values, "seeds": 3} | more


def table_of_runs(directory: Path) -> Path:
    difference = spread(0.2, 0.1)
    columns = {
        HOSTILE: spread(0.3, 0.05, published=42.0, difference=difference),
        "RR": spread(0.3, 0, published=None, difference=spread(-0.1, 0.2)),
        "MiB": spread(30, 5, published=None, difference=spread(-1, 2, plain=True), plain=True),
        "none": spread(None, 0, published=None, difference=None),
    }
    first = {name: own | {"difference": None} for name, own in columns.items()}
    runs = {name: {"0": {"command": f"ecor-jax {HOSTILE}", "seconds": 3.0}} for name in ("base", "hidden")}
    summary = {
        **{name: HOSTILE for name in ("title", "about", "source")},
        "columns": dict.fromkeys(columns, "rr"),
        "reference": "base",
        "x": "MiB",
        "rows": {"base": {"columns": first}, "other_row": {"columns": columns}},
        "runs": runs | {"other_row": {"0": {"command": "b", "seconds": None}}},
        "missing": ["base, seed 1"],
        "failed": {"base, seed 2": HOSTILE},
    }
    return write_summary_page(directory, summary)


PAGES = {build.__name__: build for build in (*REPORTS, descriptor_table, generic, table_of_runs)}
PAGES["rationale_explanations"] = lambda directory: explanations(
    directory, replace(PICTURE, explanations=SEARCHED, view=picture(30, 30))
)
MAPPED_PAIRS = [
    replace(
        pair,
        **{name: replace(getattr(pair, name), view=picture(30, 30), saliency=MAPS) for name in ("first", "second")},
    )
    for pair in PAIRS
]
PAGES["pair_explanations"] = lambda directory: explanations(directory, *MAPPED_PAIRS)
MAPPED_FILM = replace(
    FILM,
    view=picture(30, 30),
    label_maps={answer.label: MAP for answer in FILM.answers},
    descriptor_maps={f"{own.group}: {own.descriptor}": MAP for answer in FILM.answers for own in answer.evidence},
)
PAGES["film_explanations"] = lambda directory: explanations(directory, MAPPED_FILM)
PAGES["concepts_report_of_several"] = lambda directory: concepts_report(directory, single_label=False)
PAGES["concepts_report_of_labels"] = lambda directory: concepts_report(directory, source="labels", silent=False)
PAGES["one_kind"] = lambda directory: verification_report(directory, ("single",), 0)
