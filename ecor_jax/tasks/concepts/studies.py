"""What a diagnosis makes of studies: logits of its findings, and explained studies for the page."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float
from PIL import Image

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import Findings
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.tasks.concepts.explanation import Diagnosis, Evidence, ExplainedStudy, WhatIf, sigmoid
from ecor_jax.tasks.concepts.model import BlackBox

TOP_WHAT_IFS = 3
NOTICE = "Research software, not a medical device."
READING = (
    "Any picture gets an answer. One that is no chest X-ray gets one all the same, and it means nothing.",
    "The cosines of CLIP bunch together: every image has nearly the same cosine with a descriptor, whether it is "
    "there or not. So a cosine is compared with the typical one, its mean over the training images. Seen means beyond "
    "the typical, by however little: about half of all images are beyond it for any descriptor.",
    "What a descriptor adds is its weight times its cosine beyond the typical. It is exact: with the logit of a "
    "typical image, all of it adds up to the logit, whose sigmoid is the probability. It says how the model came to "
    "its number, not what is wrong in the image.",
    "A descriptor that is not seen speaks for a finding where the model learnt that its absence does.",
    "A what-if changes one cosine and leaves all others as they are. In a real image they would move together.",
)
"""What to keep in mind of explained studies."""


class Answers(NamedTuple):
    """Of N studies: logits of C outputs, and the cosines to all descriptors (None of a black box)."""

    logits: Float[np.ndarray, "studies outputs"]
    cosines: Float[np.ndarray, "studies concepts"] | None


def answers(head: Bottleneck | BlackBox, features: Float[np.ndarray, "studies embed"]) -> Answers:
    """What a head makes of unnormalised features."""
    graph, state = nnx.split(head)

    @jax.jit
    def of(state: nnx.State, features):
        model: Bottleneck | BlackBox = nnx.merge(graph, state)
        if isinstance(model, BlackBox):
            return model(features), None
        concepts = model(features)
        return concepts.output, concepts.cosines

    logits, cosines = of(state, jnp.asarray(features))
    return Answers(np.asarray(logits), None if cosines is None else np.asarray(cosines))


def probabilities(
    logits: Float[np.ndarray, "studies outputs"], single_label: bool
) -> Float[np.ndarray, "studies outputs"]:
    """Softmax of classes that exclude each other, sigmoids of findings that do not; float64."""
    wide = jnp.asarray(logits)
    return np.asarray(jax.nn.softmax(wide) if single_label else jax.nn.sigmoid(wide)).astype(np.float64)


class Linear(NamedTuple):
    """The end of a bottleneck as one logit a finding, whose sigmoid is its probability.

    Of two classes that exclude each other that is the difference of their logits: softmax of two is its sigmoid.
    """

    findings: tuple[str, ...]
    weight: Float[np.ndarray, "concepts findings"]
    bias: Float[np.ndarray, "findings"]


def linear(bottleneck: Bottleneck, findings: Findings) -> Linear:
    """W and bias of a bottleneck without groups."""
    aggregation = bottleneck.aggregation
    weight = np.asarray(aggregation.kernel[...])
    bias = np.zeros(weight.shape[1], np.float32) if aggregation.bias is None else np.asarray(aggregation.bias[...])
    if not findings.single_label:
        return Linear(findings.names, weight, bias)
    return Linear(findings.names[1:], weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1])


class Study(NamedTuple):
    """A study to explain; gold by finding where it is known, and the descriptors that hold of it."""

    name: str
    image: Image.Image
    gold: Mapping[str, bool] = MappingProxyType({})
    reported: Sequence[str] = ()


def explained_studies(
    studies: Sequence[Study],
    cosines: Float[np.ndarray, "studies concepts"],
    end: Linear,
    typical: Float[np.ndarray, "concepts"],
    descriptors: Descriptors,
    report_source: str = "",
    asked: Mapping[int, float] = MappingProxyType({}),
) -> list[ExplainedStudy]:
    """The studies with every descriptor's exact contribution to every finding.

    asked: concepts and the cosines they shall have in the what-ifs; without any, those with the largest contributions
    become typical.
    """
    groups = [descriptors.groups[row] for row in descriptors.group_of]
    found = []
    for study, row in zip(studies, cosines.astype(np.float64), strict=True):
        diagnoses, what_ifs = [], {}
        for finding, weight, bias in zip(end.findings, end.weight.T.astype(np.float64), end.bias, strict=True):
            logit = float(bias + row @ weight)
            evidence = [
                Evidence(*one)
                for one in zip(
                    descriptors.phrases, groups, row.tolist(), typical.tolist(), weight.tolist(), strict=True
                )
            ]
            base = float(bias + typical.astype(np.float64) @ weight)
            diagnoses.append(Diagnosis(finding, sigmoid(logit), base, evidence, study.gold.get(finding)))
            strongest = np.argsort(-np.abs(weight * (row - typical)), kind="stable")[:TOP_WHAT_IFS]
            changes = asked or {int(concept): float(typical[concept]) for concept in strongest}
            what_ifs[finding] = [
                WhatIf(
                    descriptors.phrases[concept],
                    float(row[concept]),
                    cosine,
                    sigmoid(logit + float(weight[concept] * (cosine - row[concept]))),
                )
                for concept, cosine in changes.items()
            ]
        found.append(ExplainedStudy(study.name, study.image, diagnoses, what_ifs, study.reported, report_source))
    return found
