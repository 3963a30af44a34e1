"""Texts of a template filled with every pair of two lists of fillers, made and tokenized lazily."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from ecor_jax.clip.tokenizer import TextTooLong, ids_of, tokenize

_NAMED = 1000
"""Largest number of too long texts that an error lists; there may be millions."""

Tokens = Callable[[int, int], Int[np.ndarray, "texts tokens"]]
"""A function that returns the ids of texts `start` to `stop`, as `tokenize` does."""


class PairTexts(Sequence[str]):
    """A lazy sequence of texts: a template with placeholders such as {c} and {r}, filled with every pair of fillers.

    Text `n` has filler `n // len(second)` in the first placeholder of the template and filler `n % len(second)` in the
    second one, so neighbouring texts share a prefix.
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

    def prefixes_and_suffixes(self) -> tuple[list[str], list[str]] | None:
        """Returns a prefix for each first filler and a suffix for each second filler; None if they cannot be split.

        The template is split at the last white space between its placeholders, so prefixes are as long as possible.
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
    """Returns a function that returns the token ids of a range of texts.

    Token ids of PairTexts are concatenated from those of prefixes and suffixes if the tokenizer gives the same ids for
    complete texts. Tokenizers that first split at white space give the same ids; this is checked on texts in which
    every filler of both lists occurs.
    padded: as in `tokenize`. Raises UserError for texts that are too long, as `tokenize` does; if ids are concatenated,
    it is raised here instead of by the returned function.
    """
    halves = texts.prefixes_and_suffixes() if isinstance(texts, PairTexts) else None
    if halves and all(half.strip() for side in halves for half in side):
        prefixes, suffixes = (ids_of(tokenizer, side, add_special_tokens=False) for side in halves)
        whole, inner = ids_of(tokenizer, texts[:1])[0], prefixes[0] + suffixes[0]
        at = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        before, after = whole[:at], whole[at + len(inner) :]
        prefixes, suffixes = [before + ids for ids in prefixes], [ids + after for ids in suffixes]
        if _joining_matches(tokenizer, texts, prefixes, suffixes):
            _check_lengths(texts, prefixes, suffixes, context_length)
            fill: Any = tokenizer.pad_token_id if padded else 0
            return functools.partial(
                _joined, _padded(prefixes), _padded(suffixes), context_length if padded else None, fill
            )
    return lambda start, stop: tokenize(tokenizer, texts[start:stop], context_length, padded=padded)


def _joining_matches(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], prefixes: list, suffixes: list) -> bool:
    """Returns whether concatenation gives the ids of the complete text, for every prefix and suffix in some pair."""
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
    """Returns the ids of texts `start` to `stop`, padded with `fill` to `width`, or (None) to the longest of them."""
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
