"""Texts of pairs: made when asked for, and tokenized by halves where, and only where, that is the same."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, trainers
from transformers import PreTrainedTokenizerFast

from ecor_jax.checkpoints.tokenizer_files import openai_tokenizer
from ecor_jax.clip.tokenizer import END, START, TextTooLong, learn_tokenizer, tokenize
from ecor_jax.features import pair_texts
from ecor_jax.features.pair_texts import PairTexts, token_source

WORDS = {
    "c": ["cat", "grey seal", "dog"],
    "r": ["a long tail", "it's wet;", "4 legs", "a tail (long)", "naïve 🙂", "é"],
}
CAPTIONS = ["this is a photo of a cat because there is a long tail.", "a dog with four legs and a wet nose"]


def test_texts_are_numbered_by_the_letter_that_comes_first():
    texts = PairTexts("{r} of a {c}", WORDS)
    assert len(texts) == 18
    assert texts[0] == "a long tail of a cat" and texts[4] == "it's wet; of a grey seal"
    assert list(texts) == [f"{r} of a {c}" for r in WORDS["r"] for c in WORDS["c"]]
    assert texts[-1] == "é of a dog" and texts[16:40] == [texts[16], texts[17]]
    with pytest.raises(IndexError):
        texts[18]


def across_words() -> PreTrainedTokenizerFast:
    """Byte pairs that are merged over white space too."""
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.train_from_iterator(CAPTIONS * 3, trainers.BpeTrainer(vocab_size=300, special_tokens=["?", START, END]))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END)


@pytest.fixture(scope="module")
def tokenizers(shared_data):
    return {
        "openai": openai_tokenizer(shared_data / "clip" / "bpe_simple_vocab_16e6.txt.gz", 77),
        "learned": learn_tokenizer(CAPTIONS, 512, 77),
        "across words": across_words(),
    }


@pytest.mark.parametrize("name", ["openai", "learned", "across words"])
@pytest.mark.parametrize(
    ("template", "cut"),
    [
        ("This is a photo of a {c} because there is {r}", True),
        ("This is a photo of a {c} because there is {r}.", True),
        ("There is {r}: this is a photo of  a {c}!", True),
        ("{r} {c}", True),
        ("{c}, ({r})", True),
        ("{c}/{r}", False),
        ("{c} has {r}, {c}", False),
        ("{r}-{c} of", False),
    ],
)
def test_tokens_are_those_of_the_whole_texts(tokenizers, name, template, cut, monkeypatch):
    texts, whole = PairTexts(template, WORDS), []
    monkeypatch.setattr(pair_texts, "tokenize", lambda *given, **more: whole.append(1) or tokenize(*given, **more))
    tokens = token_source(tokenizers[name], texts, 200)
    to_context = token_source(tokenizers[name], texts, 200, padded=True)
    for start, stop in ((0, 18), (5, 7), (17, 18)):
        found, expected = tokens(start, stop), tokenize(tokenizers[name], texts[start:stop], 200)
        np.testing.assert_array_equal(found, expected)
        found, padded = to_context(start, stop), tokenize(tokenizers[name], texts[start:stop], 200, padded=True)
        np.testing.assert_array_equal(found, padded)
        assert found.shape[1] == 200 and (found[:, expected.shape[1] :] == tokenizers[name].pad_token_id).all()
    # Of some templates even that tokenizer's halves make the whole.
    if name != "across words" or template.startswith("This"):
        assert bool(whole) == (not cut or name == "across words")


def test_tokens_of_published_rationales(shared_data, tokenizers):
    """Of every class with every rationale."""
    lists = json.loads((shared_data / "rationales" / "cifar10_text.json").read_text())
    words = {"c": list(lists), "r": sorted({text for texts in lists.values() for text in texts})}
    for template in ("This is a photo of a {c} because there is {r}.", "There is {r} because this is a photo of a {c}"):
        texts = PairTexts(template, words)
        found = token_source(tokenizers["openai"], texts, 77)(0, len(texts))
        np.testing.assert_array_equal(found, tokenize(tokenizers["openai"], texts, 77))


def test_texts_that_are_too_long_are_named_before_any_are_encoded(tokenizers):
    texts = PairTexts("a {c} with {r}", {"c": ["cat", "cat " * 60], "r": ["fur", "legs " * 16, "tails " * 80]})
    with pytest.raises(TextTooLong, match=r"'a cat with tails .* has .* tokens \(and 2 more") as caught:
        token_source(tokenizers["openai"], texts, 77)
    assert caught.value.texts == [texts[2], texts[4], texts[5]]
