"""A vision tower written as plain loops in NumPy, float64, from the same parameters."""

import math

import jax
import numpy as np
import pytest
from flax import nnx

from ecor_jax.checkpoints.layouts import Tensor
from ecor_jax.checkpoints.model_types import family_of
from ecor_jax.checkpoints.weights import load_weights
from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.model import Clip

erf = np.vectorize(math.erf)


def layer_norm(x, weights, eps):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * weights["scale"] + weights["bias"]


def linear(x, weights):
    return x @ weights["kernel"] + weights["bias"]


def activate(x, name):
    if name == "quick_gelu":
        return x / (1 + np.exp(-1.702 * x))
    if name == "gelu_tanh":
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / math.sqrt(2))) / 2


def attend(x, weights, heads, asking=None):
    """One head, then the next; x [tokens, width]. asking: what looks at them, if others than they themselves."""
    query = linear(x if asking is None else asking, weights["query"])
    key, value = (linear(x, weights[name]) for name in ("key", "value"))
    size = x.shape[1] // heads
    parts = []
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        scores = query[:, columns] @ key[:, columns].T / math.sqrt(size)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, columns])
    return linear(np.concatenate(parts, axis=1), weights["out"])


def run_block(x, weights, *, heads, activation, eps):
    """One residual block; x [tokens, width]."""
    x = x + attend(layer_norm(x, weights["ln_1"], eps), weights["attention"], heads)
    hidden = activate(linear(layer_norm(x, weights["ln_2"], eps), weights["mlp_in"]), activation)
    return x + linear(hidden, weights["mlp_out"])


def vision(tower, config, image, *, prompts=None, kept=None):
    """The embedding of one normalised image [size, size, 3].

    prompts {layer: [count, width]} stand after CLS; those of a layer replace the ones before it, and ln_pre, which
    comes before layer 0, sees those of layer 0 alone. What comes out at prompts is not pooled.
    """
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(tower)))
    eps, shape = config.layer_norm_eps, config.vision
    patches, side, has_cls = [], shape.patch_size, shape.pooling == "cls"
    for top in range(0, shape.image_size - side + 1, side):
        for left in range(0, shape.image_size - side + 1, side):
            pixels = np.asarray(image, np.float64)[top : top + side, left : left + side].reshape(-1)
            patch = pixels @ weights["patch_embedding"]["kernel"] + weights["patch_embedding"].get("bias", 0)
            patches.append(patch + weights["position_embedding"][has_cls + len(patches)])
    if kept is not None:
        patches = [patches[number] for number in kept]
    cls = [weights["class_embedding"] + weights["position_embedding"][0]] if has_cls else np.zeros((0, shape.width))
    prompts, current = prompts or {}, np.zeros((0, shape.width))

    def pre_norm(x):
        return layer_norm(np.asarray(x, np.float64), weights["ln_pre"], eps) if shape.pre_norm else x

    cls, patches = pre_norm(cls), pre_norm(patches)
    for layer in range(shape.layers):
        if layer in prompts:
            current = pre_norm(prompts[layer]) if layer == 0 else prompts[layer]
        block = weights["transformer"]["last"]
        if layer < shape.layers - 1:
            block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], weights["transformer"]["blocks"])
        x = np.concatenate([cls, current, patches])
        x = run_block(x, block, heads=shape.heads, activation=config.activation, eps=eps)
        cls, current, patches = np.split(x, [len(cls), len(cls) + len(current)])
    if has_cls:
        return layer_norm(cls[0], weights["ln_post"], eps) @ weights["projection"]["kernel"]
    pool = weights["pool"]
    x = attend(layer_norm(patches, weights["ln_post"], eps), pool["attention"], shape.heads, pool["probe"][None])[0]
    hidden = activate(linear(layer_norm(x, pool["ln"], eps), pool["mlp_in"]), config.activation)
    return x + linear(hidden, pool["mlp_out"])


@pytest.fixture(scope="session")
def slow_vision():
    return vision


@pytest.fixture(scope="session")
def clip_of():
    """Makes a CLIP of a shape from weights under transformers' names."""

    def load(config: ClipConfig, weights: dict[str, np.ndarray]) -> Clip:
        tensors = {name: Tensor(x.shape, x.dtype.name, lambda x=x: np.asarray(x)) for name, x in weights.items()}
        return load_weights(config, family_of(config).entries, tensors, source="reference")

    return load
