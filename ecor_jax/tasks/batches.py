"""The batches of a process: `batches_of`, the training batches that the options of a task describe; `own_share`."""

from typing import Any

import jax

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
