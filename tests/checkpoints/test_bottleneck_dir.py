"""A bottleneck on disk comes back to the bit, or says what does not fit."""

import dataclasses
import hashlib
import json
import math

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ecor_jax.bottleneck import Adapter, Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import HEAD, Findings, SavedBottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.checkpoints.tuned import load_tuned
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError

DESCRIPTORS = Descriptors.from_groups({"nose": ["long", "short"], "ears": ["big", "small", "hidden"]}, "here")


@pytest.fixture
def saved(tiny_clip):
    model = load_clip(tiny_clip)
    embed = model.clip.config.embed_dim
    bank = np.random.default_rng(0).normal(size=(5, embed)).astype(np.float32)
    adapter = Adapter(embed, 3, alpha=0.7, last_relu=False, rngs=nnx.Rngs(1))
    bottleneck = Bottleneck(
        bank, DESCRIPTORS.group_of, scale=12.5, size=4, start="orthogonal", use_bias=True, adapter=adapter,
        rngs=nnx.Rngs(2),
    )  # fmt: skip
    return SavedBottleneck(model, bottleneck, DESCRIPTORS, "a {d} face", "aggregated", 0.25)


@pytest.fixture
def directory(saved, tmp_path):
    save_bottleneck(tmp_path / "model", saved, saved.model.clip)
    return tmp_path / "model"


def test_round_trip(saved, directory):
    again = load_bottleneck(load_clip(directory))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.bottleneck), nnx.state(saved.bottleneck))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.model.clip), nnx.state(saved.model.clip))
    assert (again.descriptors, again.template, again.output, again.threshold) == (
        DESCRIPTORS, "a {d} face", "aggregated", 0.25,
    )  # fmt: skip
    features = jax.random.normal(jax.random.key(0), (3, saved.model.clip.config.embed_dim))
    jax.tree.map(np.testing.assert_array_equal, again.bottleneck(features), saved.bottleneck(features))


def test_without_groups_adapter_and_bias(saved, tmp_path):
    plain = Bottleneck(np.eye(5, saved.model.clip.config.embed_dim, dtype=np.float32), None, scale=1.0, size=5,
                       rngs=nnx.Rngs(0))  # fmt: skip
    findings = Findings(tuple("abcde"), False, np.zeros(5, np.float32), ("patient",))
    save_bottleneck(tmp_path / "m", SavedBottleneck(saved.model, plain, DESCRIPTORS, "{d}", "features", None, findings))
    again = load_bottleneck(load_clip(tmp_path / "m"))
    assert again.bottleneck.groups is None and again.bottleneck.adapter is None and again.threshold is None
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.bottleneck), nnx.state(plain))


def edit(directory, change):
    description = json.loads((directory / "ecor.json").read_text())
    change(description)
    (directory / "ecor.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=9), "format 9"),
        (lambda d: d.update(clip_sha256="0" * 64), "belongs to other weights"),
        (lambda d: d.pop("scale"), "not a description of a bottleneck"),
        (lambda d: d.update(head_sha256="0" * 64), "belongs to another head"),
        (lambda d: d.update(threshold=1.5), "expected a cosine from -1 to 1"),
        (lambda d: d.update(grouped=False), "expected one of them"),
        (lambda d: d.update(size=10**12), "aggregation.* has shape"),
        (lambda d: d.update(scale=0), r"ecor\.json: bottleneck.size is"),
        (lambda d: d.update(size=3), r"aggregation.* has shape \(5, 4\)|aggregation.* has shape \(4,\)"),
        (lambda d: d.update(adapter=None), "holds adapter"),
        (lambda d: d["groups"]["nose"].pop(), "'nose' has 1 descriptors"),
        (lambda d: d["groups"]["nose"].append("pointed"), r"kernel has shape \(5, 4\), float32; expected \(6, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(directory, change, message):
    edit(directory, change)
    with pytest.raises(UserError, match=message):
        load_bottleneck(load_clip(directory))


def rewrite(directory, tensors):
    """Another head, and a description that says it is the right one."""
    save_file(tensors, directory / HEAD)
    digest = hashlib.sha256((directory / HEAD).read_bytes()).hexdigest()
    edit(directory, lambda d: d.update(head_sha256=digest))


def test_a_damaged_head(directory):
    tensors = load_file(directory / HEAD)
    rewrite(directory, {name: tensor for name, tensor in tensors.items() if "bank" not in name})
    with pytest.raises(UserError, match=r"expected .*bank"):
        load_bottleneck(load_clip(directory))
    rewrite(directory, tensors | {"aggregation.kernel": np.full_like(tensors["aggregation.kernel"], np.nan)})
    with pytest.raises(UserError, match=r"aggregation\.kernel holds numbers that are not finite"):
        load_bottleneck(load_clip(directory))
    (directory / HEAD).write_bytes(b"torn")
    with pytest.raises(UserError, match=r"belongs to another head"):
        load_bottleneck(load_clip(directory))


def test_a_plain_clip_has_none(tiny_clip):
    with pytest.raises(UserError, match="no descriptor bottleneck"):
        load_bottleneck(load_clip(tiny_clip))


def test_a_bottleneck_is_no_set_of_prompts(directory):
    with pytest.raises(UserError, match="a descriptor bottleneck"):
        load_tuned(directory)


# A diagnosis


TYPICAL = np.array([0.1, -0.2, 1 / 3, 0.25, 1e-9], np.float32)


@pytest.fixture(params=[True, False], ids=["single", "several"])
def diagnosis(request, saved) -> SavedBottleneck:
    """Groups are headings here: there may be one descriptor in each, and there is no softmax."""
    single_label = request.param
    names = ("No Finding", "Effusion") if single_label else ("Effusion", "Ödem", "Mass")
    words = Descriptors.from_groups({"heart": ["big"], "lungs": ["a", "b", "c", "d"]}, "here", least=1)
    adapter = Adapter(saved.model.clip.config.embed_dim, 3, alpha=0.5, last_relu=False, rngs=nnx.Rngs(1))
    bank = np.asarray(saved.bottleneck.bank[...])
    options = {"scale": 1.0, "size": len(names), "start": "orthogonal", "use_bias": True}
    head = Bottleneck(bank, None, **options, adapter=adapter, rngs=nnx.Rngs(3))
    findings = Findings(names, single_label, TYPICAL)
    return SavedBottleneck(saved.model, head, words, "{d}", "aggregated", None, findings)


@pytest.fixture
def diagnosis_directory(diagnosis, tmp_path):
    save_bottleneck(tmp_path / "diagnosis", diagnosis, diagnosis.model.clip)
    return tmp_path / "diagnosis"


def test_a_diagnosis_comes_back_to_the_bit(diagnosis, diagnosis_directory):
    again = load_bottleneck(load_clip(diagnosis_directory))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again.bottleneck), nnx.state(diagnosis.bottleneck))
    assert again.descriptors == diagnosis.descriptors
    assert (again.template, again.threshold, again.bottleneck.groups) == ("{d}", None, None)
    assert again.findings is not None and diagnosis.findings is not None
    assert again.findings.names == diagnosis.findings.names
    assert again.findings.single_label is diagnosis.findings.single_label
    np.testing.assert_array_equal(again.findings.typical, TYPICAL, strict=True)
    features = jax.random.normal(jax.random.key(0), (3, diagnosis.model.clip.config.embed_dim))
    jax.tree.map(np.testing.assert_array_equal, again.bottleneck(features), diagnosis.bottleneck(features))


def test_a_bottleneck_for_faces_has_no_findings(directory):
    assert load_bottleneck(load_clip(directory)).findings is None


def test_a_second_diagnosis_takes_the_place_of_the_first(diagnosis, diagnosis_directory):
    other = dataclasses.replace(diagnosis, findings=dataclasses.replace(diagnosis.findings, typical=-TYPICAL))
    save_bottleneck(diagnosis_directory, other, diagnosis.model.clip)
    findings = load_bottleneck(load_clip(diagnosis_directory)).findings
    assert findings is not None
    np.testing.assert_array_equal(findings.typical, -TYPICAL)


DAMAGE = {
    "a name too few": lambda f: f["names"].pop(),
    "a name too many": lambda f: f["names"].append("Flu"),
    "no names": lambda f: f.pop("names"),
    "names that are a number": lambda f: f.update(names=2),
    "no single_label": lambda f: f.pop("single_label"),
    "no typical cosines": lambda f: f.pop("typical"),
    "a typical cosine too few": lambda f: f["typical"].pop(),
    "a typical cosine too many": lambda f: f["typical"].append(0.0),
    "typical cosines in words": lambda f: f.update(typical=["big"] * 5),
    "typical cosines in two rows": lambda f: f.update(typical=[f["typical"]]),
    "a ragged table": lambda f: f.update(typical=[[1.0], [1.0, 2.0], 3.0, 4.0, 5.0]),
    "one number": lambda f: f.update(typical=0.5),
    "a typical cosine that is none": lambda f: f["typical"].__setitem__(0, math.nan),
    "a typical cosine without end": lambda f: f["typical"].__setitem__(0, math.inf),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_findings_are_refused(diagnosis_directory, damage):
    edit(diagnosis_directory, lambda d: DAMAGE[damage](d["findings"]))
    with pytest.raises(UserError) as error:
        load_bottleneck(load_clip(diagnosis_directory))
    assert str(error.value).startswith(f"{diagnosis_directory / 'ecor.json'}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("findings", ["Effusion", ["Effusion"], 3, {}])
def test_findings_of_another_form_are_refused(diagnosis_directory, findings):
    edit(diagnosis_directory, lambda d: d.update(findings=findings))
    with pytest.raises(UserError, match="not a description of a bottleneck"):
        load_bottleneck(load_clip(diagnosis_directory))


def test_findings_and_a_head_of_another_size(diagnosis_directory):
    edit(diagnosis_directory, lambda d: d.update(size=d["size"] + 1))
    with pytest.raises(UserError, match=r"aggregation.* has shape"):
        load_bottleneck(load_clip(diagnosis_directory))


def test_a_group_of_one_is_refused_once_there_is_a_softmax(diagnosis_directory):
    edit(diagnosis_directory, lambda d: d.update(grouped=True))
    with pytest.raises(UserError, match="group 'heart' has 1 descriptors; expected at least 2"):
        load_bottleneck(load_clip(diagnosis_directory))
