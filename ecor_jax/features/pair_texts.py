"""A template with every pair of two lists of fillers: texts that are made and tokenized when they are read."""

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
    """A template whose two placeholders, such as {c} and {r}, are filled with every pair of fillers.

    Text `n` has filler `n // len(second)` in the placeholder that comes first in the template and filler
    `n % len(second)` in the other one, so neighbouring texts share a prefix.
    """

    def __init__(self, template: str, fillers: Mapping[str, Sequence[str]]):
        self.template = template
        self.placeholders = tuple(sorted(fillers, key=lambda name: template.index(f"{{{name}}}")))
        self.first, self.second = (fillers[name] for name in self.placeholders)

    def __len__(self) -> int:
        return len(self.first) * len(self.second)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        one, other = divmod(range(len(self))[number], len(self.second))
        return self.template.format(**dict(zip(self.placeholders, (self.first[one], self.second[other]), strict=True)))

    def halves(self) -> tuple[list[str], list[str]] | None:
        """Prefixes, one for each first filler, and suffixes, one for each second filler; None if they cannot be cut.

        The template is cut at the last white space between its placeholders, so prefixes are as long as possible.
        """
        one, other = (f"{{{name}}}" for name in self.placeholders)
        begin, end = self.template.rindex(one) + len(one), self.template.index(other)
        spaces = [match.start() for match in re.finditer(r"\s+", self.template[begin:end])]
        if not spaces:
            return None
        left, right = self.template[: begin + spaces[-1]], self.template[begin + spaces[-1] :]
        return [left.replace(one, text) for text in self.first], [right.replace(other, text) for text in self.second]


def token_source(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context_length: int, *, padded: bool = False
) -> Tokens:
    """A function that returns tokens of texts by their numbers.

    Tokens of PairTexts are joined from those of their prefixes and suffixes if the tokenizer gives the same ids for the
    whole text. Tokenizers that split at white space first do; this is tried on texts with every filler of both lists.
    padded: as in `tokenize`. UserError as in `tokenize`: at once for joined texts, else when a text is read.
    """
    halves = texts.halves() if isinstance(texts, PairTexts) else None
    if halves and all(half.strip() for side in halves for half in side):
        prefixes, suffixes = (ids_of(tokenizer, side, add_special_tokens=False) for side in halves)
        whole, inner = ids_of(tokenizer, texts[:1])[0], prefixes[0] + suffixes[0]
        at = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        before, after = whole[:at], whole[at + len(inner) :]
        prefixes, suffixes = [before + ids for ids in prefixes], [ids + after for ids in suffixes]
        if _hold(tokenizer, texts, prefixes, suffixes):
            _check_lengths(texts, prefixes, suffixes, context_length)
            fill: Any = tokenizer.pad_token_id if padded else 0
            return functools.partial(
                _joined, _padded(prefixes), _padded(suffixes), context_length if padded else None, fill
            )
    return lambda start, stop: tokenize(tokenizer, texts[start:stop], context_length, padded=padded)


def _hold(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], prefixes: list, suffixes: list) -> bool:
    """Whether joining every prefix and every suffix, each with some partner, gives the tokens of the whole text."""
    tries = [(n % len(prefixes), n % len(suffixes)) for n in range(max(len(prefixes), len(suffixes)))]
    found = ids_of(tokenizer, [texts[one * len(suffixes) + other] for one, other in tries])
    return all(prefixes[one] + suffixes[other] == ids for (one, other), ids in zip(tries, found, strict=True))


def _check_lengths(texts: Sequence[str], prefixes: list, suffixes: list, context_length: int) -> None:
    ends, long = np.array([len(ids) for ids in suffixes]), []
    for one, ids in enumerate(prefixes):
        for other in np.flatnonzero(len(ids) + ends > context_length)[: _NAMED - len(long)].tolist():
            long.append((texts[one * len(suffixes) + other], len(ids) + len(suffixes[other])))
    if long:
        raise TextTooLong([text for text, _ in long], [tokens for _, tokens in long], context_length)


def _padded(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), lengths.max()), np.int32)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return ids, lengths


def _joined(
    prefixes: tuple, suffixes: tuple, width: int | None, fill: int, start: int, stop: int
) -> Int[np.ndarray, "texts tokens"]:
    """Ids of texts `start` to `stop`, filled up with `fill` to `width`, or to the longest of them."""
    (begins, begin), (ends, end) = prefixes, suffixes
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
