"""Loads the tensors of other checkpoint formats into a `Clip`, exports them again, and computes their digest."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import nnx
from tqdm import tqdm

from ecor_jax.checkpoints.layouts import Entry, Shape, Tensor
from ecor_jax.checkpoints.tensor_files import check_shapes
from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.model import Clip
from ecor_jax.errors import UserError

FLOATS = ("float16", "bfloat16", "float32")
# Files, entries and digests treat all blocks alike; a tower stores its last block separately from the stacked ones.
_LAST, _BLOCKS = ".transformer.last.", ".transformer.blocks."


def load_weights(
    config: ClipConfig,
    entries: Sequence[Entry],
    tensors: Mapping[str, Tensor],
    *,
    ignorable: Collection[str] = (),
    source: str,
    dtype=jnp.float32,
) -> Clip:
    """Builds a CLIP of the architecture `config` with the given tensors as float32 parameters; it computes in `dtype`.

    Raises one UserError that names all missing and unused tensors and all wrong shapes and types, or one that names the
    first tensor with non-finite values. `ignorable` tensors are not weights and may be present. Peak memory is the
    model plus its largest stacked parameter.
    """
    graph, state = nnx.split(nnx.eval_shape(lambda: Clip(config, dtype=dtype, rngs=nnx.Rngs(0))))
    variables = dict(nnx.to_flat_state(state))
    keys = {".".join(map(str, path)): path for path in variables}
    shapes = {name: variables[path].shape for name, path in keys.items()}
    for path in [path for path in shapes if _LAST in path]:
        stack = path.replace(_LAST, _BLOCKS)
        depth, *shape = shapes[stack]
        assert shapes.pop(path) == tuple(shape)
        shapes[stack] = (depth + 1, *shape)
    pieces = {entry.path: (entry, _names(entry, shapes[entry.path])) for entry in entries}
    assert pieces.keys() == shapes.keys(), "the table of entries does not cover the model"
    expected: dict[str, Shape] = {}
    for path, (entry, names) in pieces.items():
        shape = shapes[path][1:] if _stacked(entry) else shapes[path]
        expected |= dict.fromkeys(names, entry.layout.shape(shape))
    check_shapes(tensors, expected, source, ignorable=ignorable, dtypes=FLOATS)
    stored = {tensors[name].dtype for _, names in pieces.values() for name in names}
    if halves := sorted(stored - {"float32"}):
        logging.info("%s: weights in %s; each is kept exactly, as float32", source, " and ".join(halves))

    size = sum(variable.dtype.itemsize * int(np.prod(variable.shape)) for variable in variables.values())
    with tqdm(total=size, desc="weights", unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for path, (entry, names) in pieces.items():
            value = np.empty(shapes[path], np.float32)
            layers = value if _stacked(entry) else value[None]
            for layer, name in enumerate(names):
                layers[layer, ...] = entry.layout.read(tensors[name].read())
                if not np.isfinite(layers[layer, ...]).all():
                    raise UserError(f"{source}: {name} holds numbers that are not finite")
                bar.update(layers[layer, ...].nbytes)
            values = {path: value[:-1], path.replace(_BLOCKS, _LAST): value[-1]} if _stacked(entry) else {path: value}
            for name, array in values.items():
                key = keys[name]
                variables[key] = variables[key].replace(jax.device_put(array))
    return nnx.merge(graph, nnx.from_flat_state(variables))


def foreign_tensors(clip: Clip, entries: Sequence[Entry], dtype: str = "float32") -> dict[str, np.ndarray]:
    """Returns `clip`'s parameters with the names and layouts of `entries`; fused tensors are concatenated.

    dtype: one of FLOATS, to which float32 parameters are rounded.
    """
    parameters, pieces = flat_parameters(clip), {}
    for entry in entries:
        value = parameters[entry.path]
        layers = value if _stacked(entry) else value[None]
        for layer, name in enumerate(_names(entry, value.shape)):
            pieces.setdefault(name, []).append(np.asarray(entry.layout.write(layers[layer, ...]), order="C"))
    whole = {name: np.concatenate(parts) if len(parts) > 1 else parts[0] for name, parts in pieces.items()}
    return {name: value.astype(jnp.dtype(dtype), copy=False) for name, value in whole.items()}


def flat_parameters(clip: Clip) -> dict[str, np.ndarray]:
    """Returns all parameters by dotted path, sorted; those of a tower's blocks, including the last, are stacked."""
    state = nnx.to_flat_state(nnx.state(clip, nnx.Param))
    named = {".".join(map(str, path)): np.asarray(variable.get_value()) for path, variable in state}
    for path in [path for path in named if _LAST in path]:
        stack = path.replace(_LAST, _BLOCKS)
        named[stack] = np.concatenate([named[stack], named.pop(path)[None]])
    return {path: named[path] for path in sorted(named)}


def weights_digest(clip: Clip) -> str:
    """Returns the sha256 of what embeddings depend on: configuration, and each parameter's name, shape and bytes."""
    digest = hashlib.sha256(repr(clip.config).encode())
    for path, value in flat_parameters(clip).items():
        digest.update(f"{path} {value.shape} {value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def _stacked(entry: Entry) -> bool:
    return "{}" in entry.name


def _names(entry: Entry, shape: Shape) -> list[str]:
    return [entry.name.format(layer) for layer in range(shape[0])] if _stacked(entry) else [entry.name]
