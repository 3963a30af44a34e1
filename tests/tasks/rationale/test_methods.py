"""Each method's prompts, word by word, and the shapes of its banks."""

import itertools

import numpy as np
import pytest

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale import methods
from ecor_jax.tasks.rationale.joint import TopPairs
from ecor_jax.tasks.rationale.methods import (
    METHODS,
    categories_and_rationales,
    find_methods,
    make_banks,
    over_context,
    with_templates,
)

WORDS = Vocabulary.from_lists({"cat": ["a long tail", "whiskers"], "dog": ["a long tail", "a wet nose"]})

# From the table of prompts in the papers and DROR's code: outer ones, pairs of shape [outer, inner] by two examples.
OUTER = ["There is a long tail.", "There is whiskers.", "There is a wet nose."]
EXPECTED = {
    "clip": (None, (3, 2), {(2, 0): "This is a photo of a cat because there is a wet nose"}),
    "dror": (None, (3, 2), {(0, 1): "This is a photo of a dog because there is a long tail"}),
    "ecor": (
        OUTER,
        (3, 2),
        {(1, 0): "This is a photo of a cat because there is whiskers."},
    ),
    "ecor_reversed": (
        ["This is a photo of a cat", "This is a photo of a dog"],
        (2, 3),
        {(0, 2): "This is a photo of a cat because there is a wet nose."},
    ),
    "ecor_independent": (
        OUTER,
        (1, 2),
        {(0, 0): "This is a photo of a cat", (0, 1): "This is a photo of a dog"},
    ),
    "ecor_false_condition": (
        OUTER,
        (3, 2),
        {(2, 1): "There is a wet nose because this is a photo of a dog"},
    ),
    **dict.fromkeys(
        ("cci", "cci_cone", "cci_mean", "cci_tuned"), (OUTER, (1, 2), {(0, 0): "This is a photo of a cat"})
    ),
    "ecor_untuned": (OUTER, (3, 2), {(0, 1): "This is a photo of a dog because there is a long tail."}),
    "ecor_short": (["a long tail", "whiskers", "a wet nose"], (3, 2), {(1, 1): "dog with whiskers"}),
}


@pytest.fixture
def prompts(monkeypatch) -> list[list[str]]:
    """The texts that are encoded, call by call; text n of a call is embedded as [n, n]."""
    calls = []
    monkeypatch.setattr(methods, "check_memory", lambda *given: None)

    def embed(model, texts):
        calls.append(texts)
        return np.repeat(np.arange(len(texts), dtype=np.float32)[:, None], 2, axis=1)

    def embed_pairs(model, template, words, needed):
        assert list(needed) == []
        pairs = itertools.product(*words.values())
        bank = embed(model, [template.format(**dict(zip(words, pair, strict=True))) for pair in pairs])
        return bank.reshape(*map(len, words.values()), 2)

    monkeypatch.setattr(methods, "embed_texts", embed)
    monkeypatch.setattr(methods, "embed_pairs", embed_pairs)
    return calls


@pytest.mark.parametrize("name", METHODS)
def test_prompts_and_bank_shapes(name, prompts):
    outer, shape, examples = EXPECTED[name]
    model: object = None
    banks = make_banks(METHODS[name], model, WORDS)  # pyright: ignore
    assert (banks.outer is None) == (outer is None)
    if outer is not None and banks.outer is not None:
        assert prompts[0] == outer and banks.outer.tolist() == [[n, n] for n in range(len(outer))]
    texts = prompts[-1]
    assert banks.pair.shape == (*shape, 2)
    for (first, second), text in examples.items():
        assert texts[int(banks.pair[first, second, 0])] == text
    assert len(set(texts)) == shape[0] * shape[1]
    assert banks.sizes == ((2, 3) if name == "ecor_reversed" else (3, 2))
    assert METHODS[name].conditional == (shape[0] > 1)
    assert METHODS[name].tuned == (name not in ("clip", "ecor_untuned", "cci", "cci_cone", "cci_mean"))


def test_banks_of_a_real_tower_are_unit(clip):
    banks = make_banks(METHODS["ecor"], clip, WORDS)
    assert banks.outer is not None and banks.outer.shape == (3, 16) and banks.pair.shape == (3, 2, 16)
    np.testing.assert_allclose(np.linalg.norm(banks.pair, axis=-1), 1, rtol=1e-5)


def test_a_prompt_over_the_context_length_names_the_class_of_its_rationale(clip):
    long = "a tail " * 40 + "end"
    words = Vocabulary.from_lists({"cat": ["whiskers"], "dog": ["a wet nose"], "seal": [long, "whiskers"]})
    with pytest.raises(UserError, match=r"tokens.*reads at most 77.*rationales of class seal\)") as caught:
        make_banks(METHODS["ecor"], clip, words)
    assert "cat" not in str(caught.value).split("rationales of class")[1]


@pytest.mark.parametrize("name", METHODS)
def test_rationales_over_the_context_are_found_without_looking_at_all_pairs(clip, name):
    """By all pairs, slowly: what has a prompt that is too long with some class."""
    method = METHODS[name]
    lists = {"cat " * 12 + "cat": ["fur", "tail " * 25], "dog": ["nose " * 12, "legs " * 120], "seal": ["paws"]}
    words = Vocabulary.from_lists(lists)

    def tokens(template, c, r):
        text = template.format(c=c, r=r)
        return len(clip.tokenizer(text, verbose=False)["input_ids"]) if "{r}" in template else 0

    slow = [
        r
        for r in words.rationales
        if any(max(tokens(t, c, r) for t in (method.outer, method.pair)) > 77 for c in words.classes)
    ]
    assert over_context([method], clip, words) == tuple(slow)
    assert 0 < len(slow) < len(words.rationales)


@pytest.mark.parametrize("names", [(), ("ecor", "ecr"), ("ECOR",)])
def test_an_unknown_method_is_named_with_all_there_are(names):
    assert find_methods(("ecor", "clip")) == {"ecor": METHODS["ecor"], "clip": METHODS["clip"]}
    with pytest.raises(UserError, match="expected one or several of clip, dror, ecor, ecor_reversed") as caught:
        find_methods(names)
    assert repr(",".join(names)) in str(caught.value)


def test_templates_replace_the_prompts_they_are_given_for():
    changed = with_templates(METHODS["ecor"], "", "a {c} showing {r}")
    assert (changed.outer, changed.pair) == ("There is {r}.", "a {c} showing {r}")
    assert with_templates(METHODS["ecor"], "", "") == METHODS["ecor"]
    assert with_templates(METHODS["ecor"], "I see {r}", "").outer == "I see {r}"
    # A conditional method whose new prompt leaves the rationale out is one no longer.
    assert not with_templates(METHODS["ecor"], "", "a {c}").conditional
    with pytest.raises(UserError, match=r"templates\.outer is .*expected \{c\} and \{r\}"):
        with_templates(METHODS["ecor"], "a {d}", "")


def test_ids_of_categories_and_rationales_by_the_order_of_the_factors():
    pairs = TopPairs(np.array([[0, 2]]), np.array([[1, 1]]), np.zeros((1, 2)))  # pyright: ignore
    for name, expected in {
        "ecor": [[1, 1], [0, 2]],
        "dror": [[1, 1], [0, 2]],
        "ecor_reversed": [[0, 2], [1, 1]],
    }.items():
        found = categories_and_rationales(METHODS[name], pairs)
        assert [numbers.tolist() for numbers in found] == [[numbers] for numbers in expected]


def test_a_bank_that_exceeds_the_memory_says_what_it_would_take(clip):
    with pytest.raises(UserError, match=r"of 1,000,000,000,000 pairs take .* GiB; .* GiB of memory are free"):
        methods.check_memory(10**12, clip)
    methods.check_memory(1, clip)


def test_a_condition_in_the_space_of_embeddings_has_no_prompt_of_both():
    assert with_templates(METHODS["cci"], "{r}", "a {c}").pair == "a {c}"
    with pytest.raises(UserError, match=r"templates\.pair is 'a {c} with {r}' for a method that conditions by 'plane'"):
        with_templates(METHODS["cci"], "", "a {c} with {r}")
