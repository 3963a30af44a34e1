"""CLIP's text transformer."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.transformer import KVCache, Transformer, linear


def eot_positions(ids: Int[Array, "batch tokens"], eot_id: int | None) -> Int[Array, "batch"]:
    """Position of the end-of-text token of each row, by the convention TextConfig describes."""
    return jnp.argmax(ids if eot_id is None else ids == eot_id, axis=-1)


class TextTower(nnx.Module):
    """Token ids to unnormalised embeddings, read at one token after the final layer norm and projected.

    Which one, and who sees whom, is told by `TextConfig`.
    """

    def __init__(self, config: ClipConfig, *, dtype=jnp.float32, rngs: nnx.Rngs):
        text, eps = config.text, config.layer_norm_eps
        self.eot_id, self.padded, self.dtype = text.eot_id, text.padded, dtype
        self.token_embedding = nnx.Param(0.02 * rngs.params.normal((text.vocab_size, text.width)))
        self.position_embedding = nnx.Param(0.01 * rngs.params.normal((text.context_length, text.width)))
        activation = text.activation or config.activation
        self.transformer = Transformer(text, activation, eps, causal=text.causal, dtype=dtype, rngs=rngs)
        self.ln_final = nnx.LayerNorm(text.width, epsilon=eps, dtype=dtype, rngs=rngs)
        self.projection = linear(text.width, config.embed_dim, use_bias=text.projection_bias, dtype=dtype, rngs=rngs)

    def __call__(self, ids: Int[Array, "batch tokens"]) -> Float[Array, "batch embed"]:
        """Embeds rows of at most `context_length` ids; of exactly as many for a tower of padded texts.

        Of a causal tower, which is read at EOT, columns after the last EOT of the batch may be left out: the
        result is the same.
        """
        x = (self.token_embedding[...][ids] + self.position_embedding[: ids.shape[1]]).astype(self.dtype)
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
        """Embeddings of the tokens at the `selected` positions of each row; the last block is run for these alone.

        mask: where a token (second axis) attends to a token (third axis) of `cache`, if there is one, and then of its
        row.
        """
        x = self.token_embedding[...][ids] + self.position_embedding[...][positions]
        return self.project(self.transformer(x.astype(self.dtype), selected=selected, mask=mask, cache=cache))

    def prefill(self, ids: Int[Array, "batch tokens"]) -> KVCache:
        """The KV cache of these tokens."""
        x = self.token_embedding[...][ids] + self.position_embedding[: ids.shape[1]]
        return self.transformer.prefill(x.astype(self.dtype))

    def project(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows embed"]:
        """What comes out of the last block, to embeddings."""
        return self.projection(self.ln_final(x)).astype(jnp.float32)
