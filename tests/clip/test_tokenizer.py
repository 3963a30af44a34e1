"""CLIP's vocabulary against a slow version of OpenAI's algorithm, and tokenizers learned from captions."""

import gzip
import html
import itertools
import json

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from ecor_jax.checkpoints.tokenizer_files import openai_tokenizer
from ecor_jax.clip.tokenizer import END, START, ids_of, learn_tokenizer, tokenize
from ecor_jax.errors import UserError

CAPTIONS = ["A photo of a dog, it has 4 legs.", "this is a photo of a cat because there is a tail"] * 4


class SlowTokenizer:
    """OpenAI's simple_tokenizer.py as its authors describe it, one merge at a time; without ftfy's repairs.

    ftfy replaces look-alikes (curly quotes, ligatures, full-width letters) before anything else;
    transformers does not, so that texts with them get other ids than OpenAI's code gives.
    """

    def __init__(self, merges_file):
        lines = gzip.decompress(merges_file.read_bytes()).decode().split("\n")
        merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
        printable = [
            *range(ord("!"), ord("~") + 1),
            *range(ord("¡"), ord("¬") + 1),
            *range(ord("®"), ord("ÿ") + 1),
        ]
        others = [byte for byte in range(256) if byte not in printable]
        self.symbols = {byte: chr(byte) for byte in printable}
        self.symbols |= {byte: chr(256 + place) for place, byte in enumerate(others)}
        letters = [self.symbols[byte] for byte in [*printable, *others]]
        tokens = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
        self.ids = {token: number for number, token in enumerate([*tokens, START, END])}
        self.ranks = {merge: rank for rank, merge in enumerate(merges)}
        self.words = regex.compile(
            r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
            regex.IGNORECASE,
        )

    def __call__(self, text: str) -> list[int]:
        text = html.unescape(html.unescape(text)).strip()
        text = regex.sub(r"\s+", " ", text).strip().lower()
        ids = [self.ids[START]]
        for word in self.words.findall(text):
            ids += [self.ids[token] for token in self.merged(word)]
        return [*ids, self.ids[END]]

    def merged(self, word: str) -> list[str]:
        if word in (START, END):
            return [word]
        letters = [self.symbols[byte] for byte in word.encode("utf-8")]
        letters[-1] += "</w>"
        while True:
            pairs = set(itertools.pairwise(letters)) & self.ranks.keys()
            if not pairs:
                return letters
            best, joined, place = min(pairs, key=self.ranks.__getitem__), [], 0
            while place < len(letters):
                step = 2 if tuple(letters[place : place + 2]) == best else 1
                joined.append("".join(letters[place : place + step]))
                place += step
            letters = joined


@pytest.fixture(scope="module")
def merges_file(shared_data):
    return shared_data / "clip" / "bpe_simple_vocab_16e6.txt.gz"


@pytest.fixture(scope="module")
def clip_tokenizer(merges_file):
    return openai_tokenizer(merges_file, 77)


@pytest.fixture(scope="module")
def slow_tokenizer(merges_file):
    return SlowTokenizer(merges_file)


def test_known_ids(clip_tokenizer):
    # As printed by `clip.tokenize("a diagram")` and quoted in OpenAI's and Hugging Face's documentation.
    assert clip_tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert clip_tokenizer("a diagram").input_ids == [49406, 320, 22697, 49407]


OTHER_SCRIPTS_AND_SIGNS = [
    "It's   the dogs' dinner; they'll've eaten\tit\n",
    "naïve café, ÅNGSTRÖM and Ærø",
    "日本語のテキスト と 한국어",
    "Καλημέρα κόσμε, привет мир, שלום, مرحبا",
    "🙂 emoji 👩‍👩‍👧 and ½ or ² of №5",
    "1234567890 3.14 1e-5 A4",
    "don''t ''' !!! ?!'s $$$ --- ...",
    "a<|endoftext|>b",
    "x" * 60,
]


def test_texts_are_tokenized_as_openai_does(shared_data, clip_tokenizer, slow_tokenizer):
    descriptions = json.loads((shared_data / "descriptors" / "descriptors_cub.json").read_text())
    names = json.loads((shared_data / "clip" / "names.json").read_text())
    texts = [*names["lvis"], *(text for texts in descriptions.values() for text in texts), *OTHER_SCRIPTS_AND_SIGNS]
    assert len(texts) > 2000
    assert clip_tokenizer(texts).input_ids == [slow_tokenizer(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(min_codepoint=9, max_codepoint=126, exclude_characters="&\x1c\x1d\x1e\x1f")))
@example(text="'S'T'RE")
def test_any_ascii_text(text, clip_tokenizer, slow_tokenizer):
    # "&" may begin an HTML entity, which only OpenAI's code resolves.
    assert clip_tokenizer(text).input_ids == slow_tokenizer(text)


def test_tokenize_pads_to_the_longest_with_zeros(clip_tokenizer):
    ids = tokenize(clip_tokenizer, ["a", "a cat"], 77)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, [[49406, 320, 49407, 0], [49406, 320, 2368, 49407]])


def test_too_long_and_empty_texts_are_refused():
    tokenizer = learn_tokenizer(CAPTIONS, 400, 8)
    tokenize(tokenizer, ["a dog"], 8)
    with pytest.raises(UserError, match=r"'a dog a dog.* tokens.* reads at most 8"):
        tokenize(tokenizer, ["a dog", "a dog a dog a dog a dog a dog"], 8)
    with pytest.raises(UserError, match="empty"):
        tokenize(tokenizer, ["a dog", "  "], 8)


def test_a_learned_tokenizer_obeys_both_conventions_and_survives_a_save(tmp_path):
    tokenizer = learn_tokenizer(CAPTIONS, 300, 32)
    assert 258 < len(tokenizer) <= 300
    end = tokenizer.eos_token_id
    assert end == len(tokenizer) - 1
    text = "A Photo of an É 🙂, never seen!"
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == end == max(ids) and ids.count(end) == 1
    assert tokenizer(text.lower()).input_ids == ids
    assert str(tokenizer.decode(ids, skip_special_tokens=True)).strip() == text.lower()
    assert learn_tokenizer(CAPTIONS, 300, 32).get_vocab() == tokenizer.get_vocab()
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == ids


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("it\u2019s a \u201ccat\u201d", 'it\'s a "cat"'),
        ("salt &amp; pepper", "salt & pepper"),
        ("salt &amp;amp; pepper", "salt & pepper"),
        ("\ufb01sh and \ufb02ukes", "fish and flukes"),
        ("caf\u00c3\u00a9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("a cat\x1b[31m", "a cat"),
    ],
)
def test_openais_vocabulary_reads_texts_mended_as_openais_tokenizer_does(text, mended, clip_tokenizer):
    """The right sides are by hand, from ftfy's documentation."""
    assert ids_of(clip_tokenizer, [text]) == clip_tokenizer([mended])["input_ids"]
    learned = learn_tokenizer([text], 300, 77)
    assert ids_of(learned, [text]) == learned([text])["input_ids"]
