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


def vision(tower, config, image, *, prompts=None, position="after_cls", kept=None):
    """The embedding of one normalised image [size, size, 3].

    prompts {layer: [count, width]} stand after CLS or at the end; those of a layer replace the ones before it, and
    ln_pre, which comes before layer 0, sees those of layer 0 alone. What comes out at prompts is not pooled.
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
    cls = (
        (weights["class_embedding"] + weights["position_embedding"][0])[None] if has_cls else np.zeros((0, shape.width))
    )
    prompts, current = prompts or {}, np.zeros((0, shape.width))

    def together(cls, tokens, patches):
        parts = [cls, tokens, patches] if position == "after_cls" else [cls, patches, tokens]
        return np.concatenate(parts)

    def apart(x, count):
        if position == "after_cls":
            return x[:has_cls], x[has_cls : has_cls + count], x[has_cls + count :]
        return x[:has_cls], x[len(x) - count :], x[has_cls : len(x) - count]

    def pre_norm(x):
        return layer_norm(x, weights["ln_pre"], eps) if shape.pre_norm else x

    cls, patches = pre_norm(cls), pre_norm(np.stack(patches))
    for layer in range(shape.layers):
        if layer in prompts:
            current = np.asarray(prompts[layer], np.float64)
            if layer == 0:
                current = pre_norm(current)
        block = weights["transformer"]["last"]
        if layer < shape.layers - 1:
            block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], weights["transformer"]["blocks"])
        x = run_block(together(cls, current, patches), block, heads=shape.heads, activation=config.activation, eps=eps)
        cls, current, patches = apart(x, len(current))
    if has_cls:
        return layer_norm(cls[0], weights["ln_post"], eps) @ weights["projection"]["kernel"]
    pool = weights["pool"]
    x = attend(layer_norm(patches, weights["ln_post"], eps), pool["attention"], shape.heads, pool["probe"][None])[0]
    return x + linear(
        activate(linear(layer_norm(x, pool["ln"], eps), pool["mlp_in"]), config.activation), pool["mlp_out"]
    )


@pytest.fixture(scope="session")
def slow_vision():
    return vision
