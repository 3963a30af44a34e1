"""The text tower of CLIP and SigLIP: token ids to text embeddings."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.transformer import KVCache, LayerNorm, Transformer, linear


def eot_positions(ids: Int[Array, "batch tokens"], eot_id: int | None) -> Int[Array, "batch"]:
    """Returns the position of the end-of-text token of each row, by the convention of `TextConfig.eot_id`."""
    return jnp.argmax(ids if eot_id is None else ids == eot_id, axis=-1)


class TextTower(nnx.Module):
    """A text transformer that pools one token, after a final layer norm, and projects it to an unnormalised embedding.

    `TextConfig` sets the pooled token and whether attention is causal.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        text, eps = config.text, config.layer_norm_eps
        self.eot_id, self.padded, self.dtype = text.eot_id, text.padded, dtype
        self.token_embedding = nnx.Param(0.02 * rngs.params.normal((text.vocab_size, text.width)))
        self.position_embedding = nnx.Param(0.01 * rngs.params.normal((text.context_length, text.width)))
        activation = text.activation or config.activation
        self.transformer = Transformer(text, activation, eps, causal=text.causal, dtype=dtype, rngs=rngs)
        self.ln_final = LayerNorm(text.width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.projection = linear(text.width, config.embed_dim, use_bias=text.projection_bias, dtype=dtype, rngs=rngs)

    def __call__(self, ids: Int[Array, "batch tokens"]) -> Float[Array, "batch embed"]:
        """Embeds rows of at most `context_length` ids, or exactly that many if the tower pads texts.

        For a causal tower pooled at EOT, columns after the last EOT of the batch may be omitted without changing the
        result.
        """
        x = (self.token_embedding[...][ids] + self.position_embedding[None, : ids.shape[1]]).astype(self.dtype)
        if self.padded:
            if ids.shape[1] != len(self.position_embedding[...]):
                raise ValueError(f"texts have {ids.shape[1]} ids; expected {len(self.position_embedding[...])}, padded")
            return self.project(self.transformer(x, selected=slice(-1, None))[:, 0])
        x = self.transformer(x)
        eot = eot_positions(ids, self.eot_id)
        x = jnp.take_along_axis(x, eot[:, None, None], axis=1)[:, 0]
        return self.project(x)

    def at(
        self,
        selected: Int[Array, "batch count"],
        ids: Int[Array, "batch tokens"],
        positions: Int[Array, "batch tokens"],
        mask: Bool[Array, "batch tokens seen"],
        cache: KVCache | None,
    ) -> Float[Array, "batch count embed"]:
        """Embeds the tokens at the `selected` positions of each row; only these are computed in the last block.

        mask: whether a token of the row (axis 1) attends to a token (axis 2) of `cache`, if given, and then of the row.
        """
        x = self.token_embedding[...][ids] + self.position_embedding[...][positions]
        return self.project(self.transformer(x.astype(self.dtype), selected=selected, mask=mask, cache=cache))

    def prefill(self, ids: Int[Array, "batch tokens"]) -> KVCache:
        """Returns the KV cache of tokens at positions 0, 1, ..."""
        x = self.token_embedding[...][ids] + self.position_embedding[None, : ids.shape[1]]
        return self.transformer.prefill(x.astype(self.dtype))

    def project(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows embed"]:
        """Applies the final layer norm and the projection to outputs of the last block; returns float32."""
        return self.projection(self.ln_final(x)).astype(jnp.float32)
