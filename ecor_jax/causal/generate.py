"""Greedy continuation of prompts in batches: one compiled program a shape, whatever the prompts."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ecor_jax.causal.model import Decoder

# Prompts are padded to a multiple of this many tokens, so that few widths are compiled.
WIDTH_STEP = 128


class Continuation(NamedTuple):
    """What followed a prompt, up to a token that ends; `ended` is False if the bound on tokens cut it off."""

    ids: tuple[int, ...]
    ended: bool


def generate(
    decoder: Decoder, prompts: Sequence[Sequence[int]], *, rows: int, new_tokens: int, end_ids: Sequence[int]
) -> list[Continuation]:
    """The greedy continuation of each of at most `rows` prompts, by at most `new_tokens` tokens.

    Prompts are not empty; the caller has seen to it that each fits, with `new_tokens` more, into the context.
    """
    assert 0 < len(prompts) <= rows and all(prompts)
    width = -(-max(map(len, prompts)) // WIDTH_STEP) * WIDTH_STEP
    ids, first = np.zeros((rows, width), np.int32), np.full(rows, width - 1, np.int32)
    for row, prompt in enumerate(prompts):
        first[row] = width - len(prompt)
        ids[row, first[row] :] = prompt
    # Rows without a prompt have nothing to say.
    silent = np.arange(rows) >= len(prompts)
    found, ended = jax.device_get(continue_greedily(decoder, ids, first, silent, new_tokens, tuple(end_ids)))
    return [_until_end(found[row], bool(ended[row]), end_ids) for row in range(len(prompts))]


@functools.partial(jax.jit, static_argnames=("new_tokens", "end_ids"))
def continue_greedily(
    decoder: Decoder,
    ids: Int[Array, "batch tokens"],
    first: Int[Array, "batch"],
    done: Bool[Array, "batch"],
    new_tokens: int,
    end_ids: tuple[int, ...],
) -> tuple[Int[Array, "batch new_tokens"], Bool[Array, "batch"]]:
    """The likeliest next token, `new_tokens` times or until every row is done; and which rows came to an end.

    first: slots before it are padding, as of Decoder. done: rows to leave alone. Tokens after the end are 0.
    """
    width, ends = ids.shape[1], jnp.asarray(end_ids, jnp.int32)

    def choose(x, done):
        token = jnp.where(done, 0, jnp.argmax(decoder.logits(x[:, -1]), axis=-1).astype(jnp.int32))
        return token, done | (token[:, None] == ends).any(axis=1)

    def unfinished(state):
        count, done = state[0], state[3]
        return (count < new_tokens) & ~done.all()

    def step(state):
        count, found, token, done, cache = state
        x, cache = decoder(token[:, None], first, cache, width + count - 1)
        token, done = choose(x, done)
        return count + 1, found.at[:, count].set(token), token, done, cache

    x, cache = decoder(ids, first, decoder.empty_cache(len(ids), width + new_tokens))
    token, ended = choose(x, done)
    found = jnp.zeros((len(ids), new_tokens), jnp.int32).at[:, 0].set(token)
    state = jax.lax.while_loop(unfinished, step, (jnp.int32(1), found, token, ended, cache))
    return state[1], state[3]


def _until_end(ids: np.ndarray, ended: bool, end_ids: Sequence[int]) -> Continuation:
    ends = np.flatnonzero(np.isin(ids, list(end_ids)))
    return Continuation(tuple(ids[: ends[0]].tolist() if ended else ids.tolist()), ended)
