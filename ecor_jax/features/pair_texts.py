"""Texts of a template and every pair of two lists of words: made, and tokenized, when they are asked for."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from ecor_jax.clip.tokenizer import TextTooLong, ids_of, tokenize

_NAMED = 1000
"""Texts that are too long of which an error speaks at most; there may be millions."""

Tokens = Callable[[int, int], Int[np.ndarray, "texts tokens"]]
"""Of texts a to b, ids as `tokenize` gives them."""


class PairTexts(Sequence[str]):
    """The template with every pair of words in the place of two letters in braces, such as {c} and {r}.

    Text `n` has word `n // len(second)` of the letter that comes first in the template, and word `n % len(second)` of
    the other: neighbours begin alike.
    """

    def __init__(self, template: str, words: Mapping[str, Sequence[str]]):
        self.template = template
        self.letters = tuple(sorted(words, key=lambda letter: template.index(f"{{{letter}}}")))
        self.first, self.second = (words[letter] for letter in self.letters)

    def __len__(self) -> int:
        return len(self.first) * len(self.second)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        one, other = divmod(range(len(self))[number], len(self.second))
        return self.template.format(**dict(zip(self.letters, (self.first[one], self.second[other]), strict=True)))

    def halves(self) -> tuple[list[str], list[str]] | None:
        """What begins each text and what ends it, cut at white space; None if no cut has one of the letters each side.

        The cut is as late as it can be: what is alike in all texts of a first word is in the beginning.
        """
        one, other = (f"{{{letter}}}" for letter in self.letters)
        begin, end = self.template.rindex(one) + len(one), self.template.index(other)
        spaces = [match.start() for match in re.finditer(r"\s+", self.template[begin:end])]
        if not spaces:
            return None
        left, right = self.template[: begin + spaces[-1]], self.template[begin + spaces[-1] :]
        return [left.replace(one, word) for word in self.first], [right.replace(other, word) for word in self.second]


def token_source(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context_length: int, *, padded: bool = False
) -> Tokens:
    """Tokens of any texts: of PairTexts by their halves, if this tokenizer makes the same of them as of the whole.

    Encoders that work word by word do. It is tried on texts with every word of both lists. padded: as `tokenize`.
    UserError as `tokenize`, at once where halves are used; else when the text is reached.
    """
    halves = texts.halves() if isinstance(texts, PairTexts) else None
    if halves and all(half.strip() for side in halves for half in side):
        left, right = (ids_of(tokenizer, side, add_special_tokens=False) for side in halves)
        whole, inner = ids_of(tokenizer, texts[:1])[0], left[0] + right[0]
        at = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        before, after = whole[:at], whole[at + len(inner) :]
        left, right = [before + ids for ids in left], [ids + after for ids in right]
        if _hold(tokenizer, texts, left, right):
            _check_lengths(texts, left, right, context_length)
            fill: Any = tokenizer.pad_token_id if padded else 0
            return functools.partial(_joined, _padded(left), _padded(right), context_length if padded else None, fill)
    return lambda start, stop: tokenize(tokenizer, texts[start:stop], context_length, padded=padded)


def _hold(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], left: list, right: list) -> bool:
    """Whether every beginning and every end, each with some other half, make the tokens of the whole text."""
    tries = [(n % len(left), n % len(right)) for n in range(max(len(left), len(right)))]
    found = ids_of(tokenizer, [texts[one * len(right) + other] for one, other in tries])
    return all(left[one] + right[other] == ids for (one, other), ids in zip(tries, found, strict=True))


def _check_lengths(texts: Sequence[str], left: list, right: list, context_length: int) -> None:
    ends, long = np.array([len(ids) for ids in right]), []
    for one, ids in enumerate(left):
        for other in np.flatnonzero(len(ids) + ends > context_length)[: _NAMED - len(long)].tolist():
            long.append((texts[one * len(right) + other], len(ids) + len(right[other])))
    if long:
        raise TextTooLong([text for text, _ in long], [tokens for _, tokens in long], context_length)


def _padded(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), lengths.max()), np.int32)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return ids, lengths


def _joined(
    left: tuple, right: tuple, width: int | None, fill: int, start: int, stop: int
) -> Int[np.ndarray, "texts tokens"]:
    """Ids of texts `start` to `stop`, filled up with `fill` to `width`, or to the longest of them."""
    (begins, begin), (ends, end) = left, right
    one, other = np.divmod(np.arange(start, stop), len(ends))
    lengths = begin[one] + end[other]
    ids = np.zeros((stop - start, width or int(lengths.max())), np.int32)
    known = min(begins.shape[1], ids.shape[1])
    ids[:, :known] = begins[one, :known]
    row, token = np.nonzero(np.arange(ends.shape[1]) < end[other][:, None])
    ids[row, begin[one[row]] + token] = ends[other[row], token]
    if fill:
        ids[np.arange(ids.shape[1]) >= lengths[:, None]] = fill
    return ids
