"""What is said of an image against the arithmetic it stands for, done by hand in float64."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.bottleneck.directory import Findings
from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.tasks.concepts.explain import TOP_WHAT_IFS, Shown, explained_images
from ecor_jax.tasks.concepts.heads import Linear, linear, outputs, probabilities
from tests.tasks import steps
from tests.tasks.concepts.heads import DESCRIPTORS, HEADS, head

EMBED, CONCEPTS, STUDIES = 6, 5, 4
TYPICAL = np.array([0.3, 0.25, 0.2, 0.15, 0.3], np.float32)
SINGLE = Findings(("No Finding", "Effusion"), True, TYPICAL)
SEVERAL = Findings(("Effusion", "Edema", "Mass"), False, TYPICAL)
CLASSES = Findings(("cat", "dog", "owl", "fox"), True, TYPICAL)
FILM = Image.new("L", (4, 4))
FEATURES = (2 * np.random.default_rng(4).normal(size=(STUDIES, EMBED))).astype(np.float32)


def bottleneck(findings: Findings, use_bias: bool = True) -> tuple[Bottleneck, np.ndarray, np.ndarray]:
    """One with random weights, which come with it in float64."""
    rng, size = np.random.default_rng(0), len(findings.names)
    made = steps.bottleneck(CONCEPTS, EMBED, adapter=3, size=size, use_bias=use_bias)
    made.aggregation.kernel[...] = jnp.asarray(3 * rng.normal(size=(CONCEPTS, size)), jnp.float32)
    bias = np.zeros(size)
    if made.aggregation.bias is not None:
        made.aggregation.bias[...] = jnp.asarray(rng.normal(size=size), jnp.float32)
        bias = np.asarray(made.aggregation.bias[...], np.float64)
    return made, np.asarray(made.aggregation.kernel[...], np.float64), bias


def explained(made: Bottleneck, findings: Findings, studies=None, **options):
    """The logits, the cosines, and what is said of them."""
    logits, cosines = outputs(made, FEATURES)
    assert cosines is not None
    studies = studies or [Shown(f"{number}.png", FILM) for number in range(STUDIES)]
    end = linear(made, findings.names, findings.single_label)
    return logits, cosines, explained_images(studies, cosines, end, findings, DESCRIPTORS, **options)


@pytest.mark.parametrize("kind", HEADS)
def test_outputs_are_the_heads_own_and_a_black_box_has_no_cosines(kind):
    model = head(kind)
    features = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    said, own = outputs(model, features), model(jnp.asarray(features))
    np.testing.assert_allclose(said.logits, own.output if kind == "bottleneck" else own, atol=1e-6)
    if kind == "bottleneck":
        np.testing.assert_allclose(said.cosines, own.cosines, atol=1e-6)
    else:
        assert said.cosines is None


def test_probabilities_of_classes_and_of_findings():
    logits = np.array([[0, math.log(3)], [math.log(4), 0], [-1000, 1000]], np.float32)
    classes, findings = probabilities(logits, True), probabilities(logits, False)
    assert classes.dtype == findings.dtype == np.float64
    np.testing.assert_allclose(classes, [[1 / 4, 3 / 4], [4 / 5, 1 / 5], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(findings, [[1 / 2, 3 / 4], [4 / 5, 1 / 2], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize("findings", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_contributions_and_base_add_up_to_the_heads_own_logit(findings, use_bias):
    """Of two classes the logit is the second's less the first's; of several findings each has its own."""
    made, kernel, bias = bottleneck(findings, use_bias)
    logits, cosines, studies = explained(made, findings)
    shares, typical = probabilities(logits, findings.single_label), TYPICAL.astype(np.float64)
    first = int(findings.single_label)
    if first:
        logits, kernel, bias = (array - array[..., :1] for array in (logits, kernel, bias))
    assert np.ptp(shares) > 0.1
    for row, study in enumerate(studies):
        assert [one.label for one in study.answers] == list(findings.names[first:])
        for column, answer in enumerate(study.answers, first):
            for concept, one in enumerate(answer.evidence):
                assert (one.descriptor, one.cosine) == (DESCRIPTORS.phrases[concept], cosines[row, concept])
                assert one.group == ("no finding" if concept < 2 else "effusion")
                assert (one.typical, one.seen) == (typical[concept], cosines[row, concept] > TYPICAL[concept])
                assert one.weight == pytest.approx(kernel[concept, column], rel=1e-6)
                assert one.contribution == one.weight * (one.cosine - one.typical)
            # The base is the logit of a typical study.
            assert answer.base == pytest.approx(bias[column] + typical @ kernel[:, column], abs=1e-6)
            total = answer.base + sum(one.contribution for one in answer.evidence)
            assert len(answer.evidence) == CONCEPTS and answer.logit == pytest.approx(total, abs=1e-9)
            assert answer.logit == pytest.approx(float(logits[row, column]), abs=1e-5)
            assert answer.probability == pytest.approx(shares[row, column], abs=1e-6)


def test_what_is_known_of_a_study_is_handed_on():
    films = [
        Shown("a.png", FILM, {"Effusion": True}, ["fluid", "a meniscus"]),
        Shown("b.png", FILM, {"Effusion": False}),
        Shown("c.png", FILM, {"No Finding": True}),
        Shown("d.png", FILM),
    ]
    *_, found = explained(bottleneck(SINGLE)[0], SINGLE, films, report_source="the labels")
    assert [study.name for study in found] == ["a.png", "b.png", "c.png", "d.png"]
    assert [study.answers[0].gold for study in found] == [True, False, None, None]
    assert list(found[0].reported) == ["fluid", "a meniscus"] and list(found[3].reported) == []
    assert all(study.image is FILM and study.report_source == "the labels" for study in found)


def test_no_studies():
    empty, end = np.zeros((0, CONCEPTS), np.float32), linear(bottleneck(SINGLE)[0], SINGLE.names, True)
    assert explained_images([], empty, end, SINGLE, DESCRIPTORS) == []


def through_the_head(made: Bottleneck, cosines: np.ndarray, changed, findings: Findings) -> np.ndarray:
    """Probabilities after a what-if, by the head's own last layer."""
    cosines = cosines.copy()
    cosines[DESCRIPTORS.phrases.index(changed.descriptor)] = changed.cosine_to
    return probabilities(np.asarray(made.aggregation(jnp.asarray(cosines[None]))), findings.single_label)[0]


@pytest.mark.parametrize("asked", [{}, {1: 0.9}, {4: -0.5, 0: 0.0}])
def test_of_classes_the_likeliest_is_told_from_the_next(asked):
    made, *_ = bottleneck(CLASSES)
    logits, cosines, images = explained(made, CLASSES, asked=asked)
    for row, (image, shares) in enumerate(zip(images, probabilities(logits, True), strict=True)):
        best, rival = sorted(range(4), key=lambda name: -shares[name])[:2]
        (answer,) = image.answers
        assert (answer.label, answer.rival) == (CLASSES.names[best], CLASSES.names[rival])
        assert image.category == CLASSES.names[best] and answer.found
        assert answer.probability == pytest.approx(shares[best], abs=1e-6)
        assert answer.rival_probability == pytest.approx(shares[rival], abs=1e-6)
        assert answer.logit == pytest.approx(float(logits[row, best] - logits[row, rival]), abs=1e-5)
        for what_if in image.what_ifs[answer.label]:
            then = through_the_head(made, cosines[row], what_if, CLASSES)
            assert what_if.probability == pytest.approx(then[best], abs=1e-5)
            assert what_if.rival_probability == pytest.approx(then[rival], abs=1e-5)
            assert what_if.likeliest == CLASSES.names[int(np.argmax(then))]


@pytest.mark.parametrize("findings", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("asked", [{}, {1: 0.9}, {4: -0.5, 0: 0.0, 2: 1.0}])
def test_what_ifs_are_what_the_head_says_of_the_changed_cosines(findings, asked):
    """Unasked, the strongest of every finding become typical."""
    made, *_ = bottleneck(findings)
    _, cosines, studies = explained(made, findings, asked=asked)
    for own, study in zip(cosines, studies, strict=True):
        assert list(study.what_ifs) == [one.label for one in study.answers]
        for answer in study.answers:
            strongest = sorted(answer.evidence, key=lambda one: -abs(one.contribution))[:TOP_WHAT_IFS]
            concepts = list(asked) or [DESCRIPTORS.phrases.index(one.descriptor) for one in strongest]
            for concept, one in zip(concepts, study.what_ifs[answer.label], strict=True):
                assert (one.descriptor, one.cosine_from) == (DESCRIPTORS.phrases[concept], own[concept])
                assert one.cosine_to == asked.get(concept, float(TYPICAL[concept]))
                expected = through_the_head(made, own, one, findings)[findings.names.index(answer.label)]
                assert one.probability == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 2**16), st.floats(0.1, 300))
def test_sums_are_exact_enough_whatever_the_weights(seed, scale):
    """`Answer` and `ExplainedImage` refuse probabilities that their parts do not give: none is."""
    rng = np.random.default_rng(seed)
    weight, bias = ((scale * rng.normal(size=shape)).astype(np.float32) for shape in ((CONCEPTS, 2), (2,)))
    cosines = rng.uniform(-1, 1, (2, CONCEPTS)).astype(np.float32)
    end, findings = Linear(("a", "b"), weight, bias), Findings(("a", "b"), False, TYPICAL)
    films = [Shown("a", FILM), Shown("b", FILM)]
    for own, study in zip(
        cosines, explained_images(films, cosines, end, findings, DESCRIPTORS, asked={3: 1.0}), strict=True
    ):
        for column, answer in enumerate(study.answers):
            logit = own.astype(np.float64) @ weight[:, column].astype(np.float64) + float(bias[column])
            assert answer.logit == pytest.approx(logit, rel=1e-9, abs=1e-9)
