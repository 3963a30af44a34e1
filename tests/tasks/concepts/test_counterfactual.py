"""The smallest set of descriptors that changes an answer, against all subsets and the arithmetic by hand."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from ecor_jax.bottleneck.directory import Findings
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.tasks.concepts.explain import Shown, explained_images
from ecor_jax.tasks.concepts.explanation import Answer, Counterfactual, Evidence, Removed, sigmoid
from ecor_jax.tasks.concepts.heads import Linear

CONCEPTS = 6
DESCRIPTORS = Descriptors.from_groups({"a": ["d0", "d1", "d2"], "b": ["d3", "d4", "d5"]}, "here")


def explained(seed: int, names: tuple[str, ...], exclusive: bool):
    """Three images of random weights; eighths, so that sums are exact and ties and zeros happen."""
    generator = np.random.default_rng(seed)
    weight = generator.integers(-4, 5, (CONCEPTS, len(names))) / 2
    bias = generator.integers(-6, 7, len(names)) / 4
    cosines, typical = generator.integers(-2, 3, (3, CONCEPTS)) / 4, generator.integers(-1, 2, CONCEPTS) / 4
    end = Linear(names, weight.astype(np.float32), bias.astype(np.float32))
    findings = Findings(names, exclusive, typical.astype(np.float32))
    images = [Shown(str(number), Image.new("L", (4, 4))) for number in range(3)]
    answers = explained_images(images, cosines.astype(np.float32), end, findings, DESCRIPTORS)

    def logits(row: int, removed: tuple[int, ...]) -> np.ndarray:
        changed = cosines[row].copy()
        changed[list(removed)] = typical[list(removed)]
        return changed @ weight + bias

    return answers, logits


def subsets():
    return (removed for size in range(1, CONCEPTS + 1) for removed in itertools.combinations(range(CONCEPTS), size))


def indices(found: Counterfactual) -> tuple[int, ...]:
    assert all(own.group == ("a" if own.descriptor < "d3" else "b") for own in found.removed)
    return tuple(DESCRIPTORS.phrases.index(own.descriptor) for own in found.removed)


def test_labels_against_all_subsets():
    sizes = set()
    for seed in range(40):
        studies, logits = explained(seed, ("x", "y"), exclusive=False)
        for row, study in enumerate(studies):
            for column, answer in enumerate(study.answers):
                assert answer.found == (logits(row, ())[column] > 0)
                flips = [one for one in subsets() if (logits(row, one)[column] > 0) != answer.found]
                found = answer.counterfactual
                sizes.add((answer.found, len(found.removed) if found else 0))
                if found is None:
                    assert not flips
                    continue
                assert len(found.removed) == len(flips[0])
                then = logits(row, indices(found))[column]
                assert found.probability == pytest.approx(sigmoid(then), abs=1e-9) and not found.category
                assert (then > 0) != answer.found
    assert sizes >= {(found, size) for found in (True, False) for size in (0, 1, 2, 3)}


def test_classes_against_all_subsets():
    """The class that it would say may be neither the next one nor the one that was overtaken with the fewest."""
    sizes, said = set(), set()
    names = ("w", "x", "y", "z")
    for seed in range(60):
        studies, logits = explained(seed, names, exclusive=True)
        for row, study in enumerate(studies):
            (answer,) = study.answers
            best, found = names.index(answer.label), answer.counterfactual
            changes = [one for one in subsets() if (then := logits(row, one)).max() > then[best]]
            sizes.add(len(found.removed) if found else 0)
            if found is None:
                assert not changes
                continue
            assert len(found.removed) == len(changes[0])
            then = logits(row, indices(found))
            assert then[names.index(found.category)] == then.max() > then[best]
            assert found.probability == pytest.approx(np.exp(then[best]) / np.exp(then).sum(), rel=1e-5)
            said.add(found.category == answer.rival)
    assert sizes >= {0, 1, 2, 3} and said == {True, False}


def test_a_counterfactual_has_to_change_the_answer():
    evidence = [Evidence("d0", "a", 0.5, 0.25, 4.0), Evidence("d1", "a", 0.5, 0.25, 2.0)]
    label = Answer("x", sigmoid(1.0), -0.5, evidence)
    right = Counterfactual([Removed("d0", "a"), Removed("d1", "a")], sigmoid(-0.5))
    values = json.loads(json.dumps(dataclasses.replace(label, counterfactual=right).to_dict()))["counterfactual"]
    assert values["removed"][1] == {"descriptor": "d1", "group": "a"} and values["category"] == ""
    rival = dataclasses.replace(label, probability=0.6, rival="y", rival_probability=0.6 * np.exp(-1.0))
    dataclasses.replace(rival, counterfactual=Counterfactual([Removed("d0", "a")], 0.3, "z"))
    for answer, wrong in (
        (label, Counterfactual([Removed("d0", "a")], sigmoid(0.0) + 0.01)),
        (label, Counterfactual([Removed("d1", "a")], sigmoid(0.5))),
        (label, Counterfactual([Removed("d0", "b")], sigmoid(0.0))),
        (label, Counterfactual([], sigmoid(1.0))),
        (rival, Counterfactual([Removed("d1", "a")], 0.3, "y")),
        (rival, Counterfactual([Removed("d0", "a")], 0.3, "x")),
    ):
        with pytest.raises(ValueError, match="x: the counterfactual"):
            dataclasses.replace(answer, counterfactual=wrong)
