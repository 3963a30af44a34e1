"""The characteristic-descriptor bottleneck (arXiv 2411.04008, section 3): image features to concepts to an output.

Face verification uses a softmax within groups of concepts and an embedding as output; classification, such as of chest
X-rays, uses cosines and logits.
"""

import dataclasses
import math
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from ecor_jax.clip.model import Bank, unit
from ecor_jax.config.options import Share, Within
from ecor_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class AdapterOptions:
    """Options of a residual MLP on the features (CLIP-Adapter).

    width: hidden width; 0: no adapter. alpha: share of the input in the output (`Adapter`). last_relu: whether a ReLU
    follows the second layer.
    """

    width: Annotated[int, Within(0, 2**16)] = 0
    alpha: Share = 0.8
    last_relu: bool = True


CONCEPTS_KEPT = (1, 2, 3, 5, 10, 20, 40, 80)
"""Numbers of concepts that are kept, in turn, to test explanations with few concepts."""


class Concepts(NamedTuple):
    """The intermediate values and the output of a bottleneck for a batch of images.

    features: the adapted image features (equation 1). cosines: to every descriptor, S in the paper.
    activations: the input of the aggregation, S_sm for faces. output: the embedding, or the logits.
    """

    features: Float[Array, "batch embed"]
    cosines: Float[Array, "batch concepts"]
    activations: Float[Array, "batch concepts"]
    output: Float[Array, "batch size"]


class Adapter(nnx.Module):
    """`alpha E(x) + (1 - alpha) F(E(x))`, equation 1; F: two layers without biases (CLIP-Adapter, Gao et al. 2021).

    alpha: weight of the original feature. CLIP-Adapter's ratio weights the adapter, so its 0.2 is an alpha of 0.8.
    last_relu: whether F ends in a ReLU, as in CLIP-Adapter; the paper does not state it.
    """

    def __init__(self, embed_dim: int, width: int, *, alpha: float, last_relu: bool = True, rngs: nnx.Rngs):
        if not 0 <= alpha <= 1:
            raise UserError(f"adapter.alpha is {alpha}; expected a share from 0 to 1")
        if width < 1:
            raise UserError(f"adapter.width is {width}; expected at least 1")
        self.alpha, self.last_relu = alpha, last_relu
        self.down = nnx.Linear(embed_dim, width, use_bias=False, rngs=rngs)
        self.up = nnx.Linear(width, embed_dim, use_bias=False, rngs=rngs)

    def __call__(self, features: Float[Array, "batch embed"]) -> Float[Array, "batch embed"]:
        """Adapts unnormalised features."""
        adapted = self.up(jax.nn.relu(self.down(features)))
        adapted = jax.nn.relu(adapted) if self.last_relu else adapted
        return self.alpha * features + (1 - self.alpha) * adapted


def adapter_of(options: AdapterOptions, embed_dim: int, rngs: nnx.Rngs) -> Adapter | None:
    """Returns the adapter that the options describe; None if its width is 0."""
    if not options.width:
        return None
    return Adapter(embed_dim, options.width, alpha=options.alpha, last_relu=options.last_relu, rngs=rngs)


class Bottleneck(nnx.Module):
    """An adapter, cosines to a bank of descriptors, a softmax within groups, and an aggregation matrix.

    bank: unit embeddings of the N descriptors, frozen.
    groups: the group index of each descriptor, 0 to G - 1; None aggregates the cosines directly (classification).
    scale: factor on the cosines before the softmax, its inverse temperature. The paper states none; unscaled cosines
      are nearly equal, so that their softmax is nearly uniform.
    size: output dimension, m in the paper.
    init: initial aggregation matrix W: 'identity' (size N), 'orthogonal' (orthonormal rows or columns), or 'zeros',
      with which no descriptor affects the output before training.
    """

    def __init__(
        self,
        bank: Float[np.ndarray, "concepts embed"],
        groups: tuple[int, ...] | None,
        *,
        scale: float,
        size: int,
        init: Literal["identity", "orthogonal", "zeros"] = "identity",
        use_bias: bool = False,
        adapter: Adapter | None = None,
        rngs: nnx.Rngs,
    ):
        concepts = len(bank)
        if init not in _INITS:
            raise UserError(f"bottleneck.init is {init!r}; expected one of {', '.join(_INITS)}")
        if init == "identity" and size != concepts:
            raise UserError(f"bottleneck.size is {size}; an identity needs that of the descriptors, {concepts}")
        if size < 1 or not 0 < scale < math.inf:
            raise UserError(f"bottleneck.size is {size} and bottleneck.scale {scale}; expected positive numbers")
        self.groups, self.scale = groups, scale
        self.adapter = adapter
        self.bank = Bank(jnp.asarray(bank))
        self.aggregation = nnx.Linear(concepts, size, use_bias=use_bias, kernel_init=_INITS[init], rngs=rngs)

    def __call__(self, features: Float[Array, "batch embed"]) -> Concepts:
        """Computes the concepts of the unnormalised features of a CLIP's image encoder."""
        if self.adapter is not None:
            features = self.adapter(features)
        cosines = unit(features) @ self.bank[...].T
        activations = cosines
        if self.groups is not None:
            activations = group_softmax(self.scale * cosines, jnp.array(self.groups), max(self.groups) + 1)
        return Concepts(features, cosines, activations, self.aggregation(activations))

    def linear(self) -> tuple[Float[np.ndarray, "concepts size"], Float[np.ndarray, "size"]]:
        """Returns the weights and the bias (zeros if there is none) of the aggregation."""
        kernel, bias = np.asarray(self.aggregation.kernel[...]), self.aggregation.bias
        return kernel, np.zeros(kernel.shape[1], np.float32) if bias is None else np.asarray(bias[...])


def _identity(key: Array, shape: tuple[int, int], dtype, out_sharding=None) -> Array:
    return jnp.eye(*shape, dtype=dtype)


_INITS = {"identity": _identity, "orthogonal": nnx.initializers.orthogonal(), "zeros": nnx.initializers.zeros_init()}


def group_softmax(
    scores: Float[Array, "batch concepts"], groups: Int[Array, "concepts"], count: int
) -> Float[Array, "batch concepts"]:
    """Computes a softmax within each of `count` groups of columns (the paper's Group SoftMax): a group sums to one."""
    top = jax.ops.segment_max(jax.lax.stop_gradient(scores).T, groups, count)
    weights = jnp.exp(scores - top[groups].T)
    return weights / jax.ops.segment_sum(weights.T, groups, count)[groups].T


def group_log_softmax(
    scores: Float[Array, "batch concepts"], groups: Int[Array, "concepts"], count: int
) -> Float[Array, "batch concepts"]:
    """Computes the logarithm of `group_softmax` without underflow."""
    shifted = scores - jax.ops.segment_max(jax.lax.stop_gradient(scores).T, groups, count)[groups].T
    return shifted - jnp.log(jax.ops.segment_sum(jnp.exp(shifted).T, groups, count))[groups].T


class SimilarityTerms(NamedTuple):
    """Additive contributions to a cosine similarity, which is their sum."""

    concepts: Float[Array, "pairs concepts"]
    bias: Float[Array, "pairs"]


def similarity_shares(
    first: Float[Array, "pairs concepts"],
    second: Float[Array, "pairs concepts"],
    weight: Float[Array, "concepts size"],
    bias: Float[Array, "size"] | None = None,
) -> SimilarityTerms:
    """Decomposes the cosine of two images' embeddings `a W + b` into contributions of the concepts (activations a).

    The dot product of the embeddings is bilinear in the activations: concept i enters once through the first image,
    `a_i (W e2)_i`, and once through the second, `a'_i (W e1)_i`. Each is a complete decomposition; their mean is
    returned, so that the result is symmetric in the images. It is exact: shares and bias add up to the cosine.
    """
    offset = jnp.zeros((1, weight.shape[1]), weight.dtype) if bias is None else bias[None]
    e1, e2 = first @ weight + offset, second @ weight + offset
    norms = jnp.linalg.norm(e1, axis=1) * jnp.linalg.norm(e2, axis=1)
    norms = jnp.maximum(norms, 1e-12)[:, None]
    by_concept = (first * (e2 @ weight.T) + second * (e1 @ weight.T)) / (2 * norms)
    return SimilarityTerms(by_concept, jnp.sum((e1 + e2) * offset, axis=1) / (2 * norms[:, 0]))


def intervene(
    activations: Float[Array, "batch concepts"], groups: Int[Array, "concepts"], concept: int, value: float
) -> Float[Array, "batch concepts"]:
    """Sets the activation of one concept to `value` in [0, 1] and rescales the rest of its group to 1 - `value`."""
    own = groups == groups[concept]
    others = (own & (jnp.arange(activations.shape[1]) != concept))[None]
    rest = jnp.sum(jnp.where(others, activations, 0), axis=1, keepdims=True)
    share = jnp.where(rest > 0, activations / jnp.where(rest > 0, rest, 1), 1 / jnp.maximum(jnp.sum(others), 1))
    return jnp.where(others, share * (1 - value), activations).at[:, concept].set(value)
