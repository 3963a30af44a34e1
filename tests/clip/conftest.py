"""A vision tower written as plain loops in NumPy, float64, from the same parameters."""

import math

import jax
import numpy as np
import pytest
from flax import nnx

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
    return x * (1 + erf(x / math.sqrt(2))) / 2


def attend(x, weights, heads):
    """One head, then the next; x [tokens, width]."""
    query, key, value = (linear(x, weights[name]) for name in ("query", "key", "value"))
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


def vision(tower, config, image, *, prompts=None, position="after_cls", kept=None):
    """The embedding of one normalised image [size, size, 3].

    prompts {layer: [count, width]} stand after CLS or at the end; those of a layer replace the ones before it, and
    ln_pre, which comes before layer 0, sees those of layer 0 alone.
    """
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(nnx.state(tower)))
    eps, shape = config.layer_norm_eps, config.vision
    patches, side = [], shape.patch_size
    for top in range(0, shape.image_size, side):
        for left in range(0, shape.image_size, side):
            pixels = np.asarray(image, np.float64)[top : top + side, left : left + side].reshape(-1)
            patches.append(
                pixels @ weights["patch_embedding"]["kernel"] + weights["position_embedding"][1 + len(patches)]
            )
    if kept is not None:
        patches = [patches[number] for number in kept]
    cls = weights["class_embedding"] + weights["position_embedding"][0]
    prompts, current = prompts or {}, np.zeros((0, shape.width))

    def together(cls, tokens, patches):
        parts = [cls[None], tokens, patches] if position == "after_cls" else [cls[None], patches, tokens]
        return np.concatenate(parts)

    def apart(x, count):
        if position == "after_cls":
            return x[0], x[1 : 1 + count], x[1 + count :]
        return x[0], x[len(x) - count :], x[1 : len(x) - count]

    cls, patches = layer_norm(cls, weights["ln_pre"], eps), layer_norm(np.stack(patches), weights["ln_pre"], eps)
    for layer in range(shape.layers):
        if layer in prompts:
            current = np.asarray(prompts[layer], np.float64)
            if layer == 0:
                current = layer_norm(current, weights["ln_pre"], eps)
        block = weights["transformer"]["last"]
        if layer < shape.layers - 1:
            block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], weights["transformer"]["blocks"])
        x = run_block(together(cls, current, patches), block, heads=shape.heads, activation=config.activation, eps=eps)
        cls, current, patches = apart(x, len(current))
    return layer_norm(cls, weights["ln_post"], eps) @ weights["projection"]["kernel"]


@pytest.fixture(scope="session")
def slow_vision():
    return vision
