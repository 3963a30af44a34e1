"""What is said of an image against the arithmetic it stands for, done by hand in float64."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.bottleneck.directory import Findings
from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.tasks.concepts.explain import TOP_WHAT_IFS, Shown, explained_images
from ecor_jax.tasks.concepts.heads import BlackBox, Linear, linear, outputs, probabilities

DESCRIPTORS = Descriptors.from_groups(
    {"no finding": ["clear lungs", "sharp angles"], "effusion": ["a blunt angle", "a meniscus", "fluid"]}, "here"
)
EMBED, CONCEPTS, STUDIES = 6, 5, 4
TYPICAL = np.array([0.3, 0.25, 0.2, 0.15, 0.3], np.float32)
SINGLE = Findings(("No Finding", "Effusion"), True, TYPICAL)
SEVERAL = Findings(("Effusion", "Edema", "Mass"), False, TYPICAL)
FILM = Image.new("L", (4, 4))


def bottleneck(size: int = 2, use_bias: bool = True, adapter: bool = True) -> Bottleneck:
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(CONCEPTS, EMBED)).astype(np.float32)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    options: dict[str, Any] = {"scale": 1.0, "size": size, "start": "orthogonal", "use_bias": use_bias}
    own = Adapter(EMBED, 3, alpha=0.5, last_relu=False, rngs=nnx.Rngs(1)) if adapter else None
    made = Bottleneck(bank, None, **options, adapter=own, rngs=nnx.Rngs(2))
    made.aggregation.kernel[...] = jnp.asarray(3 * rng.normal(size=(CONCEPTS, size)), jnp.float32)
    if made.aggregation.bias is not None:
        made.aggregation.bias[...] = jnp.asarray(rng.normal(size=size), jnp.float32)
    return made


def features(seed: int = 4) -> np.ndarray:
    return (2 * np.random.default_rng(seed).normal(size=(STUDIES, EMBED))).astype(np.float32)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def wide(made: Bottleneck) -> tuple[np.ndarray, np.ndarray]:
    """W and b in float64."""
    kernel, bias = made.aggregation.kernel[...], made.aggregation.bias
    return np.asarray(kernel, np.float64), np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias[...], float)


def explained(made: Bottleneck, findings: Findings, studies=None, **options):
    said = outputs(made, features())
    assert said.cosines is not None
    studies = studies or [Shown(f"{number}.png", FILM) for number in range(STUDIES)]
    end = linear(made, findings.names, findings.single_label)
    return said, explained_images(studies, said.cosines, end, findings, DESCRIPTORS, **options)


# What a head says


def test_answers_of_a_bottleneck_are_its_equations():
    made, x = bottleneck(adapter=False), features().astype(np.float64)
    said = outputs(made, features())
    cosines = x @ np.asarray(made.bank[...]).T / np.linalg.norm(x, axis=1, keepdims=True)
    assert said.cosines is not None
    np.testing.assert_allclose(said.cosines, cosines, atol=1e-6)
    kernel, bias = wide(made)
    np.testing.assert_allclose(said.logits, cosines @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("width", [0, 4])
def test_a_black_box_has_no_cosines(width):
    head = BlackBox(EMBED, width, 2, rngs=nnx.Rngs(0))
    said = outputs(head, features())
    assert said.cosines is None
    np.testing.assert_allclose(said.logits, head(jnp.asarray(features())), atol=1e-6)


def test_probabilities_of_classes_and_of_findings():
    logits = np.array([[0, math.log(3)], [math.log(4), 0], [-1000, 1000]], np.float32)
    classes, findings = probabilities(logits, True), probabilities(logits, False)
    assert classes.dtype == findings.dtype == np.float64
    np.testing.assert_allclose(classes, [[1 / 4, 3 / 4], [4 / 5, 1 / 5], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(findings, [[1 / 2, 3 / 4], [4 / 5, 1 / 2], [0, 1]], rtol=1e-6)


# The end as one logit a finding


@pytest.mark.parametrize("use_bias", [True, False])
def test_of_two_classes_the_probability_is_the_sigmoid_of_the_linear_end(use_bias):
    made = bottleneck(use_bias=use_bias)
    said, end = outputs(made, features()), linear(made, SINGLE.names, True)
    assert end.names == ("Effusion",) and end.weight.shape == (CONCEPTS, 1) and end.bias.shape == (1,)
    assert said.cosines is not None
    softmax = probabilities(said.logits, True)
    for row in range(STUDIES):
        logit = float(end.bias[0]) + sum(
            float(cosine) * float(weight) for cosine, weight in zip(said.cosines[row], end.weight[:, 0], strict=True)
        )
        assert sigmoid(logit) == pytest.approx(softmax[row, 1], abs=1e-6)
        assert sigmoid(-logit) == pytest.approx(softmax[row, 0], abs=1e-6)
    assert np.ptp(softmax[:, 1]) > 0.1 and softmax.max() < 0.999


@pytest.mark.parametrize("use_bias", [True, False])
def test_of_several_findings_the_end_is_the_head_as_it_is(use_bias):
    made = bottleneck(3, use_bias)
    end, (kernel, bias) = linear(made, SEVERAL.names, False), wide(made)
    assert end.names == SEVERAL.names
    np.testing.assert_array_equal(end.weight, kernel)
    np.testing.assert_array_equal(end.bias, bias)


# Explained studies


@pytest.mark.parametrize("findings", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_contributions_and_base_add_up_to_the_heads_own_logit(findings, use_bias):
    made = bottleneck(len(findings.names), use_bias)
    said, studies = explained(made, findings)
    given_probabilities = probabilities(said.logits, findings.single_label)
    first = len(findings.names) - len(studies[0].answers)
    for row, study in enumerate(studies):
        assert [one.label for one in study.answers] == list(findings.names[first:])
        for column, answer in enumerate(study.answers, first):
            logit = float(said.logits[row, column]) - (float(said.logits[row, 0]) if findings.single_label else 0.0)
            parts = [one.weight * (one.cosine - one.typical) for one in answer.evidence]
            assert [one.contribution for one in answer.evidence] == parts
            assert answer.base + sum(parts) == pytest.approx(logit, abs=1e-5)
            assert answer.logit == pytest.approx(logit, abs=1e-5)
            assert answer.probability == pytest.approx(given_probabilities[row, column], abs=1e-6)


def test_the_base_is_the_logit_of_a_typical_study():
    made = bottleneck(3)
    kernel, bias = wide(made)
    _, (study, *_) = explained(made, SEVERAL)
    for column, answer in enumerate(study.answers):
        assert answer.base == pytest.approx(bias[column] + TYPICAL.astype(np.float64) @ kernel[:, column], abs=1e-6)


def test_evidence_is_of_every_descriptor_with_its_group_cosine_and_weight():
    made = bottleneck()
    kernel, _ = wide(made)
    said, studies = explained(made, SINGLE)
    assert said.cosines is not None
    for row, study in enumerate(studies):
        (answer,) = study.answers
        assert [one.descriptor for one in answer.evidence] == list(DESCRIPTORS.phrases)
        assert [one.group for one in answer.evidence] == ["no finding"] * 2 + ["effusion"] * 3
        for concept, one in enumerate(answer.evidence):
            assert one.cosine == pytest.approx(float(said.cosines[row, concept]))
            assert one.typical == pytest.approx(float(TYPICAL[concept]))
            assert one.weight == pytest.approx(kernel[concept, 1] - kernel[concept, 0], rel=1e-6)
            assert one.seen == (said.cosines[row, concept] > TYPICAL[concept])


def test_what_is_known_of_a_study_is_handed_on():
    films = [
        Shown("a.png", FILM, {"Effusion": True}, ["fluid", "a meniscus"]),
        Shown("b.png", FILM, {"Effusion": False}),
        Shown("c.png", FILM, {"No Finding": True}),
        Shown("d.png", FILM),
    ]
    _, found = explained(bottleneck(), SINGLE, films, report_source="the labels")
    assert [study.name for study in found] == ["a.png", "b.png", "c.png", "d.png"]
    assert [study.answers[0].gold for study in found] == [True, False, None, None]
    assert list(found[0].reported) == ["fluid", "a meniscus"] and list(found[3].reported) == []
    assert all(study.image is FILM and study.report_source == "the labels" for study in found)


def test_no_studies():
    empty = np.zeros((0, CONCEPTS), np.float32)
    assert explained_images([], empty, linear(bottleneck(), SINGLE.names, True), SINGLE, DESCRIPTORS) == []


# Of several classes, the likeliest against the next


@pytest.mark.parametrize("asked", [{}, {1: 0.9}, {4: -0.5, 0: 0.0}])
def test_of_classes_the_likeliest_is_told_from_the_next(asked):
    made = bottleneck(4)
    classes = Findings(("cat", "dog", "owl", "fox"), True, TYPICAL)
    said, images = explained(made, classes, asked=asked)
    assert said.cosines is not None
    for row, image in enumerate(images):
        shares = probabilities(said.logits, True)[row]
        best, rival = sorted(range(4), key=lambda name: -shares[name])[:2]
        (answer,) = image.answers
        assert (answer.label, answer.rival) == (classes.names[best], classes.names[rival])
        assert image.category == classes.names[best] and answer.found
        assert answer.probability == pytest.approx(shares[best], abs=1e-6)
        assert answer.rival_probability == pytest.approx(shares[rival], abs=1e-6)
        assert answer.logit == pytest.approx(float(said.logits[row, best] - said.logits[row, rival]), abs=1e-5)
        assert math.exp(answer.logit) == pytest.approx(shares[best] / shares[rival], rel=1e-4)
        for what_if in image.what_ifs[answer.label]:
            changed = said.cosines[row : row + 1].copy()
            changed[0, DESCRIPTORS.phrases.index(what_if.descriptor)] = what_if.cosine_to
            then = through_the_head(made, changed, classes)[0]
            assert what_if.probability == pytest.approx(then[best], abs=1e-5)
            assert what_if.rival_probability == pytest.approx(then[rival], abs=1e-5)
            assert what_if.likeliest == classes.names[int(np.argmax(then))]


# What-ifs


def through_the_head(made: Bottleneck, cosines: np.ndarray, findings: Findings) -> np.ndarray:
    """Probabilities from changed cosines, by the head's own last layer."""
    return probabilities(np.asarray(made.aggregation(jnp.asarray(cosines))), findings.single_label)


@pytest.mark.parametrize("findings", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("asked", [{}, {1: 0.9}, {4: -0.5, 0: 0.0, 2: 1.0}])
def test_what_ifs_are_what_the_head_says_of_the_changed_cosines(findings, asked):
    made = bottleneck(len(findings.names))
    said, studies = explained(made, findings, asked=asked)
    assert said.cosines is not None
    first = len(findings.names) - len(studies[0].answers)
    for row, study in enumerate(studies):
        assert list(study.what_ifs) == [one.label for one in study.answers]
        for column, what_ifs in enumerate(study.what_ifs.values(), first):
            assert len(what_ifs) == (len(asked) or TOP_WHAT_IFS)
            for one in what_ifs:
                concept = DESCRIPTORS.phrases.index(one.descriptor)
                assert one.cosine_from == pytest.approx(float(said.cosines[row, concept]))
                assert one.cosine_to == pytest.approx(asked.get(concept, float(TYPICAL[concept])))
                changed = said.cosines[row : row + 1].copy()
                changed[0, concept] = one.cosine_to
                expected = through_the_head(made, changed, findings)[0, column]
                assert one.probability == pytest.approx(expected, abs=1e-5)
            if asked:
                assert [DESCRIPTORS.phrases.index(one.descriptor) for one in what_ifs] == list(asked)


@pytest.mark.parametrize("findings", [SINGLE, SEVERAL], ids=["single", "several"])
def test_unasked_the_strongest_of_every_finding_become_typical(findings):
    _, studies = explained(bottleneck(len(findings.names)), findings)
    for study in studies:
        for answer in study.answers:
            strongest = sorted(answer.evidence, key=lambda one: -abs(one.contribution))[:TOP_WHAT_IFS]
            assert [one.descriptor for one in study.what_ifs[answer.label]] == [one.descriptor for one in strongest]
            for asked, one in zip(study.what_ifs[answer.label], strongest, strict=True):
                # Away goes its contribution, and nothing else.
                assert asked.probability == pytest.approx(sigmoid(answer.logit - one.contribution), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 300))
def test_sums_are_exact_enough_whatever_the_weights(seed, scale):
    """`Answer` and `ExplainedImage` refuse probabilities that their parts do not give: none is."""
    rng = np.random.default_rng(seed)
    end = Linear(
        ("a", "b"),
        (scale * rng.normal(size=(CONCEPTS, 2))).astype(np.float32),
        (scale * rng.normal(size=2)).astype(np.float32),
    )
    cosines = rng.uniform(-1, 1, (2, CONCEPTS)).astype(np.float32)
    films = [Shown("a", FILM), Shown("b", FILM)]
    found = explained_images(films, cosines, end, Findings(("a", "b"), False, TYPICAL), DESCRIPTORS, asked={3: 1.0})
    for row, study in enumerate(found):
        for column, answer in enumerate(study.answers):
            logit = cosines[row].astype(np.float64) @ end.weight[:, column].astype(np.float64) + float(end.bias[column])
            assert answer.logit == pytest.approx(logit, rel=1e-9, abs=1e-9)
