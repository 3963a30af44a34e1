"""Opens safetensors files and torch archives, sharded or not, as named tensors that are read lazily."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from safetensors import SafetensorError, safe_open

from ecor_jax.checkpoints.layouts import Shape, Tensor
from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.errors import UserError, some_of
from ecor_jax.untrusted.files import open_regular
from ecor_jax.untrusted.json_text import read_object

_SCALE = "logit_scale"
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I64": "int64"}


def find_weights(directory: Path, names: Sequence[str]) -> Path:
    """Returns the first of the files `names` in `directory`. Raises UserError with all names if none exists."""
    there = [name for name in names if (directory / name).is_file()]
    if not there:
        raise UserError(f"{directory}: no weights; expected one of {', '.join(names)}")
    if others := there[1:]:
        logging.info(
            "%s: of several weights %s are read, first of the forms known; not %s", directory, there[0], others
        )
    return directory / there[0]


def open_tensors(path: Path) -> dict[str, Tensor]:
    """Opens the tensors of a .safetensors file, of a torch archive, or of all shards of an .index.json file.

    Raises UserError, naming the file, if it is unreadable or truncated, or if a shard or its tensor is missing.
    """
    if path.name.endswith(".index.json"):
        return _open_shards(path)
    return _open_file(path)


def model_tensors(path: Path) -> dict[str, Tensor]:
    """Opens the model's tensors in a file, as `open_tensors`, without the prefixes that training adds to their names.

    The prefix is what precedes `logit_scale`: data-parallel training adds `module.`, a compiled model `_orig_mod.`,
    a training checkpoint `state_dict.`, or several of them. Other tensors in the file, such as optimizer moments, are
    ignored. Raises UserError if the file contains two models.
    """
    tensors = open_tensors(path)
    prefixes = [name.removesuffix(_SCALE) for name in tensors if name == _SCALE or name.endswith(f".{_SCALE}")]
    chosen = [prefix for prefix in prefixes if prefix.startswith("state_dict.")] or prefixes
    if len(chosen) > 1:
        raise UserError(f"{path}: holds {len(chosen)} models, below {', '.join(map(repr, chosen))}; expected one")
    if not chosen or not chosen[0]:
        return tensors
    own = {name.removeprefix(chosen[0]): t for name, t in tensors.items() if name.startswith(chosen[0])}
    if others := [name for name in tensors if not name.startswith(chosen[0])]:
        logging.warning("%s: %d tensors beside the model's are not read: %s", path, len(others), some_of(others))
    return own


def check_shapes(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Shape],
    source: object,
    *,
    ignorable: Collection[str] = (),
    dtypes: Sequence[str] = (),
) -> None:
    """Raises one UserError that names all tensors that are missing, unused, of another shape or of none of `dtypes`.

    `ignorable` tensors may be missing or unused. Without `dtypes` any type is accepted.
    """
    present = {name: tensors[name] for name in expected if name in tensors}
    kinds = {
        "missing": [name for name in expected if name not in tensors and name not in ignorable],
        "unused": [name for name in tensors if name not in expected and name not in ignorable],
        "of another shape": [
            f"{name} {list(tensor.shape)} (expected {list(expected[name])})"
            for name, tensor in present.items()
            if tensor.shape != expected[name]
        ],
        f"of a type that is none of {', '.join(dtypes)}": [
            f"{name} {tensor.dtype}" for name, tensor in present.items() if dtypes and tensor.dtype not in dtypes
        ],
    }
    problems = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if problems:
        raise UserError(f"{source}: the weights do not fit the configuration; {'; '.join(problems)}")


def _open_file(path: Path) -> dict[str, Tensor]:
    return open_safetensors(path) if path.suffix == ".safetensors" else open_torch(path)


def open_safetensors(path: Path) -> dict[str, Tensor]:
    """Opens the tensors of one safetensors file."""
    open_regular(path).close()
    try:
        file = safe_open(path, framework="np")
        return {name: _safetensor(file, name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error})") from error


def _safetensor(file: Any, name: str) -> Tensor:
    piece = file.get_slice(name)
    dtype = str(piece.get_dtype())
    return Tensor(tuple(piece.get_shape()), _DTYPES.get(dtype, dtype), lambda: file.get_tensor(name))


def _open_shards(index: Path) -> dict[str, Tensor]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise UserError(f"{index}: expected a weight_map, {{tensor: file name}}")
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise UserError(f"{index}: shard {shard!r} is not a plain file name")
        if not (index.parent / shard).is_file():
            raise UserError(f"{index}: its shard {shard} is missing")
        tensors |= _open_file(index.parent / shard)
    absent = [name for name in weight_map if name not in tensors]
    if absent:
        raise UserError(f"{index}: its shards lack {', '.join(absent)}")
    return tensors
