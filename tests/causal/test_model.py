"""The decoder against transformers' own in PyTorch, float32; padding and the cache change nothing."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.causal.config import read_config
from ecor_jax.causal.model import Decoder
from ecor_jax.causal.weights import read_decoder

torch = pytest.importorskip("torch")

FAMILIES = ["mistral", "mistral, window", "llama", "llama, scaled", "qwen2", "qwen2, tied"]
TOLERANCE = 5e-5  # of logits between about -30 and 30
ids = np.random.default_rng(0).integers(3, 97, (2, 40)).astype(np.int32)


@jax.jit
def logits_of(decoder: Decoder, ids, first):
    x, _ = decoder(ids, first, decoder.empty_cache(*ids.shape))
    return decoder.logits(x)


def whole(decoder: Decoder, ids):
    return np.asarray(logits_of(decoder, ids, np.zeros(len(ids), np.int32)))


@pytest.mark.parametrize("variant", FAMILIES)
def test_logits_are_those_of_pytorch(variant, models, record_property):
    reference, directory = models(variant)
    with torch.no_grad():
        expected = reference(torch.tensor(ids, dtype=torch.int64)).logits.numpy()
    found = whole(read_decoder(directory), ids)
    difference = np.abs(found - expected).max()
    record_property("difference", float(difference))
    print(f"{variant}: largest logit {np.abs(expected).max():.1f}, largest difference {difference:.1e}")
    assert found.dtype == np.float32 and difference < TOLERANCE
    assert expected.std() > 0.5


@pytest.mark.parametrize("variant", ["llama, scaled", "mistral, window", "mistral"])
def test_what_sets_the_families_apart_shows(variant, models, edit_config, tmp_path):
    # Otherwise the comparison above would prove nothing about it.
    _, directory = models(variant)
    changed = {
        "llama, scaled": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
        "mistral, window": {"sliding_window": None},
        "mistral": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    }[variant]
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    edit_config(tmp_path / "config.json", **changed)
    difference = np.abs(whole(read_decoder(tmp_path), ids) - whole(read_decoder(directory), ids))
    assert difference.max() > 100 * TOLERANCE


@pytest.mark.parametrize("variant", FAMILIES)
def test_padding_on_the_left_changes_nothing(variant, models):
    decoder = read_decoder(models(variant)[1])
    plain = whole(decoder, ids)
    padded = np.full((2, 47), 9, np.int32)
    padded[:, 7:] = ids
    padded[1, 7:17], first = 50, np.array([7, 17], np.int32)
    found = np.asarray(logits_of(decoder, padded, first))
    np.testing.assert_allclose(found[0, 7:], plain[0], atol=TOLERANCE)
    np.testing.assert_allclose(found[1, 17:], whole(decoder, ids[1:, 10:])[0], atol=TOLERANCE)
    other = np.where(np.arange(47) < first[:, None], 3, padded)
    np.testing.assert_array_equal(np.asarray(logits_of(decoder, other, first))[1, 17:], found[1, 17:])


@pytest.mark.parametrize("variant", FAMILIES)
def test_token_by_token_over_the_cache_equals_all_at_once(variant, models):
    decoder = read_decoder(models(variant)[1])
    first = jnp.array([0, 3], jnp.int32)
    at_once = np.asarray(logits_of(decoder, ids, first))
    run = jax.jit(lambda decoder, ids, cache, at: decoder(ids, first, cache, at))
    # A longer cache than is needed: what was not written yet is not looked at.
    x, cache = run(decoder, ids[:, :33], decoder.empty_cache(2, 60), 0)
    parts = [x]
    for at in range(33, 40):
        x, cache = run(decoder, ids[:, at : at + 1], cache, at)
        parts.append(x)
    found = np.asarray(decoder.logits(jnp.concatenate(parts, axis=1)))
    np.testing.assert_allclose(found[0], at_once[0], atol=TOLERANCE)
    np.testing.assert_allclose(found[1, 3:], at_once[1, 3:], atol=TOLERANCE)


def test_bfloat16_is_near(models, tmp_path):
    reference, directory = models("llama")
    copy.deepcopy(reference).to(torch.bfloat16).save_pretrained(tmp_path)
    decoder = read_decoder(tmp_path)
    assert {value.dtype for value in jax.tree.leaves(nnx.state(decoder))} == {jnp.dtype(jnp.bfloat16)}
    found, expected = whole(decoder, ids), whole(read_decoder(directory), ids)
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_every_layer_begins_with_weights_of_its_own(models):
    config = read_config(models("mistral")[1] / "config.json")
    kernels = np.asarray(Decoder(config, rngs=nnx.Rngs(0)).blocks.gate.kernel[...])
    assert kernels.shape == (3, 32, 56)
    assert len({kernel.tobytes() for kernel in kernels}) == 3
