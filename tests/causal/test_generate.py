"""Greedy continuations against transformers' `generate`, in batches of ragged prompts."""

import numpy as np
import pytest

from ecor_jax.causal.generate import WIDTH_STEP, Continuation, continue_greedily, generate
from ecor_jax.causal.weights import read_decoder

torch = pytest.importorskip("torch")

rng = np.random.default_rng(3)
PROMPTS = [rng.integers(3, 97, length).tolist() for length in (1, 7, 19, 130)]
NEW = 24


def reference_answer(model, prompt, end_ids) -> Continuation:
    """By transformers, one prompt at a time, no padding."""
    ids = torch.tensor([prompt])
    options = {"do_sample": False, "max_new_tokens": NEW, "eos_token_id": list(end_ids), "pad_token_id": 0}
    found = model.generate(ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :].tolist()
    ended = found[-1] in end_ids
    return Continuation(tuple(found[:-1] if ended else found), ended)


@pytest.mark.parametrize("variant", ["mistral", "mistral, window", "llama, scaled", "qwen2", "qwen2, tied"])
def test_answers_are_those_of_transformers(variant, models):
    reference, directory = models(variant)
    free = [reference_answer(reference, prompt, (96,)) for prompt in PROMPTS]
    # Tokens that the answers hold somewhere, so that some end early and some do not.
    end_ids = (free[0].ids[5], free[2].ids[11])
    expected = [reference_answer(reference, prompt, end_ids) for prompt in PROMPTS]
    assert any(answer.ended for answer in expected)
    assert len({answer.ids for answer in expected}) > 1
    # One row more than there are prompts.
    assert generate(read_decoder(directory), PROMPTS, rows=5, new_tokens=NEW, end_ids=end_ids) == expected


def test_a_bound_cuts_off_and_an_end_at_once_is_an_empty_answer(models):
    decoder = read_decoder(models("llama")[1])
    (free,) = generate(decoder, PROMPTS[1:2], rows=1, new_tokens=5, end_ids=[96])
    assert len(free.ids) == 5 and not free.ended
    assert generate(decoder, PROMPTS[1:2], rows=1, new_tokens=5, end_ids=[free.ids[0]]) == [Continuation((), True)]
    # The last token allowed may be the end.
    at = free.ids.index(free.ids[4])
    (cut,) = generate(decoder, PROMPTS[1:2], rows=1, new_tokens=at + 1, end_ids=[free.ids[4]])
    assert cut == Continuation(free.ids[:at], True)


def test_one_program_serves_all_prompts_of_a_width(models):
    decoder = read_decoder(models("llama")[1])
    before = continue_greedily._cache_size()
    for length in (3, 90, WIDTH_STEP):
        generate(decoder, [[5] * length], rows=2, new_tokens=6, end_ids=[2])
    assert continue_greedily._cache_size() == before + 1
    generate(decoder, [[5] * (WIDTH_STEP + 1)], rows=2, new_tokens=6, end_ids=[2])
    assert continue_greedily._cache_size() == before + 2
