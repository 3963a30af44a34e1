"""Tokenization with a checkpoint's tokenizer, and training of new tokenizers from captions."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

import ftfy
import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ecor_jax.errors import UserError

START, END = "<|startoftext|>", "<|endoftext|>"


class TextTooLong(UserError):
    """Raised for texts with more tokens than the text tower reads; `texts` are the texts in question."""

    def __init__(self, texts: list[str], tokens: list[int], context_length: int):
        self.texts = texts
        more = f" (and {len(texts) - 1} more texts)" if len(texts) > 1 else ""
        super().__init__(f"{texts[0]!r} has {tokens[0]} tokens{more}; the text tower reads at most {context_length}")


OPENAI_VOCABULARY = 49408


def ids_of(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], **options: Any) -> list[list[int]]:
    """Returns the token ids of texts, without padding. With OpenAI's vocabulary it cleans texts as OpenAI does.

    Cleaning is ftfy's fix_text and unescaping of HTML entities (openai/CLIP's simple_tokenizer.py), which replace curly
    quotes, ligatures and `&amp;`.
    """
    if len(tokenizer) == OPENAI_VOCABULARY:
        texts = [_cleaned(text) for text in texts]
    return tokenizer(list(texts), verbose=False, **options)["input_ids"]  # type: ignore


def _cleaned(text: str) -> str:
    # Cleaning does not change printable ASCII without entities.
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    return html.unescape(html.unescape(ftfy.fix_text(text)))


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context_length: int, *, padded: bool = False
) -> np.ndarray:
    """Returns token ids, EOT included, as int32 [texts, longest], zero-padded to the longest text.

    padded: return [texts, context_length], padded with the tokenizer's padding token (`TextConfig.padded`).
    Raises UserError if a text is empty or has no tokens, and TextTooLong if texts have more than `context_length`
    tokens: texts are not truncated, because an explanation would then show words that were not read.
    """
    if not texts:
        raise ValueError("no texts to tokenize")
    encoded = ids_of(tokenizer, texts)
    if not all(text.strip() for text in texts):
        raise UserError("a text to encode is empty")
    specials = tokenizer.num_special_tokens_to_add()
    if empty := [text for text, ids in zip(texts, encoded, strict=True) if len(ids) <= specials]:
        raise UserError(f"the tokenizer leaves nothing of a text to encode, {empty[0]!r}")
    if long := [(text, len(ids)) for text, ids in zip(texts, encoded, strict=True) if len(ids) > context_length]:
        raise TextTooLong([text for text, _ in long], [tokens for _, tokens in long], context_length)
    # Towers without padding read nothing after EOT, and id 0 is never the largest of a row.
    width, fill = (context_length, tokenizer.pad_token_id) if padded else (max(map(len, encoded)), 0)
    batch = np.full((len(texts), width), fill, np.int32)
    for row, ids in zip(batch, encoded, strict=True):
        row[: len(ids)] = ids
    return batch


def learn_tokenizer(captions: Iterable[str], vocab_size: int, context_length: int) -> PreTrainedTokenizerFast:
    """Trains a lower-casing byte-level BPE tokenizer on `captions`.

    The vocabulary has at most `vocab_size` tokens, EOT last, so that both EOT conventions of `TextConfig` hold.
    """
    # Byte-level, so no text has unknown tokens.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.add_special_tokens([START, END])
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, start), (END, end)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=context_length,
    )
