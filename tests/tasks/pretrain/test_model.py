"""Contrastive pretraining: the loss against slow NumPy on the towers' embeddings, and how captions become ids."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.tokenizer import tokenize
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.errors import UserError
from ecor_jax.tasks.pretrain.model import PretrainLearner

BATCHES: Any = None
GROUP = np.array([7, 3, 7, 9], np.int32)
TEXTS = ["a cat", "a dog with a wet nose", "a cat", "four legs and a long tail"]


@pytest.fixture
def model(tiny_clip):
    """Its own copy for each test: the sigmoid loss changes the temperature it starts from."""
    return load_clip(tiny_clip)


@pytest.fixture
def batch(model):
    text = np.zeros((4, 40), np.int32)
    for row, ids in zip(text, model.tokenizer(TEXTS)["input_ids"], strict=True):
        row[: len(ids)] = ids
    image = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    arrays = {"image": image, "text": text, "group": GROUP}
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def cosines(model, batch) -> np.ndarray:
    """Of every image and text, float64."""
    pixels = normalise_pixels(batch["image"], model.preprocess.mean, model.preprocess.std)
    run = nnx.jit(lambda tower, rows: tower(rows))
    embeddings = run(model.clip.vision, pixels), run(model.clip.text, batch["text"])
    images, texts = (np.asarray(rows, np.float64) for rows in embeddings)
    return images @ texts.T / np.outer(np.linalg.norm(images, axis=1), np.linalg.norm(texts, axis=1))


def task_of(model, **options) -> PretrainLearner:
    return PretrainLearner(model.clip, BATCHES, model.preprocess, **options)


def cross_entropy(logits, wanted) -> float:
    shifted = logits - logits.max()
    log_shares = shifted - np.log(np.exp(shifted).sum())
    return -float(np.mean([value for value, match in zip(log_shares, wanted, strict=True) if match]))


def loss_of(task, batch, seed=0):
    loss, metrics = jax.jit(lambda batch: task.loss(task.model, batch, jax.random.key(seed)))(batch)
    return float(loss), {name: float(total) / float(count) for name, (total, count) in metrics.items()}


@pytest.mark.optimized
def test_softmax_loss_and_retrieval_equal_a_slow_loop(model, batch):
    task = task_of(model)
    logits = cosines(model, batch) / 0.07  # the temperature it starts from
    same = np.equal.outer(GROUP, GROUP)
    values = [(cross_entropy(logits[i], same[i]) + cross_entropy(logits[:, i], same[i])) / 2 for i in range(4)]
    loss, metrics = loss_of(task, batch)
    assert loss == pytest.approx(np.mean(values), rel=1e-5)
    assert metrics == {"retrieval": pytest.approx(np.mean([same[i, np.argmax(logits[i])] for i in range(4)]))}


def test_sigmoid_loss_equals_a_slow_loop_and_starts_from_weak_positives(model, batch):
    task = task_of(model, loss="sigmoid")
    logits = 10 * cosines(model, batch) - 10  # SigLIP, section 3.2
    signs = np.where(np.equal.outer(GROUP, GROUP), 1, -1)
    assert loss_of(task, batch)[0] == pytest.approx(np.log1p(np.exp(-signs * logits)).sum() / 4, rel=1e-5)


def test_a_siglip_goes_on_from_its_own_scale_and_bias(tiny_siglip, batch):
    model = load_clip(tiny_siglip)
    model.clip.logit_scale[...], model.clip.logit_bias[...] = jnp.float32(4.75), jnp.float32(-16.5)
    batch = batch | {"text": jnp.asarray(tokenize(model.tokenizer, TEXTS, 64, padded=True))}
    task = task_of(model, loss="sigmoid")
    logits = math.exp(4.75) * cosines(model, batch) - 16.5
    signs = np.where(np.equal.outer(GROUP, GROUP), 1, -1)
    assert loss_of(task, batch)[0] == pytest.approx(np.log1p(np.exp(-signs * logits)).sum() / 4, rel=1e-4)
    assert task.model.logit_bias is None


def test_kept_patches_are_few_and_drawn_anew(model, batch):
    whole = task_of(model)
    all_kept = task_of(model, kept_patches=4)
    assert loss_of(all_kept, batch)[0] == pytest.approx(loss_of(whole, batch)[0], rel=1e-5)
    task = task_of(model, kept_patches=1)
    run = jax.jit(lambda key: task.loss(task.model, batch, key)[0])
    losses = [float(run(jax.random.key(seed))) for seed in (0, 0, 1, 2)]
    assert losses[0] == losses[1] and len(set(losses)) > 1
    assert loss_of(whole, batch, seed=1) == loss_of(whole, batch, seed=2)


@pytest.mark.parametrize("kept", [0, -1, 5])
def test_an_impossible_number_of_patches_is_refused(model, kept):
    with pytest.raises(UserError, match=f"kept_patches is {kept}; the tower has 4 patches"):
        task_of(model, kept_patches=kept)


def test_an_unknown_loss_is_refused(model):
    with pytest.raises(UserError, match="loss is 'hinge'; expected 'softmax' or 'sigmoid'"):
        task_of(model, loss="hinge")
