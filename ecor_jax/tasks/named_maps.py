"""Saliency maps of what pages name of pictures: of each picture other things, such as its strongest descriptors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Array, Float, UInt8

from ecor_jax.parallel.map_batches import map_local

Name = TypeVar("Name")

BATCH = 8
"""Maximum number of pictures whose maps are computed at once: their activations are in memory."""


def named_maps(
    fn: Callable[[Any, dict[str, Array]], Float[Array, "batch n rows columns"]],
    model: Any,
    views: Sequence[UInt8[np.ndarray, "size size 3"]],
    named: Sequence[Mapping[Name, int]],
) -> list[dict[Name, Float[np.ndarray, "rows columns"]]]:
    """Returns the maps of each picture by name, computed on one device of this process.

    fn: computes the maps that a batch numbers: "image", uint8, and "number", [batch, n]. views: preprocessed pictures.
    named: {name: number} of what each picture is to have maps of.
    """
    most = max(map(len, named), default=0)
    if not most:
        return [{} for _ in named]
    numbers = [[*own.values()] + [0] * (most - len(own)) for own in named]
    columns = {"image": np.stack(views), "number": np.array(numbers, np.int32)}
    maps = map_local(fn, model, columns, batch_size=BATCH, name="saliency maps")
    return [dict(zip(own, found[: len(own)], strict=True)) for own, found in zip(named, maps, strict=True)]
