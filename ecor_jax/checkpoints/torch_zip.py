"""Torch checkpoints read without torch: the zip archives of `torch.save` and of TorchScript.

The archive's pickle is interpreted by an unpickler that knows the few names a tensor is described with and
refuses every other; nothing is imported and no code of the file is run.
"""

import collections
import dataclasses
import pickle
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ecor_jax.checkpoints.tensor import Tensor
from ecor_jax.errors import UserError

_STORAGES = {
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "FloatStorage": np.dtype(np.float32),
    "LongStorage": np.dtype(np.int64),
}
# How TorchScript writes lists; the list is all that matters.
_LISTS = ("build_intlist", "build_boollist", "build_doublelist", "build_tensorlist")


def open_torch(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, or of a TorchScript module under the names its state dict would have.

    Tensors deeper in nested dicts get dotted names. UserError if the file is no zip archive, is torn, or
    names anything but tensors.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    except Exception as error:  # zipfile meets a damaged archive with BadZipFile and many others
        raise UserError(
            f"{path}: not a torch zip archive, or a truncated one; an older format must be loaded and saved "
            "again with torch 1.6 or later"
        ) from error
    tensors = _Reader(path, archive).load()
    if not tensors:
        raise UserError(f"{path}: holds no tensors")
    return tensors


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


class _Module:
    """Stands for a TorchScript module: its attributes and nothing else."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = state


class _Reader:
    """One archive: its pickle and the raw storages beside it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self.archive = path, archive
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise UserError(f"{path}: a zip archive, but not one that torch wrote (no data.pkl)")
        self.root = pickles[0].removesuffix("data.pkl")
        order = f"{self.root}byteorder"
        if order in archive.namelist() and self._bytes(order) != b"little":
            raise UserError(f"{path}: its numbers are not little-endian")

    def load(self) -> dict[str, Tensor]:
        try:
            with self.archive.open(f"{self.root}data.pkl") as file:
                return dict(_flatten(_Unpickler(file, self).load()))
        except UserError:
            raise
        except Exception as error:  # a broken pickle can fail in any way
            raise UserError(f"{self.path}: its data.pkl is broken ({error})") from error

    def tensor(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        def read() -> np.ndarray:
            raw = self._bytes(f"{self.root}data/{storage.key}", storage.size * storage.dtype.itemsize)
            flat = np.frombuffer(raw, storage.dtype)
            steps = tuple(stride * storage.dtype.itemsize for stride in strides)
            return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)

        counts = (*shape, *strides, offset)
        if len(shape) != len(strides) or not all(isinstance(n, int) and n >= 0 for n in counts):
            raise UserError(f"{self.path}: a tensor of shape {shape}, strides {strides} and offset {offset}")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if 0 not in shape and last >= storage.size:
            raise UserError(f"{self.path}: a tensor of shape {shape} reaches beyond its storage {storage.key}")
        return Tensor(shape, storage.dtype.name, read)

    def _bytes(self, name: str, size: int | None = None) -> bytes:
        try:
            info = self.archive.getinfo(name)
            if size is not None and info.file_size != size:
                raise UserError(f"{self.path}: {name} has {info.file_size} bytes; expected {size}")
            return self.archive.read(info)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.path}: {name} is missing or damaged ({error})") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, reader: _Reader):
        super().__init__(file)
        self.reader = reader

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return name  # a string: the pickle can neither call it nor set anything on it
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        if module.split(".")[0] == "__torch__":
            return _Module
        raise UserError(
            f"{self.reader.path}: refers to {module}.{name}; only tensors of types "
            f"{', '.join(dtype.name for dtype in _STORAGES.values())} are read"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size = pid
        if kind != "storage" or dtype not in _STORAGES or not isinstance(key, str):
            raise UserError(f"{self.reader.path}: refers to {pid}, which is no tensor storage")
        return _Storage(key, _STORAGES[dtype], size)

    def _rebuild_tensor(self, storage, offset, shape, strides, *_gradient_and_hooks) -> Tensor:
        return self.reader.tensor(storage, offset, tuple(shape), tuple(strides))


def _flatten(value: Any, prefix: str = ""):
    """(dotted name, tensor) of everything below a dict or module; other values are no weights."""
    if isinstance(value, _Module):
        value = value.attributes
    if isinstance(value, dict):
        for name, part in value.items():
            full = f"{prefix}{name}"
            if isinstance(part, Tensor):
                yield full, part
            else:
                yield from _flatten(part, f"{full}.")
