"""Classification heads on image features: concept bottlenecks (arXiv 2411.04008, section 3.2), and baselines."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.clip.model import Bank, unit
from ecor_jax.errors import UserError


class BlackBox(nnx.Module):
    """A head without concepts on unit features: linear, or an MLP with a hidden layer of `width` units (0: linear)."""

    def __init__(self, embed_dim: int, width: int, size: int, *, rngs: nnx.Rngs):
        if width < 0:
            raise UserError(f"head.black_box_width is {width}; expected 0 (linear) or the width of a hidden layer")
        self.hidden = nnx.Linear(embed_dim, width, rngs=rngs) if width else None
        self.last = nnx.Linear(width or embed_dim, size, rngs=rngs)

    def __call__(self, features: Float[Array, "batch embed"]) -> Float[Array, "batch size"]:
        """Computes logits of unnormalised features."""
        features = unit(features)
        return self.last(features if self.hidden is None else jax.nn.relu(self.hidden(features)))


class ClassNames(nnx.Module):
    """A zero-shot head (Radford et al. 2021, section 3.1.2): scaled cosines to the prompts of the classes."""

    def __init__(self, bank: Float[np.ndarray, "classes embed"], scale: float):
        self.bank, self.scale = Bank(jnp.asarray(bank)), scale

    def __call__(self, features: Float[Array, "batch embed"]) -> Float[Array, "batch classes"]:
        """Computes logits of unnormalised features."""
        return self.scale * unit(features) @ self.bank[...].T


def mean_descriptors(
    bank: Float[np.ndarray, "concepts embed"], of_class: Bool[np.ndarray, "classes concepts"], scale: float
) -> Bottleneck:
    """Returns an untrained head: the mean cosine to a class's descriptors (Menon and Vondrick 2023, equation 1).

    It is a bottleneck with an aggregation weight of `scale` / n for each of the n descriptors of a class.
    """
    head = Bottleneck(bank, None, scale=1.0, size=len(of_class), init="zeros", rngs=nnx.Rngs(0))
    weight = scale * of_class.T / of_class.sum(axis=1)
    head.aggregation.kernel[...] = jnp.asarray(weight, jnp.float32)
    return head


Head = Bottleneck | BlackBox | ClassNames


class Outputs(NamedTuple):
    """The logits of C classes for N pictures, and their cosines to all descriptors (None unless a `Bottleneck`)."""

    logits: Float[np.ndarray, "N classes"]
    cosines: Float[np.ndarray, "N concepts"] | None


def outputs(head: Head, features: Float[np.ndarray, "N embed"]) -> Outputs:
    """Applies a head to unnormalised features."""
    graph, state = nnx.split(head)

    @jax.jit
    def of(state: nnx.State, features):
        model: Head = nnx.merge(graph, state)
        if not isinstance(model, Bottleneck):
            return model(features), None
        concepts = model(features)
        return concepts.output, concepts.cosines

    logits, cosines = of(state, jnp.asarray(features))
    return Outputs(np.asarray(logits), None if cosines is None else np.asarray(cosines))


def probabilities(logits: Float[np.ndarray, "*N classes"], exclusive: bool) -> Float[np.ndarray, "*N classes"]:
    """Computes the softmax of exclusive classes, or the sigmoids of labels; the result is float64."""
    wide = jnp.asarray(logits)
    return np.asarray(jax.nn.softmax(wide) if exclusive else jax.nn.sigmoid(wide)).astype(np.float64)


class Linear(NamedTuple):
    """The linear layer of a bottleneck: the logits of `names` are cosines @ weight + bias."""

    names: tuple[str, ...]
    weight: Float[np.ndarray, "concepts outputs"]
    bias: Float[np.ndarray, "outputs"]


def linear(bottleneck: Bottleneck, names: Sequence[str], exclusive: bool) -> Linear:
    """Returns the weight and bias of a bottleneck without groups.

    Two exclusive classes are reduced to the logit of the second, the difference of both: its sigmoid is the softmax.
    For more classes, the mean over the classes is subtracted, which does not change the softmax.
    """
    weight, bias = bottleneck.linear()
    if not exclusive:
        return Linear(tuple(names), weight, bias)
    if len(names) == 2:
        return Linear(tuple(names[1:]), weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1])
    return Linear(tuple(names), weight - weight.mean(axis=1, keepdims=True), bias - bias.mean())
