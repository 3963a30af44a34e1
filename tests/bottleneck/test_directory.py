"""A bottleneck on disk comes back to the bit, or says what does not fit."""

import hashlib
import json
import math
import re

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.bottleneck.directory import HEAD, Findings, SavedBottleneck, load_bottleneck, save_bottleneck
from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.tuned import load_tuned

DESCRIPTORS = Descriptors.from_groups({"nose": ["long", "short"], "ears": ["big", "small", "hidden"]}, "here")
SHARES = {"nose": 0.5, "ears": -0.25}


@pytest.fixture
def saved(tiny_clip):
    model = load_clip(tiny_clip)
    embed = model.clip.config.embed_dim
    bank = np.random.default_rng(0).normal(size=(5, embed)).astype(np.float32)
    adapter = Adapter(embed, 3, alpha=0.7, last_relu=False, rngs=nnx.Rngs(1))
    bottleneck = Bottleneck(
        bank, DESCRIPTORS.group_of, scale=12.5, size=4, init="orthogonal", use_bias=True, adapter=adapter,
        rngs=nnx.Rngs(2),
    )  # fmt: skip
    return SavedBottleneck(
        model, bottleneck, DESCRIPTORS, "a {d} face", "aggregated", 0.25, None, "learnt on 8", SHARES
    )


TYPICAL = np.array([0.1, -0.2, 1 / 3, 0.25, 1e-9], np.float32)


def diagnosis(saved, single_label: bool) -> SavedBottleneck:
    """Groups are headings here: there may be one descriptor in each, and there is no softmax."""
    names = ("No Finding", "Effusion") if single_label else ("Effusion", "Ödem", "Mass")
    words = Descriptors.from_groups({"heart": ["big"], "lungs": ["a", "b", "c", "d"]}, "here", least=1)
    bank = np.asarray(saved.bottleneck.bank[...])
    head = Bottleneck(bank, None, scale=1.0, size=len(names), init="orthogonal", rngs=nnx.Rngs(3))
    findings = Findings(names, single_label, TYPICAL, ("patient",))
    return SavedBottleneck(saved.model, head, words, "{d}", "aggregated", None, findings)


@pytest.fixture
def directory(saved, tmp_path):
    save_bottleneck(tmp_path / "model", saved, saved.model.clip)
    return tmp_path / "model"


def same(one, other) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_faces_come_back_to_the_bit(saved, directory):
    again = load_bottleneck(load_clip(directory))
    same(nnx.state(again.bottleneck), nnx.state(saved.bottleneck))
    same(nnx.state(again.model.clip), nnx.state(saved.model.clip))
    assert (again.descriptors, again.template, again.output) == (DESCRIPTORS, "a {d} face", "aggregated")
    assert (again.threshold, again.threshold_source, again.typical) == (0.25, "learnt on 8", SHARES)
    features = jax.random.normal(jax.random.key(0), (3, saved.model.clip.config.embed_dim))
    same(again.bottleneck(features), saved.bottleneck(features))


@pytest.mark.parametrize("single_label", [True, False])
def test_a_diagnosis_comes_back_to_the_bit(saved, directory, single_label):
    """Without groups, adapter or bias; and in the place of an older bottleneck."""
    assert load_bottleneck(load_clip(directory)).findings is None
    kept = diagnosis(saved, single_label)
    save_bottleneck(directory, kept, kept.model.clip)
    again = load_bottleneck(load_clip(directory))
    same(nnx.state(again.bottleneck), nnx.state(kept.bottleneck))
    assert again.descriptors == kept.descriptors
    assert (again.template, again.threshold, again.bottleneck.groups) == ("{d}", None, None)
    assert again.bottleneck.adapter is None
    assert again.findings is not None and kept.findings is not None
    assert again.findings.names == kept.findings.names
    assert again.findings.single_label is single_label and again.findings.trained_on == ("patient",)
    np.testing.assert_array_equal(again.findings.typical, TYPICAL, strict=True)


def edit(directory, change):
    description = json.loads((directory / "ecor.json").read_text())
    change(description)
    (directory / "ecor.json").write_text(json.dumps(description))


def refused(directory) -> str:
    with pytest.raises(UserError) as error:
        load_bottleneck(load_clip(directory))
    assert str(error.value).startswith(f"{directory}/") and "\n" not in str(error.value)
    return str(error.value)


FACES = [
    (lambda d: d.update(format=9), "format 9"),
    (lambda d: d.update(clip_sha256="0" * 64), "belongs to other weights"),
    (lambda d: d.pop("scale"), "not a description of a bottleneck"),
    (lambda d: d.update(head_sha256="0" * 64), "belongs to another head"),
    (lambda d: d.update(threshold=1.5), "expected a cosine from -1 to 1"),
    (lambda d: d["typical"].pop("ears"), "typical is of nose; expected every group once"),
    (lambda d: d.update(grouped=False), "expected one of them"),
    (lambda d: d.update(size=10**12), "aggregation.* has shape"),
    (lambda d: d.update(scale=0), r"ecor\.json: bottleneck.size is"),
    (lambda d: d.update(size=3), r"aggregation.* has shape \(5, 4\)|aggregation.* has shape \(4,\)"),
    (lambda d: d.update(adapter=None), "holds adapter"),
    (lambda d: d["groups"]["nose"].pop(), "'nose' has 1 descriptors"),
    (lambda d: d["groups"]["nose"].append("pointed"), r"kernel has shape \(5, 4\), float32; expected \(6, 4\)"),
]
DIAGNOSES = [
    (lambda d: d["findings"]["names"].pop(), ""),
    (lambda d: d["findings"]["names"].append("Flu"), ""),
    (lambda d: d["findings"].pop("names"), ""),
    (lambda d: d["findings"].update(names=2), ""),
    (lambda d: d["findings"].pop("single_label"), ""),
    (lambda d: d["findings"].pop("typical"), ""),
    (lambda d: d["findings"]["typical"].pop(), ""),
    (lambda d: d["findings"].update(typical=["big"] * 5), ""),
    (lambda d: d["findings"].update(typical=[[0.1, -0.2, 0.3, 0.25, 0.0]]), ""),
    (lambda d: d["findings"].update(typical=[[1.0], [1.0, 2.0], 3.0, 4.0, 5.0]), ""),
    (lambda d: d["findings"].update(typical=0.5), ""),
    (lambda d: d["findings"]["typical"].__setitem__(0, math.nan), ""),
    (lambda d: d["findings"]["typical"].__setitem__(0, math.inf), ""),
    (lambda d: d["findings"].update(single_label=1), "single_label is 1 of 3 findings"),
    (lambda d: d["findings"].update(single_label="no"), "single_label is 'no' of 3 findings"),
    (lambda d: d["findings"]["names"].__setitem__(0, "Mass"), "expected each once"),
    (lambda d: d.update(findings="Effusion"), "not a description of a bottleneck"),
    (lambda d: d.update(findings={}), "not a description of a bottleneck"),
    (lambda d: d.update(size=d["size"] + 1), "aggregation.* has shape"),
    (lambda d: d.update(grouped=True), "group 'heart' has 1 descriptors; expected at least 2"),
]


@pytest.mark.parametrize(("change", "message"), FACES + DIAGNOSES)
def test_a_description_that_does_not_fit(saved, directory, change, message):
    if (change, message) in DIAGNOSES:
        save_bottleneck(directory, diagnosis(saved, single_label=False), saved.model.clip)
    edit(directory, change)
    assert re.search(message, refused(directory))


def test_a_damaged_head(directory):
    def rewrite(tensors) -> None:
        """Another head, and a description that says it is the right one."""
        save_file(tensors, directory / HEAD)
        digest = hashlib.sha256((directory / HEAD).read_bytes()).hexdigest()
        edit(directory, lambda d: d.update(head_sha256=digest))

    tensors = load_file(directory / HEAD)
    rewrite({name: tensor for name, tensor in tensors.items() if "bank" not in name})
    assert re.search("expected .*bank", refused(directory))
    rewrite(tensors | {"aggregation.kernel": np.full_like(tensors["aggregation.kernel"], np.nan)})
    assert "aggregation.kernel holds numbers that are not finite" in refused(directory)
    (directory / HEAD).write_bytes(b"torn")
    assert "belongs to another head" in refused(directory)


def test_a_plain_clip_has_none_and_a_bottleneck_is_no_set_of_prompts(tiny_clip, directory):
    with pytest.raises(UserError, match="no descriptor bottleneck"):
        load_bottleneck(load_clip(tiny_clip))
    with pytest.raises(UserError, match="a descriptor bottleneck"):
        load_tuned(directory)
