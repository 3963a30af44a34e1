"""Explains pictures by each descriptor's exact contribution to a concept bottleneck's logits; `ConceptExplainer`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from ecor_jax.bottleneck.directory import Findings, SavedBottleneck
from ecor_jax.bottleneck.what_if import read_what_if
from ecor_jax.data.decode import picture_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder
from ecor_jax.tasks.concepts.counterfactual import change_of_class, change_of_label
from ecor_jax.tasks.concepts.explanation import (
    Answer,
    Counterfactual,
    Evidence,
    ExplainedImage,
    Removed,
    WhatIf,
    sigmoid,
)
from ecor_jax.tasks.concepts.heads import Linear, linear, outputs, probabilities
from ecor_jax.tasks.concepts.saliency import with_maps
from ecor_jax.tasks.explainer import Explainer

TOP_WHAT_IFS = 3
NOTICE = "Research software, not a medical device."
XRAYS_ALONE = "Any picture gets an answer. One that is no chest X-ray gets one all the same, and it means nothing."
READING = (
    "The cosines of CLIP bunch together: every image has nearly the same cosine with a descriptor, whether it is "
    "there or not. So a cosine is compared with the typical one, its mean over the training images. Seen means beyond "
    "the typical, by however little: about half of all images are beyond it for any descriptor.",
    "What a descriptor adds is its weight times its cosine beyond the typical. It is exact: with the logit of a "
    "typical image, all of it adds up to the logit, whose sigmoid is the probability. It says how the model came to "
    "its number, not what is wrong in the image.",
    "A descriptor that is not seen speaks for an answer where the model learnt that its absence does.",
    "A what-if changes one cosine and leaves all others as they are. In a real image they would move together.",
)
"""Notes on the interpretation of explained images."""
OF_CLASSES = (
    "Of classes, the logit is that of the likeliest class less that of the next: it says why the image is taken for "
    "the one rather than the other, and its sigmoid is the share of the one in the probability of both."
)


def reading(*, medical: bool, classes: bool) -> list[str]:
    """Returns the notes for a page. classes: whether there are more than two exclusive classes."""
    return [*((XRAYS_ALONE,) if medical else ()), *READING, *((OF_CLASSES,) if classes else ())]


class ConceptExplainer(Explainer[ExplainedImage]):
    """An explainer for the bottleneck of a model directory: of X-ray findings, or any other classification."""

    option_names = frozenset({"cosines", "saliency", "what_if"})

    def __init__(self, saved: SavedBottleneck):
        if saved.findings is None:
            raise UserError(f"{saved.model.path} compares faces; expected a model of a classification")
        self.saved, self.findings, self.name = saved, saved.findings, str(saved.model.path)

    def explain_records(
        self,
        records: Sequence[Record],
        what_if: Sequence[str] | Mapping[str, float] = (),
        cosines: Mapping[str, float] = MappingProxyType({}),
        saliency: bool = False,
    ) -> list[ExplainedImage]:
        """Explains each picture.

        what_if: `DESCRIPTOR=COSINE`, a counterfactual cosine in [-1, 1]; each changes the answer on its own.
        cosines: {descriptor: cosine} that replace those of every picture before it is explained, all together.
        saliency: whether to compute saliency maps; they are of the picture, whatever `cosines` says.
        """
        saved, form = self.saved, "DESCRIPTOR=COSINE, a cosine"
        asked = read_what_if(what_if, saved.descriptors, -1, 1, form)
        replaced = read_what_if(cosines, saved.descriptors, -1, 1, form, "cosines")
        encoder = ClipEncoder(saved.model, keep=True)
        said = outputs(saved.bottleneck, encoder.encode_source(InMemory(records, origin="the pictures to explain")))
        assert said.cosines is not None
        seen = np.array(said.cosines)
        seen[:, list(replaced)] = list(replaced.values())
        images = [Shown(record["name"], picture_of(record)) for record in records]
        end = linear(saved.bottleneck, self.findings.names, self.findings.single_label)
        explained = explained_images(images, seen, end, self.findings, saved.descriptors, asked=asked)
        if not saliency:
            return explained
        return with_maps(explained, saved.model, saved.bottleneck, self.findings.names, self.findings.single_label)

    def context(self, explained: Sequence[ExplainedImage]) -> dict[str, Any]:
        names, medical = self.findings.names, self.findings.medical
        several = self.findings.single_label and len(names) > 2
        labels = names[1:] if self.findings.single_label and not several else names
        kind = f"One of {len(names)} classes, and why" if several else f"{', '.join(labels)}: what is found, and why"
        intro = (
            f"Each image is taken for a chest X-ray, whatever it shows, and compared with descriptors. {NOTICE}"
            if medical
            else "Each picture is compared with descriptors. A picture of anything else gets one of the answers, too."
        )
        return {"kind": kind, "intro": intro, "notes": reading(medical=medical, classes=several)}


class Shown(NamedTuple):
    """An image to explain. gold: the known labels. reported: the descriptors that its labels or report state."""

    name: str
    image: Image.Image
    gold: Mapping[str, bool] = MappingProxyType({})
    reported: Sequence[str] = ()


class _Question(NamedTuple):
    """The logit of a label, or of a class minus that of its rival. column, rival: their columns in `Linear`."""

    label: str
    weight: Float[np.ndarray, "concepts"]
    bias: float
    column: int
    rival: int | None = None


def explained_images(
    images: Sequence[Shown],
    cosines: Float[np.ndarray, "N concepts"],
    end: Linear,
    findings: Findings,
    descriptors: Descriptors,
    report_source: str = "",
    asked: Mapping[int, float] = MappingProxyType({}),
) -> list[ExplainedImage]:
    """Explains images by every descriptor's exact contribution to every label, or to the most probable class.

    asked: {concept: cosine} of the what-ifs; by default the TOP_WHAT_IFS concepts with the largest contributions are
    set to their typical cosines.
    """
    groups = [descriptors.groups[group] for group in descriptors.group_of]
    classes = findings.single_label and len(end.names) > 2
    typical = findings.typical.astype(np.float64)
    weights, bias = end.weight.astype(np.float64), end.bias.astype(np.float64)
    explained = []
    for image, own in zip(images, cosines.astype(np.float64), strict=True):
        answers, what_ifs = [], {}
        logits, contributions = own @ weights + bias, weights * (own - typical)[:, None]
        for question in _questions(end, logits, weights, bias, classes):
            columns = np.stack([own, typical, question.weight]).tolist()
            evidence = [Evidence(*values) for values in zip(descriptors.phrases, groups, *columns, strict=True)]
            base = float(question.bias + typical @ question.weight)
            strongest = np.argsort(-np.abs(question.weight * (own - typical)), kind="stable")[:TOP_WHAT_IFS]
            changes = asked or {int(concept): float(typical[concept]) for concept in strongest}
            probability, rival, _ = _told(question, end, logits)
            against = "" if question.rival is None else end.names[question.rival]
            gold = image.gold.get(question.label)
            changed = _counterfactual(question, end, logits, contributions, evidence)
            answers.append(Answer(question.label, probability, base, evidence, gold, against, rival, changed))
            what_ifs[question.label] = [
                WhatIf(
                    descriptors.phrases[concept],
                    float(own[concept]),
                    cosine,
                    *_told(question, end, logits + weights[concept] * (cosine - own[concept])),
                    group=groups[concept],
                )
                for concept, cosine in changes.items()
            ]
        explained.append(
            ExplainedImage(image.name, image.image, answers, what_ifs, image.reported, report_source, findings.medical)
        )
    return explained


def _questions(
    end: Linear,
    logits: Float[np.ndarray, "outputs"],
    weights: Float[np.ndarray, "concepts outputs"],
    bias: Float[np.ndarray, "outputs"],
    classes: bool,
) -> list[_Question]:
    """Returns one question per label; for more than two classes, the most probable class against the next."""
    if not classes:
        return [_Question(name, weights[:, n], float(bias[n]), n) for n, name in enumerate(end.names)]
    best, rival = np.argsort(-logits, kind="stable")[:2].tolist()
    weight, offset = weights[:, best] - weights[:, rival], float(bias[best] - bias[rival])
    return [_Question(end.names[best], weight, offset, best, rival)]


def _counterfactual(
    question: _Question,
    end: Linear,
    logits: Float[np.ndarray, "outputs"],
    contributions: Float[np.ndarray, "concepts outputs"],
    evidence: Sequence[Evidence],
) -> Counterfactual | None:
    column = question.column
    if question.rival is None:
        change = change_of_label(contributions[:, column], float(logits[column]))
    else:
        change = change_of_class(contributions, logits, column)
    if change is None:
        return None
    removed = [Removed(evidence[concept].descriptor, evidence[concept].group) for concept in change.concepts]
    return Counterfactual(removed, change.probability, "" if change.output is None else end.names[change.output])


def _told(question: _Question, end: Linear, logits: Float[np.ndarray, "outputs"]) -> tuple[float, float | None, str]:
    """Returns the probabilities of the question's label and of its rival, and the most probable class."""
    if question.rival is None:
        return sigmoid(float(logits[question.column])), None, ""
    shares = probabilities(logits, exclusive=True)
    return float(shares[question.column]), float(shares[question.rival]), end.names[int(np.argmax(shares))]
