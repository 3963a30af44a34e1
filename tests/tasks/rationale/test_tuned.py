"""Tuned models on disk: prompts exact, the frozen CLIP readable without us, and nothing trusted that does not fit."""

import json
import shutil
from unittest.mock import Mock

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.methods import METHODS, with_templates
from ecor_jax.tasks.rationale.tuned import Tuned, TunedModel, load_tuned, save_tuned

LISTS = {"cat": ["whiskers", "a tail"], "owl": [], "dog": ["a tail", "größe"]}


@pytest.fixture(scope="module")
def saved(tiny_clip, tmp_path_factory):
    """A directory with prompts of two methods, and what was written there."""
    model = load_clip(tiny_clip)
    vision = model.clip.config.vision
    deep = VisualPrompts(vision, 3, (0, 1), rngs=nnx.Rngs(1))
    late = VisualPrompts(vision, 2, (1,), initialisation="normal", border=3, rngs=nnx.Rngs(2))
    tuned = {
        "ecor": Tuned(with_templates(METHODS["ecor"], "", "{c}: {r}"), deep),
        "dror": Tuned(METHODS["dror"], late),
    }
    directory = tmp_path_factory.mktemp("tuned") / "model"
    whole = TunedModel(model, tuned, Vocabulary.from_lists(LISTS))
    save_tuned(directory, whole)
    return directory, whole


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "model")


def test_it_comes_back_exactly(saved):
    directory, whole = saved
    found = load_tuned(directory)
    assert found.model.digest == whole.model.digest
    assert list(found.tuned) == ["ecor", "dror"]
    for name, entry in whole.tuned.items():
        again = found.tuned[name]
        assert again.method == entry.method
        assert (again.prompts.count, again.prompts.layers) == (entry.prompts.count, entry.prompts.layers)
        np.testing.assert_array_equal(again.prompts.tokens[...], entry.prompts.tokens[...], strict=True)
        assert (again.prompts.border is None) == (entry.prompts.border is None) == (name == "ecor")
    borders = (one.tuned["dror"].prompts.border[...] for one in (found, whole))
    np.testing.assert_array_equal(*borders, strict=True)
    assert found.vocabulary.classes == whole.vocabulary.classes
    assert found.vocabulary.rationales == whole.vocabulary.rationales
    np.testing.assert_array_equal(found.vocabulary.gold, whole.vocabulary.gold)


def test_it_is_readable_without_us(saved, tiny_clip):
    directory, whole = saved
    description = json.loads((directory / "ecor.json").read_text())
    assert description["vocabulary"] == LISTS
    assert description["frozen_sha256"] == whole.model.digest
    assert description["methods"]["dror"]["prompts"] == {"count": 2, "layers": [1], "border": 3}
    assert load_file(directory / "prompts.safetensors")["ecor"].shape == (2, 3, 32)
    # What lies beside it is the CLIP it was tuned on, to the last bit.
    frozen, source = load_file(directory / "model.safetensors"), load_file(tiny_clip / "model.safetensors")
    assert frozen.keys() == source.keys()
    assert all(np.array_equal(frozen[name], source[name]) for name in source)
    assert load_clip(directory).digest == whole.model.digest


def test_a_newer_one_takes_the_place_of_an_older_one_if_it_can_be_written(saved, copy, monkeypatch, tiny_clip):
    plain = load_tuned(tiny_clip)
    assert plain.tuned == {} and plain.vocabulary is None
    newer = TunedModel(saved[1].model, {"dror": saved[1].tuned["dror"]}, saved[1].vocabulary)
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"model: cannot be written .No space left"):
        patch.setattr("ecor_jax.tasks.rationale.tuned.save_file", Mock(side_effect=OSError("No space left on device")))
        save_tuned(copy, newer)
    assert list(load_tuned(copy).tuned) == ["ecor", "dror"]
    save_tuned(copy, newer)
    assert list(load_tuned(copy).tuned) == ["dror"]
    assert [entry.name for entry in copy.parent.iterdir()] == ["model"]


def fields(method: str, **changes):
    """Changes the description of a method's prompts."""
    return lambda description: description["methods"][method]["prompts"].update(changes)


CHANGES = {
    "other weights": (lambda d: d.update(frozen_sha256="f" * 64), "its prompts were tuned on other weights"),
    "another format": (lambda d: d.update(format=2), "ecor.json: format 2; this version reads 1"),
    "no format": (lambda d: d.pop("format"), "not a description of tuned prompts .*format"),
    "no methods": (lambda d: d.pop("methods"), "not a description of tuned prompts .*methods"),
    "methods in a list": (lambda d: d.update(methods=[1]), "not a description of tuned prompts"),
    "an unknown method": (lambda d: d["methods"].update(x=dict(d["methods"]["dror"])), "not a description.*'x'"),
    "an unknown field": (lambda d: d["methods"]["ecor"].update(colour="red"), "not a description.*colour"),
    "an unknown order": (lambda d: d["methods"]["ecor"].update(order="any"), "order is 'any'; expected one of ratio"),
    "an unknown brace": (lambda d: d["methods"]["ecor"].update(pair="{x}"), "templates.pair is '{x}'"),
    "another count": (fields("ecor", count=4), r"ecor has shape \(2, 3, 32\).*4, 32"),
    "no prompt": (fields("ecor", count=0), "expected .2, 0, 32., float32"),
    "another border": (fields("dror", border=2), r"dror.border has shape \(156, 3\).*112, 3"),
    "a border without a frame": (fields("ecor", border=2), "ecor.border"),
    "a border as large as the picture": (fields("dror", border=8), "border is 8; expected less than half"),
    "layers of a deeper tower": (fields("ecor", layers=[0, 7]), "layer"),
    "layers out of order": (fields("ecor", layers=[1, 0]), "layer"),
    "no vocabulary": (lambda d: d.update(vocabulary=3), "not a description of tuned prompts"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_description_that_does_not_fit(copy, case):
    change, message = CHANGES[case]
    description = json.loads((copy / "ecor.json").read_text())
    change(description)
    (copy / "ecor.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match=message):
        load_tuned(copy)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (None, r"trained_on\.safetensors: no digests of training pictures"),
        ({"other": np.zeros(2, np.uint64)}, r"no digests of training pictures \(KeyError"),
        ({"digests": np.zeros(2, np.int64)}, r"digests has shape \(2,\), int64; expected one axis, uint64"),
        ({"digests": np.zeros((2, 1), np.uint64)}, r"digests has shape \(2, 1\)"),
    ],
)
def test_damaged_digests_of_the_training_pictures(copy, tensors, message):
    if tensors is None:
        (copy / "trained_on.safetensors").write_bytes(b"no tensors")
    else:
        save_file(tensors, copy / "trained_on.safetensors")
    with pytest.raises(UserError, match=message):
        load_tuned(copy)


def test_prompts_torn_of_another_type_missing_or_beside_other_weights(copy):
    prompts = copy / "prompts.safetensors"
    tokens = load_file(prompts)
    prompts.write_bytes(prompts.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"ecor.json: not a description"):
        load_tuned(copy)
    save_file({name: value.astype(np.int32) for name, value in tokens.items()}, prompts)
    with pytest.raises(UserError, match="int32"):
        load_tuned(copy)
    prompts.unlink()
    with pytest.raises(UserError, match=r"prompts\.safetensors"):
        load_tuned(copy)
    # A directory put together from two: the prompts would say nothing.
    weights = load_file(copy / "model.safetensors")
    weights["logit_scale"] = np.asarray(weights["logit_scale"] + np.float32(0.01))
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="tuned on other weights"):
        load_tuned(copy)
