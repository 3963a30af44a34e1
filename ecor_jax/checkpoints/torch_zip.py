"""Reads PyTorch checkpoints without PyTorch: the zip archives of `torch.save` and of TorchScript.

The archive's pickle is interpreted by an unpickler that accepts only the names that describe tensors and the metadata
of training checkpoints, and rejects all others. Nothing is imported and no code from the file is run.
"""

import dataclasses
import math
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ecor_jax.checkpoints.layouts import Tensor
from ecor_jax.errors import UserError
from ecor_jax.untrusted.archives import Archive, is_zip
from ecor_jax.untrusted.pickles import StandIn, Unpickler, put_items

_STORAGES = {
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
# Functions by which TorchScript's pickles build lists; each is replaced by the identity.
_LISTS = ("build_intlist", "build_boollist", "build_doublelist", "build_tensorlist")
# Names of non-weight objects in training checkpoints, such as NumPy scalars and command-line options.
_BESIDE = {
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy.dtypes": tuple(f"{kind}DType" for kind in ("Float64", "Float32", "Float16", "Int64", "Int32", "Bool")),
    "_codecs": ("encode",),
    "builtins": ("set", "frozenset", "complex", "int", "float", "str", "list", "dict", "bool"),
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "datetime": ("datetime", "date", "timedelta"),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "torch": ("Size", "device", "float32", "float16", "bfloat16", "float64", "int64", "int32", "bool"),
}
MAX_VALUES, MAX_LETTERS, MAX_DIMENSIONS = 1_000_000, 1_000, 32


def open_torch(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a state dict, or of a TorchScript module under the names its state dict would have.

    Tensors in nested dicts get dotted names. Raises UserError if the file is not a zip archive, is truncated, or refers
    to classes or functions other than those of tensors and metadata.
    """
    if path.is_file() and not is_zip(path):
        raise UserError(
            f"{path}: not a torch zip archive, or a truncated one; an older format must be loaded and saved "
            "again with torch 1.6 or later"
        )
    tensors = _Reader(Archive(path)).tensors()
    if not tensors:
        raise UserError(f"{path}: holds no tensors")
    return tensors


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


class _Module(StandIn):
    """Substitutes for a TorchScript module and keeps only its attributes."""

    attributes: Any = None

    def set_state(self, state: Any) -> None:
        self.attributes = state


class _Beside(StandIn):
    """Substitutes for an object that is not a weight; its arguments and its state are ignored."""

    def __new__(cls, *_: Any) -> "_Beside":
        return super().__new__(cls)

    def set_state(self, state: Any) -> None:
        pass


class _Reader(Unpickler):
    """Reads one archive: its pickle and the raw storages it refers to."""

    def __init__(self, archive: Archive):
        self.path, self.archive = archive.path, archive
        pickles = [name for name in archive.names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise UserError(f"{self.path}: a zip archive, but not one that torch wrote (no data.pkl)")
        self.root = pickles[0].removesuffix("data.pkl")
        order = f"{self.root}byteorder"
        if order in archive.names and archive.read(order) != b"little":
            raise UserError(f"{self.path}: its numbers are not little-endian")
        super().__init__(archive.read(pickles[0], stored=True))

    def tensors(self) -> dict[str, Tensor]:
        try:
            return dict(_flatten(self.load()))
        except UserError:
            raise
        except Exception as error:  # a broken pickle can fail in any way
            raise UserError(f"{self.path}: its data.pkl is broken ({str(error)[:200]})") from error

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2, Python 2 and Python 3.13 use other module names for the same objects.
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        module = module.replace("pathlib._local", "pathlib")
        if (module, name) in (("collections", "OrderedDict"), ("collections", "Counter")):
            return _dictionary
        if (module, name) == ("collections", "defaultdict"):
            return lambda *_: {}
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if name in _BESIDE.get(module, ()):
            return _Beside
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return name  # a string: the pickle can neither call it nor set anything on it
        if module == "torch.jit._pickle" and name in _LISTS:
            return lambda items: items
        if module.split(".")[0] == "__torch__":
            return _Module
        raise UserError(
            f"{self.path}: refers to {module}.{name}; read are tensors of types "
            f"{', '.join(dtype.name for dtype in _STORAGES.values())}, and beside them numbers and options alone"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size = pid
        texts = all(isinstance(text, str) for text in (kind, dtype, key))
        if not texts or kind != "storage" or dtype not in _STORAGES or type(size) is not int or size < 0:
            raise UserError(f"{self.path}: refers to {reprlib.repr(pid)}, which is no tensor storage")
        return _Storage(key, _STORAGES[dtype], size)

    def _rebuild_tensor(self, storage, offset, shape, strides, *_gradient_and_hooks) -> Tensor:
        shape, strides = tuple(shape), tuple(strides)

        def read() -> np.ndarray:
            name, size = f"{self.root}data/{storage.key}", storage.size * storage.dtype.itemsize
            if name not in self.archive.names:
                raise UserError(f"{self.path}: {name} is missing")
            raw = self.archive.read(name, stored=True)
            if len(raw) != size:
                raise UserError(f"{self.path}: {name} has {len(raw)} bytes; expected {size}")
            flat = np.frombuffer(raw, storage.dtype)
            steps = tuple(stride * storage.dtype.itemsize for stride in strides)
            return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)

        if max(len(shape), len(strides)) > MAX_DIMENSIONS:
            raise UserError(f"{self.path}: a tensor of {len(shape):,} dimensions; at most {MAX_DIMENSIONS} are read")
        counts = (*shape, *strides, offset)
        if len(shape) != len(strides) or not all(isinstance(n, int) and n >= 0 for n in counts):
            odd = reprlib.repr((shape, strides, offset))
            raise UserError(f"{self.path}: a tensor whose shape, strides and offset are {odd}")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        # Strides of 0 let a small storage represent a large tensor, so the size of the result is bounded.
        beyond = last >= storage.size or math.prod(shape) > max(storage.size, MAX_VALUES)
        if 0 not in shape and beyond:
            raise UserError(
                f"{self.path}: a tensor of shape {reprlib.repr(shape)} reaches beyond its storage {storage.key}"
            )
        return Tensor(shape, storage.dtype.name, read)


def _dictionary(items: Iterable[tuple[str, Any]] = ()) -> dict[str, Any]:
    """Replaces OrderedDict and Counter."""
    target: dict[str, Any] = {}
    put_items(target, items)
    return target


def _flatten(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yields (dotted name, tensor) for all tensors nested in a dict or module; other values are ignored."""
    waiting, seen = [("", value)], 0
    while waiting:
        prefix, value = waiting.pop()
        seen += 1
        if seen > MAX_VALUES:  # shared or cyclic references would expand without bound
            raise ValueError(f"it holds more than {MAX_VALUES:,} values")
        if isinstance(value, Tensor) and prefix:
            yield prefix, value
        value = value.attributes if isinstance(value, _Module) else value
        if isinstance(value, dict):
            dot = f"{prefix}." if prefix else ""
            if len(dot) > MAX_LETTERS:
                raise ValueError(f"a name of more than {MAX_LETTERS:,} letters")
            waiting += [(f"{dot}{name}", child) for name, child in reversed(value.items())]
