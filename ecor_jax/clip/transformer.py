"""The transformer of both towers: residual attention blocks, all but the last run as a scan over stacked layers."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Shaped

from ecor_jax.clip.config import TextConfig, VisionConfig
from ecor_jax.parallel import mesh as meshes


def quick_gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Computes `x * sigmoid(1.702 x)`, the approximation of GELU that OpenAI trained with."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Computes exact GELU with erf, as PyTorch does; jax.nn.gelu uses erfc, three times as slow on CPUs."""
    return 0.5 * x * (1 + jax.lax.erf(x * 2**-0.5))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
    "gelu_tanh": jax.nn.gelu,
}


def linear(
    inputs: int, outputs: int, deviation: float | None = None, *, use_bias: bool = True, dtype, rngs: nnx.Rngs
) -> nnx.Linear:
    """Returns a linear layer with normally distributed weights; the default deviation is 1 / sqrt(inputs)."""
    init = nnx.initializers.normal(inputs**-0.5 if deviation is None else deviation)
    return nnx.Linear(inputs, outputs, use_bias=use_bias, kernel_init=init, dtype=dtype, rngs=rngs)


Selection = slice | Int[Array, "batch some"] | None
"""Tokens whose output a block computes: a slice of positions, positions of each row, or None for all."""


def _select(x: Shaped[Array, "batch tokens size"], selected: Selection) -> Shaped[Array, "batch some size"]:
    if selected is None:
        return x
    return x[:, selected] if isinstance(selected, slice) else jnp.take_along_axis(x, selected[:, :, None], axis=1)


class KVCache(NamedTuple):
    """Keys and values of preceding tokens; a cache of all blocks has a leading axis of layers.

    A cache with batch size 1 is shared by all rows.
    """

    keys: Float[Array, "*layers batch tokens heads size"]
    values: Float[Array, "*layers batch tokens heads size"]


class Attention(nnx.Module):
    """Multi-head self-attention with biases; softmax in float32."""

    def __init__(self, width: int, heads: int, layers: int, *, dtype, rngs: nnx.Rngs):
        self.heads = heads
        self.query, self.key, self.value = (linear(width, width, dtype=dtype, rngs=rngs) for _ in range(3))
        # CLIP's initialisation: contributions to the residual stream shrink with depth.
        self.out = linear(width, width, (2 * layers * width) ** -0.5, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        *,
        causal: bool,
        selected: Selection = None,
        mask: Bool[Array, "batch tokens seen"] | None = None,
        cache: KVCache | None = None,
        value_scale: Float[Array, "batch tokens heads"] | None = None,
    ):
        own = self.keys_and_values(x, value_scale)
        if cache is not None:
            own = KVCache(*(_append(before, new) for before, new in zip(cache, own, strict=True)))
        mask = None if mask is None else _select(mask, selected)
        return self.attend(_select(x, selected), own, causal=causal, mask=mask)

    def attend(
        self,
        queries: Float[Array, "batch queries width"],
        cache: KVCache,
        *,
        causal: bool = False,
        mask: Bool[Array, "batch queries keys"] | None = None,
    ) -> Float[Array, "batch queries width"]:
        """Computes attention of `queries` over `cache`. causal: applies a causal mask; both are of the same tokens."""
        queries = self.query(queries)
        q, (k, v) = queries.reshape(*queries.shape[:-1], self.heads, -1), cache
        on_cpus = meshes.platform() == "cpu"
        if mask is None and causal and on_cpus:
            mask = jnp.tril(jnp.ones((1, q.shape[1], k.shape[1]), bool))
        if mask is not None or on_cpus:
            y = _attention_by_heads(q, k, v, None if mask is None else mask[:, None])
        else:
            with jax.numpy_dtype_promotion("standard"):  # its logits are float32 whatever the dtype of its arguments is
                y = jax.nn.dot_product_attention(q, k, v, is_causal=causal, implementation=_kernel(q))
        return self.out(y.reshape(queries.shape))

    def weights(
        self, queries: Float[Array, "batch queries width"], cache: KVCache
    ) -> Float[Array, "batch heads queries keys"]:
        """Returns the attention weights of `queries` over `cache`, in float32, without a mask."""
        q = self.query(queries)
        q = q.reshape(*q.shape[:-1], self.heads, -1)
        logits = jnp.einsum("bthd,bshd->bhts", q, cache.keys, preferred_element_type=jnp.float32)
        return jax.nn.softmax(logits * q.shape[-1] ** -0.5)

    def keys_and_values(
        self, x: Float[Array, "batch tokens width"], value_scale: Float[Array, "batch tokens heads"] | None = None
    ) -> KVCache:
        """Returns the keys and values of tokens. value_scale: factors on the values."""
        own = KVCache(*(y.reshape(*y.shape[:-1], self.heads, -1) for y in (self.key(x), self.value(x))))
        if value_scale is None:
            return own
        # In float32, so that the derivative by a scale is a sum in float32.
        values = own.values.astype(jnp.float32) * value_scale[..., None]
        return own._replace(values=values.astype(own.values.dtype))


def _append(before: Float[Array, "batch_or_1 some heads size"], own: Float[Array, "batch tokens heads size"]):
    return jnp.concatenate([jnp.broadcast_to(before, (len(own), *before.shape[1:])), own], axis=1)


def _kernel(q: Float[Array, "batch queries heads size"]) -> Literal["xla", "cudnn"]:
    """Returns the attention implementation for accelerators: cuDNN where supported, XLA otherwise or for one query."""
    taken = q.dtype in (jnp.bfloat16, jnp.float16) and q.shape[-1] <= 128 and q.shape[-1] % 8 == 0
    return "cudnn" if taken and q.shape[1] > 1 and meshes.has_cudnn_attention() else "xla"


def _attention_by_heads(
    q: Float[Array, "batch queries heads size"],
    k: Float[Array, "batch tokens heads size"],
    v: Float[Array, "batch tokens heads size"],
    mask: Bool[Array, "batch_or_1 1 queries tokens"] | None,
) -> Float[Array, "batch queries heads size"]:
    """Computes jax.nn.dot_product_attention two to four times as fast on CPUs: heads first, normalised at the end."""
    q, k, v = (y.swapaxes(1, 2) for y in (q, k, v))
    logits = jnp.einsum("bhtd,bhsd->bhts", q, k, preferred_element_type=jnp.float32) * q.shape[-1] ** -0.5
    if mask is not None:
        logits = jnp.where(mask, logits, -jnp.inf)
    # The attention weights do not depend on the subtracted maximum, so its gradient is 0.
    shares = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
    total = shares.sum(axis=-1, keepdims=True)
    y = jnp.einsum("bhts,bhsd->bhtd", shares.astype(v.dtype), v, preferred_element_type=jnp.float32) / total
    return y.astype(v.dtype).swapaxes(1, 2)


class LayerNorm(nnx.LayerNorm):
    """Flax's layer norm, whose statistics are float32 whatever its dtype is: it relies on dtype promotion."""

    def __call__(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows width"]:
        with jax.numpy_dtype_promotion("standard"):
            return super().__call__(x)


class Block(nnx.Module):
    """A pre-norm residual block: `x += attention(ln_1(x)); x += mlp(ln_2(x))`.

    selected: tokens whose output is computed (requires causal=False); the others serve as keys and values only.
    mask: whether a token of `x` (axis 1) attends to a token (axis 2) of `cache`, if given, and then of `x`.
    value_scale: factors on the values of the tokens of `x`, for each head (`clip.saliency`).
    """

    def __init__(self, tower: VisionConfig | TextConfig, activation: str, eps: float, *, dtype, rngs: nnx.Rngs):
        width, layers = tower.width, tower.layers
        self.ln_1 = LayerNorm(width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.attention = Attention(width, tower.heads, layers, dtype=dtype, rngs=rngs)
        self.ln_2 = LayerNorm(width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.mlp_in = linear(width, tower.mlp_width, (2 * width) ** -0.5, dtype=dtype, rngs=rngs)
        self.mlp_out = linear(tower.mlp_width, width, (2 * layers * width) ** -0.5, dtype=dtype, rngs=rngs)
        self.activation = activation

    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        *,
        causal: bool,
        selected: Selection = None,
        mask: Bool[Array, "batch tokens seen"] | None = None,
        cache: KVCache | None = None,
        value_scale: Float[Array, "batch tokens heads"] | None = None,
    ):
        x = _select(x, selected) + self.attention(
            self.ln_1(x), causal=causal, selected=selected, mask=mask, cache=cache, value_scale=value_scale
        )
        return x + self.mlp_out(ACTIVATIONS[self.activation](self.mlp_in(self.ln_2(x))))


class Transformer(nnx.Module):
    """The blocks of a tower: all but the last with parameters stacked on a leading axis, and the last one.

    The stack is scanned, so one body is compiled whatever the depth. The last block is separate because it computes the
    selected tokens only, and because it, or its MLP, can be trained without the others.
    """

    def __init__(
        self,
        tower: VisionConfig | TextConfig,
        activation: str,
        eps: float,
        *,
        causal: bool,
        dtype,
        rngs: nnx.Rngs,
    ):
        self.causal, self.layers, self.dtype, self.remat = causal, tower.layers, dtype, False

        def block(rngs: nnx.Rngs) -> Block:
            return Block(tower, activation, eps, dtype=dtype, rngs=rngs)

        stacked = nnx.split_rngs(splits=self.layers)(nnx.vmap(block, axis_size=self.layers))
        graph, stack = nnx.split(stacked(rngs))
        self.blocks, self.last = (
            nnx.merge(graph, jax.tree.map(lambda leaf, at=at: leaf[at], stack)) for at in (slice(-1), -1)
        )

    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        *,
        start: int = 0,
        stop: int | None = None,
        selected: Selection = None,
        beside: Float[Array, "layers count width"] | None = None,
        mask: Bool[Array, "batch tokens seen"] | None = None,
        cache: KVCache | None = None,
        value_scale: Float[Array, "layers batch tokens heads"] | None = None,
    ) -> Float[Array, "batch some width"]:
        """Runs blocks `start` to `stop`.

        selected: tokens whose output the tower's last block computes.
        beside: tokens of each block that serve as keys and values in that block only.
        mask: replaces the causal mask; its last axis is the tokens of `cache`, then of `x`.
        value_scale: factors on the values of the tokens of `x`, for each block that runs.
        """
        stop = self.layers if stop is None else stop
        graph, stack = nnx.split(self.blocks)
        if (start, stop) != (0, self.layers):
            stack = jax.tree.map(lambda leaf: leaf[start:stop], stack)

        def run(
            block: Block,
            x: Array,
            tokens: Array | None,
            before: KVCache | None,
            scale: Array | None,
            selected: Selection = None,
        ) -> Array:
            if tokens is not None:
                before = block.attention.keys_and_values(block.ln_1(tokens[None].astype(self.dtype)))
            causal = self.causal and mask is None
            return block(x, causal=causal, selected=selected, mask=mask, cache=before, value_scale=scale)

        def body(x, layer):
            weights, *own = layer
            return run(nnx.merge(graph, meshes.one_block(weights, self.dtype)), x, *own), None

        # The backward pass saves a block's input and its products with weights; recomputing the rest costs less than
        # writing and reading it. With `remat` only the block's input is saved.
        policy = None if self.remat else jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        keep_products = functools.partial(jax.checkpoint, policy=policy)
        # On CPUs the loop is unrolled, because a loop copies what it saves for the backward pass; but not with `remat`,
        # which needs the loop to recompute block by block.
        unroll = meshes.platform() == "cpu" and meshes.UNROLLED.value and not self.remat
        unroll = unroll and not meshes.FSDP.value
        of_stack, of_last = (beside, cache, value_scale), (None, None, None)
        if stop == self.layers:
            of_stack, of_last = (jax.tree.map(lambda leaf, at=at: leaf[at], of_stack) for at in (slice(-1), -1))
        x, _ = jax.lax.scan(keep_products(body), x, (stack, *of_stack), unroll=unroll)
        if stop < self.layers:
            return x
        return keep_products(lambda x, own: run(self.last, x, *own, selected=selected))(x, of_last)

    def block(self, number: int) -> Block:
        """Returns block `number`, from 0 to `layers` - 1."""
        if number == self.layers - 1:
            return self.last
        graph, stack = nnx.split(self.blocks)
        return nnx.merge(graph, jax.tree.map(lambda leaf: leaf[number], stack))

    def prefill(self, x: Float[Array, "batch tokens width"]) -> KVCache:
        """Returns the KV cache of tokens: their keys and values in every block."""
        graph, stack = nnx.split(self.blocks)

        def body(x, weights):
            block = nnx.merge(graph, weights)
            return block(x, causal=self.causal), block.attention.keys_and_values(block.ln_1(x))

        x, of_stack = jax.lax.scan(body, x, stack)
        last = self.last.attention.keys_and_values(self.last.ln_1(x))
        return jax.tree.map(lambda layers, layer: jnp.concatenate([layers, layer[None]]), of_stack, last)
