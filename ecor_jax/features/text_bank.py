"""Texts to embeddings: each encoded once, kept on disk in shards and never trusted when it is not what was written."""

import collections
import ctypes
import gc
import hashlib
import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Float, Int
from tqdm import tqdm

from ecor_jax.atomic import cache_folder, read_array, write_array
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.errors import UserError
from ecor_jax.features.packed import Cost, encode
from ecor_jax.features.pair_texts import PairTexts, token_source
from ecor_jax.parallel.mesh import fresh_array
from ecor_jax.parallel.processes import wait

SHARD = 16384
"""Texts of a file: what is tokenized at once."""
LARGE = 2**30
"""Bytes of a bank beside which a laptop has no room for programs that are no longer needed."""
AT_ONCE = 2
"""Files at work: one is tokenized, packed and written while another is computed. All that is lost by a stop."""


def shards_of(start: int, stop: int) -> range:
    """The shards that texts `start` to `stop` are in."""
    return range(start // SHARD, -(-stop // SHARD))


class TextBank:
    """Unit embeddings of N distinct texts, as float32 rows that are encoded when they are first read.

    A shard of them is read from `folder` (default `cache_folder()`) if a file there was made by the same weights and
    tokenizer of the same texts and its content is what was written; else computed and kept there. It depends on
    nothing else, so encoding that was stopped goes on to the same bits, and processes may share the shards of a bank.
    No more than the shards at work are in memory, and of PairTexts no more strings than those.

    with_others: PairTexts of the same words that are encoded and kept whenever these are: what a text of theirs shares
    with one of these is computed once. All that are encoded together are named in each one's file, whose last bits
    depend on them.
    keep: False neither reads files nor writes any, for texts that no later run will ask for; these are no PairTexts.
    UserError for a text that is empty or longer than the text tower reads, and for embeddings that are not finite.
    """

    def __init__(
        self,
        model: Model,
        texts: Sequence[str],
        folder: Path | None = None,
        with_others: Sequence[PairTexts] = (),
        keep: bool = True,
    ):
        self.model, self.texts, self.folder = model, texts, folder or cache_folder()
        self.cost = Cost(0, 0, 0)
        """Of what was encoded so far."""
        self._digest, self._tokens, self._lock = _digest_of(model) if keep else None, None, threading.Lock()
        self._together: list[Any] = [texts]
        if isinstance(texts, PairTexts):
            self._together = sorted([texts, *with_others], key=lambda texts: texts.template)
            words = (*texts.placeholders, str(len(texts.first)), *texts.first, *texts.second)
            _update(self._digest, (*(texts.template for texts in self._together), *words))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.texts), self.model.clip.config.embed_dim

    @property
    def numbers(self) -> range:
        """Of all shards."""
        return range(-(-len(self.texts) // SHARD))

    def shards(self, numbers: Iterable[int] | None = None) -> Iterator[tuple[int, Float[np.ndarray, "texts embed"]]]:
        """Shards of these numbers (default: all), each with the number of its first text."""
        numbers, before, began = list(self.numbers if numbers is None else numbers), self.cost, time.monotonic()
        sizes = [min(SHARD, len(self.texts) - number * SHARD) for number in numbers]
        total = sum(sizes) * len(self._together)
        given_up = threading.Event()
        with (
            tqdm(total=total, desc="encoding texts", unit="text", mininterval=1, delay=1) as bar,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):

            def tell(texts: int) -> None:
                if given_up.is_set():
                    raise RuntimeError("nobody waits for these texts any more")
                bar.update(texts) if texts else bar.refresh()

            waiting, at_work = list(zip(numbers, sizes, strict=True))[::-1], collections.deque()
            try:
                while waiting or at_work:
                    while waiting and len(at_work) < AT_ONCE:
                        number, size = waiting.pop()
                        at_work.append((number * SHARD, pool.submit(self._shard, number * SHARD, size, tell)))
                    start, shard = at_work.popleft()
                    embeddings, cost = shard.result()
                    self.cost = Cost(*map(sum, zip(self.cost, cost, strict=True)))
                    yield start, embeddings
            finally:
                given_up.set()
        if self.cost != before:
            computed, own, padded = (after - ago for after, ago in zip(self.cost, before, strict=True))
            logging.info(
                "texts encoded in %.0f s: %s tokens computed, of %s that they have, %s when padded",
                *(time.monotonic() - began, f"{computed:,}", f"{own:,}", f"{padded:,}"),
            )

    def kept(self, number: int) -> bool:
        """Whether there is a file of this shard, be it damaged."""
        start = number * SHARD
        return self._file(self.texts, start, min(SHARD, len(self.texts) - start)).exists()

    def rows(self, start: int, stop: int) -> Float[np.ndarray, "texts embed"]:
        """Embeddings of texts `start` to `stop`; only the shards that they are in are looked at."""
        found = np.empty((stop - start, self.shape[1]), np.float32)
        for first, shard in self.shards(shards_of(start, stop)):
            low, high = max(start, first), min(stop, first + len(shard))
            found[low - start : high - start] = shard[low - first : high - first]
        return found

    def _shard(
        self, start: int, size: int, tell: Callable[[int], Any]
    ) -> tuple[Float[np.ndarray, "texts embed"], Cost]:
        """Its embeddings, and what that cost; `tell` is told of texts as they come."""
        if self._digest is not None and (kept := read_array(self._file(self.texts, start, size))) is not None:
            tell(size * len(self._together))
            return kept, Cost(0, 0, 0)
        with self._lock:
            if self._tokens is None:
                tell(0)  # so that the bar is there: what comes first, to tokenize and to compile, takes seconds
                text = self.model.clip.config.text
                self._tokens = [
                    token_source(self.model.tokenizer, texts, text.context_length, padded=text.padded)
                    for texts in self._together
                ]
        ids = [tokens(start, start + size) for tokens in self._tokens]
        embeddings, cost = encode(self.model.clip.text, _stacked(ids), tell)
        if not np.isfinite(embeddings).all():
            raise UserError(f"{self.model.path}: its embeddings of texts are not finite: the weights are damaged")
        shards = np.split(embeddings, len(ids))
        if self._digest is not None:
            for texts, shard in zip(self._together, shards, strict=True):
                write_array(self._file(texts, start, size), shard)
        return shards[self._together.index(self.texts)], cost

    def _file(self, texts: Sequence[str], start: int, size: int) -> Path:
        assert self._digest is not None, "nothing of it is kept"
        digest = self._digest.copy()
        # What texts that are made when they are asked for are made of is known.
        made = isinstance(texts, PairTexts)
        _update(digest, [texts.template, f"{start} {size}"] if made else texts[start : start + size])
        return self.folder / f"{digest.hexdigest()}.safetensors"


def embed_texts(
    model: Model, texts: Sequence[str], folder: Path | None = None, *, keep: bool = True
) -> Float[np.ndarray, "texts embed"]:
    """Unit embeddings of `texts` in their order, float32: a whole TextBank; duplicates cost nothing."""
    distinct = list(dict.fromkeys(texts))
    bank = TextBank(model, distinct, folder, keep=keep).rows(0, len(distinct))
    if len(distinct) == len(texts):
        return bank
    number = {text: number for number, text in enumerate(distinct)}
    return bank[[number[text] for text in texts]]


class PairBank:
    """Unit embeddings of a template with every pair of words of two letters, [words of one, words of the other, embed].

    They are read when columns are asked for, `bank[:, start:stop]`, in what the vision tower computes in: of the bank
    no more is ever in memory. The template has both letters; `embed_pairs` takes any.

    needed: templates whose banks will be asked for as well; those that begin alike up to the second letter are encoded
    with this one.
    """

    def __init__(
        self,
        model: Model,
        template: str,
        words: Mapping[str, Sequence[str]],
        folder: Path | None = None,
        needed: Iterable[str] = (),
    ):
        self._texts = texts = PairTexts(template, words)
        begins = template[: template.index(f"{{{texts.placeholders[1]}}}") + 3]
        alike = sorted({other for other in needed if other.startswith(begins)} - {template})
        self._bank = TextBank(model, texts, folder, [PairTexts(other, words) for other in alike])
        self._first_are_rows = texts.placeholders == tuple(words)
        self.dtype = jnp.dtype(model.clip.vision.dtype)
        self.shape = (*map(len, words.values()), self._bank.shape[1])
        _give_memory_back()
        # Before there is a bank to hold; each process its share. Where a host does not see another's files, or one is
        # damaged, it makes them again when they are read.
        share = self._bank.numbers[jax.process_index() :: jax.process_count()]
        missing = [number for number in share if not self._bank.kept(number)]
        for _ in self._bank.shards(missing):
            pass
        if missing or math.prod(self.shape) * self.dtype.itemsize > LARGE:
            jax.clear_caches()  # of the programs that encoded, or that asked the bank before this one: 50 MB
        wait()
        _give_memory_back()

    def __getitem__(self, index: tuple[slice, slice]) -> Float[np.ndarray, "first columns embed"]:
        rows, columns, embed = self.shape
        begin, end, _ = index[1].indices(columns)
        shape = rows, max(0, end - begin), embed
        if not math.prod(shape):
            return np.zeros(shape, self.dtype)
        pairs = fresh_array(shape, self.dtype)
        length = len(self._texts.second)
        if self._first_are_rows:
            by_first, firsts, seconds = pairs, range(rows), range(begin, end)
        else:
            by_first, firsts, seconds = pairs.swapaxes(0, 1), range(begin, end), range(rows)
        for start, texts in self._bank.shards(shards_of(firsts.start * length, firsts.stop * length)):
            stop = start + len(texts)
            for one in range(max(start // length, firsts.start), min(-(-stop // length), firsts.stop)):
                first = one * length
                low, high = max(start, first + seconds.start), min(stop, first + seconds.stop)
                if low < high:
                    place = slice(low - first - seconds.start, high - first - seconds.start)
                    by_first[one - firsts.start, place] = texts[low - start : high - start]
        _give_memory_back()
        return pairs


def embed_pairs(
    model: Model,
    template: str,
    words: Mapping[str, Sequence[str]],
    folder: Path | None = None,
    needed: Iterable[str] = (),
) -> "PairBank | Float[np.ndarray, 'first second embed']":
    """The template with every pair of words, to be read by columns; words of a letter that it lacks are alike."""
    given = [f"{{{letter}}}" in template for letter in words]
    if all(given):
        return PairBank(model, template, words, folder, needed)
    lists = [texts if used else texts[:1] for texts, used in zip(words.values(), given, strict=True)]
    texts = [template.format(**dict(zip(words, pair, strict=True))) for pair in itertools.product(*lists)]
    bank = embed_texts(model, texts, folder)
    whole = np.broadcast_to(bank.reshape(*map(len, lists), -1), (*map(len, words.values()), bank.shape[1]))
    return whole.astype(model.clip.vision.dtype)


def _give_memory_back() -> None:
    """To the system: beside a large bank there is little left on a laptop."""
    gc.collect()  # else a bank that nobody needs any more, but JAX had borrowed, may still be there
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # of glibc, which keeps what encoding and reading have freed: 300 MB


def _digest_of(model: Model):
    """A sha256 that changes with anything of the model that changes the embeddings; texts are still to come."""
    digest = hashlib.sha256(b"text bank 7\0")
    digest.update(model.digest.encode())
    # By its name: what a config calls "float32" is the same as jnp.float32.
    digest.update(jnp.dtype(model.clip.text.dtype).name.encode())
    backend: Any = model.tokenizer.backend_tokenizer
    digest.update(backend.to_str().encode())
    return digest


def _stacked(ids: Sequence[Int[np.ndarray, "texts tokens"]]) -> Int[np.ndarray, "all tokens"]:
    longest = max(rows.shape[1] for rows in ids)
    return np.concatenate([np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for rows in ids])


def _update(digest, texts: Iterable[str]) -> None:
    for text in texts:
        digest.update(text.encode() + b"\0")
