"""A causal decoder of Llama's family, run over a cache of keys and values; its layers are stacked and scanned."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.causal.config import CausalConfig


class Cache(NamedTuple):
    """Keys (rotated) and values of every layer, a slot a token: [layers, batch, slots, kv_heads, head_size]."""

    keys: Array
    values: Array


def rotate(
    x: Float[Array, "batch tokens heads size"], angles: Float[Array, "batch tokens half"]
) -> Float[Array, "batch tokens heads size"]:
    """Rotary positions (Su et al. 2021) in the pairing of Hugging Face's files: number i with i + size / 2."""
    cos, sin = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]
    left, right = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1).astype(x.dtype)


class Block(nnx.Module):
    """Pre-norm residual block: `x += attention(norm_1(x)); x += down(silu(gate(norm_2(x))) * up(norm_2(x)))`."""

    def __init__(self, config: CausalConfig, *, dtype, rngs: nnx.Rngs):
        def linear(inputs: int, outputs: int, bias: bool = False) -> nnx.Linear:
            init = nnx.initializers.normal(0.02)
            return nnx.Linear(
                inputs, outputs, use_bias=bias, kernel_init=init, dtype=dtype, param_dtype=dtype, rngs=rngs
            )

        def norm() -> nnx.RMSNorm:
            return nnx.RMSNorm(config.width, epsilon=config.norm_eps, dtype=dtype, param_dtype=dtype, rngs=rngs)

        self.head_size = config.head_size
        queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
        self.norm_1, self.norm_2 = norm(), norm()
        self.query = linear(config.width, queries, config.qkv_bias)
        self.key, self.value = (linear(config.width, keys, config.qkv_bias) for _ in range(2))
        self.out = linear(queries, config.width)
        self.gate, self.up = (linear(config.width, config.mlp_width) for _ in range(2))
        self.down = linear(config.mlp_width, config.width)

    def __call__(
        self,
        x: Float[Array, "batch tokens width"],
        angles: Float[Array, "batch tokens half"],
        visible: Bool[Array, "batch 1 tokens slots"],
        cache: Cache,
        layer: Int[Array, ""],
        at: Int[Array, ""],
    ) -> tuple[Float[Array, "batch tokens width"], Cache]:
        """Writes the tokens' keys and values into the slots from `at` on of this layer, and attends to all slots."""
        h = self.norm_1(x)
        q, k, v = (y.reshape(*y.shape[:-1], -1, self.head_size) for y in (self.query(h), self.key(h), self.value(h)))
        cache = Cache(
            *(
                jax.lax.dynamic_update_slice(slots, new[None], (layer, 0, at, 0, 0))
                for slots, new in zip(cache, (rotate(k, angles), v), strict=True)
            )
        )
        # Query head i looks with key and value head i // (heads / kv_heads); softmax in float32.
        seen = jax.nn.dot_product_attention(rotate(q, angles), cache.keys[layer], cache.values[layer], mask=visible)
        x = x + self.out(seen.reshape(*x.shape[:-1], -1))
        h = self.norm_2(x)
        return x + self.down(jax.nn.silu(self.gate(h)) * self.up(h)), cache


class Decoder(nnx.Module):
    """Token ids to next-token logits. Parameters have the type it computes in, `dtype`; logits are float32."""

    def __init__(self, config: CausalConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        self.config, self.dtype = config, dtype

        @nnx.split_rngs(splits=config.layers)
        @nnx.vmap(axis_size=config.layers)
        def stacked(rngs: nnx.Rngs) -> Block:
            return Block(config, dtype=dtype, rngs=rngs)

        def table() -> nnx.Param:
            return nnx.Param(0.02 * rngs.params.normal((config.vocab_size, config.width), dtype))

        self.blocks = stacked(rngs)
        self.norm = nnx.RMSNorm(config.width, epsilon=config.norm_eps, dtype=dtype, param_dtype=dtype, rngs=rngs)
        self.token_embedding = table()
        if not config.tied:
            self.head = table()

    def empty_cache(self, batch: int, slots: int) -> Cache:
        """A cache for `batch` rows of up to `slots` tokens."""
        config = self.config
        shape = (config.layers, batch, slots, config.kv_heads, config.head_size)
        return Cache(jnp.zeros(shape, self.dtype), jnp.zeros(shape, self.dtype))

    def __call__(
        self,
        ids: Int[Array, "batch tokens"],
        first: Int[Array, "batch"],
        cache: Cache,
        at: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, "batch tokens width"], Cache]:
        """Runs `ids`, which stand in the slots from `at` on, over what the cache holds of the slots before.

        `first[i]` is the slot of row i's first token: slots before it are padding, which no token looks at and
        which counts for no position. What comes out for padding itself means nothing.
        """
        slots = at + jnp.arange(ids.shape[1])
        positions = jnp.maximum(slots - first[:, None], 0)
        angles = positions[..., None].astype(jnp.float32) * self.config.frequencies()
        visible = self._visible(slots, first, cache.keys.shape[2])
        graph, stack = nnx.split(self.blocks)

        def body(carry, layer):
            weights, number = layer
            return nnx.merge(graph, weights)(carry[0], angles, visible, carry[1], number, jnp.asarray(at)), None

        start = (self.token_embedding[...][ids], cache)
        (x, cache), _ = jax.lax.scan(body, start, (stack, jnp.arange(self.config.layers)))
        return self.norm(x), cache

    def logits(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows vocabulary"]:
        """Of what `__call__` returns."""
        table = self.token_embedding if self.config.tied else self.head
        return jnp.einsum("...w,vw->...v", x, table[...], preferred_element_type=jnp.float32)

    def _visible(
        self, slots: Int[Array, "tokens"], first: Int[Array, "batch"], count: int
    ) -> Bool[Array, "batch 1 tokens slots"]:
        others = jnp.arange(count)
        seen = others <= slots[:, None]
        if self.config.window is not None:
            seen &= others > slots[:, None] - self.config.window
        return (seen & (others >= first[:, None, None]))[:, None]
