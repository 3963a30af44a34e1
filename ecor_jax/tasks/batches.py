"""The batches of a process: `batches_of`, the training batches that options describe; `padded_batches` of arrays."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from ecor_jax.data.pipeline import Encoder, TrainBatches, train_batches
from ecor_jax.data.records import Arrays, Source


def batches_of(options: Any, source: Source | Arrays, encode: Encoder | None = None) -> TrainBatches:
    """Returns this process's shards of the batches, by the options `seed` and `data`; Arrays need no encoder."""
    return train_batches(
        source,
        encode,
        batch_size=options.data.batch_size,
        seed=options.seed,
        workers=0 if encode is None else options.data.workers,
        on_bad_image=options.data.on_bad_image,
        **own_share(),
    )


def own_share() -> dict[str, Any]:
    """Returns the arguments of `data.pipeline` that select the shards of this process."""
    return {"process_index": jax.process_index(), "process_count": jax.process_count()}


def padded_batches(columns: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields this process's shards of batches of `size` examples with "mask", as `pipeline.eval_batches` does."""
    share, count = size // jax.process_count(), len(next(iter(columns.values())))
    for start in range(0, count, size):
        begin = start + jax.process_index() * share
        batch = {name: column[begin : begin + share] for name, column in columns.items()}
        batch["mask"] = np.ones(len(next(iter(batch.values()))), bool)
        missing = share - len(batch["mask"])
        yield {name: np.pad(column, [(0, missing), *[(0, 0)] * (column.ndim - 1)]) for name, column in batch.items()}
