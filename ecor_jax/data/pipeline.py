"""The Grain input pipeline: globally shuffled training batches and padded evaluation batches, sharded by process."""

import os
from collections.abc import Callable
from multiprocessing import resource_tracker, spawn
from typing import Any

import grain
import numpy as np
from absl import flags, logging

from ecor_jax import stopping
from ecor_jax.data.records import SKIP_OPTION, Arrays, BadImage, Example, OnBadImage, Preprocessed, Record, Source
from ecor_jax.errors import UserError

Encoder = Callable[[Record | Preprocessed, np.random.Generator], Example]
"""Turns a record into arrays of fixed shapes; picklable. Raises BadImage if the image cannot be decoded."""

_preparation_data = spawn.get_preparation_data
RAM_BUDGET_MB = 1024
"""Memory for the examples that workers hold, one per worker, when Grain chooses the number of workers."""


def train_batches(
    source: Source | Arrays,
    encode: Encoder | None,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    on_bad_image: OnBadImage = "error",
) -> "TrainBatches":
    """Returns an endless stream of this process's shards of the batches; every epoch is a new permutation of the set.

    A batch depends only on the seed and its number, not on the number of workers or processes, nor on the batch at
    which the stream starts. A run can therefore resume with any number of processes. Batches may span two epochs.

    Args:
        source: N records.
        encode: returns the arrays of one example; its generator is seeded by (seed, position in the stream). None
            for Arrays, which are examples already.
        batch_size: the global batch size, over all processes; at most N.
        workers: number of worker processes that read and decode; 0 uses only threads of this process; -1 lets Grain
            choose by the size of an example, usually the number of cores that this process may use.
        process_index, process_count: process i takes the i-th of `process_count` equal shards of every batch.
        on_bad_image: "skip" logs unreadable images and replaces each by the next readable record of the set.

    Returns:
        Batches of the arrays of `encode`, [batch_size / process_count, ...].

    Raises:
        UserError: the set is empty or smaller than a batch, or the batch is not divisible by the number of processes;
            from the iterators: an image is unreadable.
    """
    share = _share(source, batch_size, process_count)
    if batch_size > len(source):
        raise UserError(f"a batch of {batch_size} is larger than the {len(source)} images in {source.origin}")
    if workers < -1:
        raise UserError(f"{workers} worker processes were asked for; expected 0 or more, or -1 to have them chosen")
    example = _Example(source, encode, on_bad_image)
    example.blank()  # raises UserError if every image is bad, which would block the pipeline
    stream = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat().random_map(example.or_next)
    return TrainBatches(_ProcessShard(stream, process_index, process_count, share), share, workers)


class TrainBatches:
    """An endless iterable of batches of `share` examples, taken from an endless map from positions to examples."""

    def __init__(self, examples: grain.MapDataset[Example], share: int, workers: int = 0):
        self._examples, self._share, self._workers = examples, share, workers

    def starting(self, batch: int) -> grain.DatasetIterator[Example]:
        """Returns an iterator that begins at this batch; 0 is the first."""
        return iter(_batched(self._examples[batch * self._share :], self._share, self._workers))

    def __iter__(self) -> grain.DatasetIterator[Example]:
        return self.starting(0)


class _ProcessShard(grain.MapDataset):
    """The shard of one process of every batch; the shards of all processes, in their order, form the batch."""

    def __init__(self, stream: grain.MapDataset, piece: int, pieces: int, size: int):
        super().__init__(stream)
        self._piece, self._pieces, self._size = piece, pieces, size

    def __len__(self) -> int:
        return len(self._parent) // self._pieces

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        batch, place = divmod(index, self._size)
        return self._parent[(batch * self._pieces + self._piece) * self._size + place]


def eval_batches(
    source: Source,
    encode: Encoder,
    *,
    batch_size: int,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    on_bad_image: OnBadImage = "error",
) -> grain.IterDataset[Example]:
    """Returns this process's shards of the batches: every example once, in order, equally many batches per process.

    Batch k, concatenated over the processes in their order, holds the records k * batch_size to
    (k + 1) * batch_size - 1, and "mask", bool. Beyond the last record, and for skipped bad images, all arrays are 0 and
    "mask" is False. Arguments, result and errors are those of `train_batches`, except that a set may be smaller than a
    batch, and the generator that `encode` gets depends only on the index of the record.
    """
    share = _share(source, batch_size, process_count)
    indices = np.arange(-(-len(source) // batch_size) * batch_size).reshape(-1, process_count, share)[:, process_index]
    padded = _WithMask(_Example(source, encode, on_bad_image), len(source))
    return _batched(grain.MapDataset.source(indices.ravel().tolist()).map(padded), share, workers)


class _Example:
    """A reader and encoder of records by index; calls return None for a bad image that is to be skipped."""

    def __init__(self, source: Source | Arrays, encode: Encoder | None, on_bad_image: OnBadImage):
        self._source, self._encode, self._on_bad_image = source, encode, on_bad_image
        self._skipped: set[int] = set()

    def __call__(self, index: int, rng: np.random.Generator) -> Example | None:
        try:
            loaded: Any = self._source.load(index)
            return loaded if self._encode is None else self._encode(loaded, rng)
        except BadImage as error:
            if self._on_bad_image == "error":
                raise UserError(f"{self._source.origin}: {error} ({SKIP_OPTION} leaves such images out)") from error
            if index not in self._skipped:
                self._skipped.add(index)
                logging.warning("left out (%d so far): %s: %s", len(self._skipped), self._source.origin, error)
            return None

    def or_next(self, index: int, rng: np.random.Generator) -> Example:
        """Returns the example, in whose place the next readable record is read if it is bad and to be skipped."""
        while (example := self(index, rng)) is None:
            index = (index + 1) % len(self._source)
        return example

    def blank(self) -> Example:
        """Returns an example of zeros, in the shapes of the first readable one."""
        for index in range(len(self._source)):
            if (example := self(index, np.random.default_rng(index))) is not None:
                return {key: np.zeros_like(value) for key, value in example.items()}
        raise UserError(f"none of the {len(self._source)} images in {self._source.origin} can be read")


class _WithMask:
    """Examples by index with a mask; blank beyond the last record and for skipped bad images."""

    def __init__(self, example: _Example, count: int):
        self._example, self._count = example, count
        self._blank = {**example.blank(), "mask": np.asarray(False)}

    def __call__(self, index: int) -> Example:
        example = self._example(index, np.random.default_rng(index)) if index < self._count else None
        return self._blank if example is None else {**example, "mask": np.asarray(True)}


def _share(source: Source | Arrays, batch_size: int, process_count: int) -> int:
    """Returns the number of examples of a batch per process."""
    if not len(source):
        raise UserError(f"no images in {source.origin}")
    if batch_size < 1:
        raise UserError(f"a batch of {batch_size} images was asked for; expected at least 1")
    if batch_size % process_count:
        raise UserError(f"a batch of {batch_size} cannot be shared evenly among {process_count} processes")
    return batch_size // process_count


def _start_tracker() -> None:
    """Starts Python's resource tracker before Grain does, and blocks the signals again that its start unblocks."""
    # Grain leaves its shared memory to the tracker, which would warn about leaks at the end of every run.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    resource_tracker.ensure_running()
    stopping.block()


def _without_script(name: str) -> dict[str, Any]:
    """Returns `multiprocessing`'s data for starting a process; for Grain's workers without the main script.

    They receive their functions by cloudpickle and must not run the script again.
    """
    told = _preparation_data(name)
    if name.startswith("grain-"):
        told = {key: value for key, value in told.items() if not key.startswith("init_main_from_")}
    return told


def _batched(examples: grain.MapDataset, share: int, workers: int) -> grain.IterDataset[Example]:
    threads = min(os.cpu_count() or 1, 16)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(threads, 2 * share))
    stream = examples.to_iter_dataset(options)
    if workers < 0:
        workers = _chosen_workers(examples)
    if workers:
        _start_tracker()
        spawn.get_preparation_data = _without_script
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers read its flags, which may be unparsed
        # Workers are added before batching, so that batches hold the same examples for any number of workers.
        stream = stream.mp_prefetch(grain.MultiprocessingOptions(workers, per_worker_buffer_size=share))
    return stream.batch(share, drop_remainder=True)


def _chosen_workers(examples: grain.MapDataset) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen = grain.experimental.pick_performance_config(
        # A separate stream with minimal prefetching.
        examples.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)),
        ram_budget_mb=RAM_BUDGET_MB,
        max_workers=cores,
        max_buffer_size=None,
        samples_to_check=min(5, len(examples)),
    ).multiprocessing_options
    assert chosen is not None
    logging.info("%d processes read and decode", chosen.num_workers)
    return chosen.num_workers
