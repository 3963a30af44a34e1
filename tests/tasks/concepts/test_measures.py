"""Sparsity, interventions, leakage and decomposition of a run on drawings, and what they refuse."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

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


def test_the_probability_falls_by_what_the_named_part_is_worth(config):
    """Against one drawing after another, with contributions as the page has them."""
    config.methods, config.data.test_count = "bottleneck", 10
    task = ConceptBottleneck(read(ConceptsOptions, config), training=True)
    task.open(config.model)
    learner = task.learner("bottleneck")
    assert learner is not None
    head = learner.model
    head.aggregation.kernel[...] = jax.random.normal(jax.random.key(0), head.aggregation.kernel.shape)
    found = task.evaluate("bottleneck", head).measures
    drawings, phrases = task.data.test.pictures, task.data.descriptors.phrases
    clip, kernel = task.encoder.model, np.asarray(head.aggregation.kernel[...])
    typical = np.asarray(head(jnp.asarray(task.features)).cosines).mean(axis=0)

    def of_classes(record) -> tuple[np.ndarray, np.ndarray]:
        pixels = clip.preprocess(Image.fromarray(np.asarray(record["image"])))
        mean, std = (np.asarray(own, np.float32) for own in (clip.preprocess.mean, clip.preprocess.std))
        features = clip.clip.vision(jnp.asarray((pixels / 255 - mean) / std, jnp.float32)[None])
        concepts = head(features)
        return np.asarray(jax.nn.softmax(concepts.output))[0], np.asarray(concepts.cosines)[0]

    counterfactuals = 0
    for row in range(10):
        shown, (before, cosines) = drawings[row]["rationales"], of_classes(drawings[row])
        category = before.argmax()
        shares = dict(zip(phrases, (cosines - typical) * (kernel[:, category] - kernel.mean(axis=1)), strict=True))
        words, ranked = max(phrases, key=shares.__getitem__), max(shown, key=shares.__getitem__)
        assert found["parts.words_drawn"][row] == (words in shown)
        assert found["parts.ranked_agrees"][row] == (words == ranked)
        after, _ = of_classes(drawings.without(row, ranked))
        fall = before[category] - after[category]
        assert found["parts.ranked_drop"][row] == pytest.approx(fall, abs=1e-5)
        assert found["parts.ranked_changes"][row] == (after.argmax() != category)
        if words not in shown:
            assert found["parts.words_drop"][row] == 0
        # Where some descriptor suffices by itself to change the class, the counterfactual is one of those.
        logits = np.log(before) - (cosines - typical)[:, None] * kernel
        enough = {phrase for phrase, own in zip(phrases, logits, strict=True) if own.argmax() != category}
        counterfactuals += bool(enough)
        if enough and (enough <= set(shown) or not enough & set(shown)):
            assert found["parts.counterfactual_drawn"][row] == bool(enough & set(shown))
    assert counterfactuals and found["parts.ranked_drawn"].all() and found["parts.saliency_drawn"].all()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"measures": "parts"}, r"has parts, which needs the built-in drawings \(data\.images=procedural\)"),
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
