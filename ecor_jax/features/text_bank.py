"""Text banks: text embeddings that are encoded once and cached on disk in checksummed shards."""

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
from ecor_jax.parallel.mesh import page_aligned_zeros
from ecor_jax.parallel.processes import barrier
from ecor_jax.parallel.progress import count_first

SHARD = 16384
"""Texts per file; they are tokenized together."""
LARGE = 2**30
"""Size of a bank, in bytes, above which JAX's compiled programs are dropped to save memory, as on a laptop."""
AT_ONCE = 2
"""Shards in progress: one is tokenized, packed and written while another is computed. A stop loses only these."""


def shards_of(start: int, stop: int) -> range:
    """Returns the numbers of the shards that contain texts `start` to `stop`."""
    return range(start // SHARD, -(-stop // SHARD))


class TextBank:
    """Unit embeddings of N distinct texts, float32 rows that are encoded when they are first read.

    A shard is read from `folder` (default `cache_folder()`) if it has a file of the same weights, tokenizer and texts
    that passes its checksum. Otherwise the shard is computed and written there. A shard depends on nothing but the
    weights, the tokenizer and the texts, so a resumed encoding is bitwise identical, and the processes of a run may
    divide the shards of a bank among themselves.
    Memory holds only the shards in progress and, of PairTexts, only the strings of those shards.

    with_others: PairTexts with the same fillers that are encoded and written together with these texts, so that common
      prefixes are computed once. File names depend on all texts that are encoded together, because the last bits of the
      embeddings depend on them, too.
    keep: False neither reads nor writes files, for texts that no later run needs; not supported for PairTexts.
    Raises UserError for a text that is empty or longer than the text tower reads, and for non-finite embeddings.
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
        """The cost of all encoding so far."""
        self._digest, self._tokens, self._lock = _digest_of(model) if keep else None, None, threading.Lock()
        self._together: list[Any] = [texts]
        if isinstance(texts, PairTexts):
            self._together = sorted([texts, *with_others], key=lambda texts: texts.template)
            fillers = (*texts.placeholders, str(len(texts.first)), *texts.first, *texts.second)
            _update(self._digest, (*(texts.template for texts in self._together), *fillers))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.texts), self.model.clip.config.embed_dim

    @property
    def numbers(self) -> range:
        """The numbers of all shards."""
        return range(-(-len(self.texts) // SHARD))

    def shards(self, numbers: Iterable[int] | None = None) -> Iterator[tuple[int, Float[np.ndarray, "texts embed"]]]:
        """Yields shards (default: all) in order, each as the number of its first text and its embeddings."""
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
                if texts and not bar.n:
                    count_first(bar, texts)
                else:
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
        """Returns whether a shard has a file, which may be damaged."""
        start = number * SHARD
        return self._file(self.texts, start, min(SHARD, len(self.texts) - start)).exists()

    def rows(self, start: int, stop: int) -> Float[np.ndarray, "texts embed"]:
        """Returns the embeddings of texts `start` to `stop`; reads or encodes only the shards that contain them."""
        found = np.empty((stop - start, self.shape[1]), np.float32)
        for first, shard in self.shards(shards_of(start, stop)):
            low, high = max(start, first), min(stop, first + len(shard))
            found[low - start : high - start] = shard[low - first : high - first]
        return found

    def _shard(
        self, start: int, size: int, tell: Callable[[int], Any]
    ) -> tuple[Float[np.ndarray, "texts embed"], Cost]:
        """Returns a shard's embeddings and their cost; calls `tell` with the numbers of texts as they are finished."""
        if self._digest is not None and (kept := read_array(self._file(self.texts, start, size))) is not None:
            tell(size * len(self._together))
            return kept, Cost(0, 0, 0)
        with self._lock:
            if self._tokens is None:
                tell(0)  # shows the progress bar now, because tokenizing and compiling take seconds
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
        # Template and fillers (in self._digest) identify PairTexts, so their strings are not made.
        made = isinstance(texts, PairTexts)
        _update(digest, [texts.template, f"{start} {size}"] if made else texts[start : start + size])
        return self.folder / f"{digest.hexdigest()}.safetensors"


def embed_texts(
    model: Model, texts: Sequence[str], folder: Path | None = None, *, keep: bool = True
) -> Float[np.ndarray, "texts embed"]:
    """Returns unit float32 embeddings of `texts`, in order, through a TextBank; encodes duplicates once."""
    distinct = list(dict.fromkeys(texts))
    bank = TextBank(model, distinct, folder, keep=keep).rows(0, len(distinct))
    if len(distinct) == len(texts):
        return bank
    number = {text: number for number, text in enumerate(distinct)}
    return bank[[number[text] for text in texts]]


class PairBank:
    """Unit embeddings of a template with every pair of fillers, [fillers of one, fillers of the other, embed].

    Columns are read by `bank[:, start:stop]`, in the dtype of the vision tower; no other part of the bank is in memory.
    The template has both placeholders, the keys of `fillers`; `embed_pairs` takes any template.

    needed: templates whose banks will be needed as well; those that are equal up to and including the second
      placeholder are encoded with this one.
    """

    def __init__(
        self,
        model: Model,
        template: str,
        fillers: Mapping[str, Sequence[str]],
        folder: Path | None = None,
        needed: Iterable[str] = (),
    ):
        self._texts = texts = PairTexts(template, fillers)
        begins = template[: template.index(f"{{{texts.placeholders[1]}}}") + 3]
        alike = sorted({other for other in needed if other.startswith(begins)} - {template})
        self._bank = TextBank(model, texts, folder, [PairTexts(other, fillers) for other in alike])
        self._first_are_rows = texts.placeholders == tuple(fillers)
        self.dtype = jnp.dtype(model.clip.vision.dtype)
        self.shape = (*map(len, fillers.values()), self._bank.shape[1])
        _give_memory_back()
        # Each process encodes its share of the shards now, before any part of the bank is in memory. A process that
        # cannot see another host's files, or finds a damaged file, encodes those shards again when it reads them.
        share = self._bank.numbers[jax.process_index() :: jax.process_count()]
        missing = [number for number in share if not self._bank.kept(number)]
        for _ in self._bank.shards(missing):
            pass
        if missing or math.prod(self.shape) * self.dtype.itemsize > LARGE:
            jax.clear_caches()  # drops the programs of the encoder and of the previous bank: 50 MB
        barrier()
        _give_memory_back()

    def __getitem__(self, index: tuple[slice, slice]) -> Float[np.ndarray, "first columns embed"]:
        rows, columns, embed = self.shape
        begin, end, _ = index[1].indices(columns)
        shape = rows, max(0, end - begin), embed
        if not math.prod(shape):
            return np.zeros(shape, self.dtype)
        pairs = page_aligned_zeros(shape, self.dtype)
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
    fillers: Mapping[str, Sequence[str]],
    folder: Path | None = None,
    needed: Iterable[str] = (),
) -> "PairBank | Float[np.ndarray, 'first second embed']":
    """Embeds a template with every pair of fillers; the result is constant along the axis of an absent placeholder."""
    given = [f"{{{placeholder}}}" in template for placeholder in fillers]
    if all(given):
        return PairBank(model, template, fillers, folder, needed)
    lists = [texts if used else texts[:1] for texts, used in zip(fillers.values(), given, strict=True)]
    texts = [template.format(**dict(zip(fillers, pair, strict=True))) for pair in itertools.product(*lists)]
    bank = embed_texts(model, texts, folder)
    whole = np.broadcast_to(bank.reshape(*map(len, lists), -1), (*map(len, fillers.values()), bank.shape[1]))
    return whole.astype(model.clip.vision.dtype)


def _give_memory_back() -> None:
    """Returns freed memory to the system, because a large bank leaves little of it on a laptop."""
    gc.collect()  # frees unused banks whose memory JAX arrays had used without a copy
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # glibc keeps memory that encoding and reading have freed: 300 MB


def _digest_of(model: Model):
    """Returns a sha256 object of all in the model that determines the embeddings; the texts are added later."""
    digest = hashlib.sha256(b"text bank 7\0")
    digest.update(model.digest.encode())
    # The dtype is hashed by name, because "float32" (from a config) and jnp.float32 are the same dtype.
    digest.update(jnp.dtype(model.clip.text.dtype).name.encode())
    backend: Any = model.tokenizer.backend_tokenizer
    digest.update(backend.to_str().encode())
    return digest


def _stacked(ids: Sequence[Int[np.ndarray, "_ _"]]) -> Int[np.ndarray, "texts tokens"]:
    longest = max(rows.shape[1] for rows in ids)
    return np.concatenate([np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for rows in ids])


def _update(digest, texts: Iterable[str]) -> None:
    for text in texts:
        digest.update(text.encode() + b"\0")
