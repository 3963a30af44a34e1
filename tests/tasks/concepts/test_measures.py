"""Sparsity, interventions, leakage and decomposition of a run on drawings, and what they refuse."""

import json

import numpy as np
import pytest

import ecor_jax
from ecor_jax.bottleneck import sparse
from ecor_jax.config.options import defaults, read
from ecor_jax.data.procedural import Procedural
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts import measures
from ecor_jax.tasks.concepts.measures import MEASURES
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.task import ConceptBottleneck, open_data
from ecor_jax.tasks.outcomes import read_outcomes


@pytest.fixture
def config(tiny_clip):
    made = defaults(ConceptsOptions)
    made.model, made.data.images, made.data.style = str(tiny_clip), "procedural", "target"
    made.data.train_count, made.data.test_count, made.data.batch_size = 160, 24, 8
    made.methods, made.evaluation.measures = "bottleneck,random_descriptors,black_box", ",".join(MEASURES)
    made.steps, made.log_every, made.evaluation.batch_size, made.report.studies = 3, 1, 16, 2
    return made


def test_the_concepts_of_a_drawing_are_those_it_shows(config):
    data = open_data(read(ConceptsOptions, config))
    assert data.by_picture and data.of_class is not None
    test = data.test
    source = test.pictures
    assert isinstance(source, Procedural)
    for row in range(len(source)):
        shown = {data.descriptors.phrases[n] for n in np.flatnonzero(test.present[row])}
        assert shown == set(source[row]["rationales"]) == set(test.phrases[row])
    assert (test.present.sum(axis=1) < (test.targets @ data.of_class).sum(axis=1)).all()


def test_a_run_has_the_measures_of_its_bottlenecks(config, tmp_path, monkeypatch):
    monkeypatch.setattr(sparse, "PATH", 4)
    monkeypatch.setattr(sparse, "ITERATIONS", 20)
    monkeypatch.setattr(measures, "SEVERAL", (2, 10))
    results = ecor_jax.train(config, tmp_path / "run")
    assert not {*MEASURES} & set(results["methods"]["black_box"])
    outcomes = read_outcomes(tmp_path / "run" / "outcomes.safetensors")
    for method in ("bottleneck", "random_descriptors"):
        found = results["methods"][method]
        assert set(MEASURES) <= set(found)
        assert found["interventions"]["random_0"] == pytest.approx(found["accuracy"])
        assert found["interventions"]["random_204"] == found["interventions"]["uncertain_204"]
        leaked = found["leakage"]
        assert leaked["leakage_10"] == pytest.approx(leaked["scores_10"] - leaked["truth_10"])
        assert leaked["truth_204"] > leaked["truth_10"] > leaked["truth_2"]  # more of the truth tells more
        assert 1 <= found["sparsity"]["ncc"] <= 204 and found["sparsity"]["anec"] == pytest.approx(
            np.mean([found["sparsity"][f"nec_{n}"] for n in sparse.EFFECTIVE])
        )
        assert 0 <= found["decomposition"]["precision_at_5"] <= 1 and 0 <= found["decomposition"]["error"] <= 1
        for measure in MEASURES:
            own = outcomes[f"methods.{method}.{measure}"]
            assert dict(zip(own.metrics, own.values.mean(axis=1), strict=True)) == pytest.approx(found[measure])
    # The truth is the same for both, the scores are not.
    words, letters = (results["methods"][name]["leakage"] for name in ("bottleneck", "random_descriptors"))
    assert words["truth_10"] == letters["truth_10"]
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "Do the concepts mean what they say?" in page and "corrected concepts" in page
    # An evaluation has no training pictures, and says so.
    again = ecor_jax.evaluate(tmp_path / "run" / "model", config)["methods"]["bottleneck"]
    assert "sparsity" not in again and again["accuracy"] == results["methods"]["bottleneck"]["accuracy"]
    json.dumps(results)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"measures": "sparsity,ncc"}, "evaluation.measures has 'ncc'; expected some of sparsity, interventions"),
        ({"measures": "leakage"}, "has leakage, which needs to know the descriptors that each picture shows"),
        ({"measures": "sparsity", "single_label": False}, "which is for pictures of one class each"),
    ],
)
def test_a_measure_without_its_truth_says_what_it_needs(config, tiny_pictures, tmp_path, changes, expected):
    (tmp_path / "words.json").write_text(json.dumps({"cat": ["a tail"], "dog": ["ears"], "grey seal": ["flippers"]}))
    config.data.images, config.concepts.descriptors = str(tiny_pictures[0]), str(tmp_path / "words.json")
    config.evaluation.measures = changes["measures"]
    config.data.single_label = changes.get("single_label", True)
    config.data.train_split, config.data.test_split = "train", "test"
    with pytest.raises(UserError, match=expected.replace("'", ".")):
        ConceptBottleneck(read(ConceptsOptions, config), training=True)
