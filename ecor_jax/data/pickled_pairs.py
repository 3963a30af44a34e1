"""Safe reader for the pickle in an insightface verification `.bin`.

Its unpickler accepts only the names of the classes and functions with which Python 2 and 3 pickle bytes and NumPy
arrays, and replaces them by stand-ins; it refuses every other name. Nothing is imported, and NumPy's own unpickling is
not used.
"""

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_bytes
from ecor_jax.untrusted.pickles import StandIn, Unpickler


def read_bin(path: Path) -> tuple[list[bytes], np.ndarray]:
    """Returns the 2P encoded images of an insightface `.bin`, and bool [P]: images 2i and 2i + 1 show the same person.

    The file is a pickle of (list of images as bytes or uint8 arrays, list of bools or of numbers 0 and 1); either list
    may be an array.
    Raises UserError if it is missing, broken, names anything else (the message says what), or the counts do not match.
    """
    try:
        pair = _Unpickler(read_bytes(path), path).load()
    except UserError:
        raise
    except Exception as error:  # a broken pickle may raise anything
        raise UserError(
            f"{path} is not a verification .bin, or a broken one: {str(error)[:200] or type(error).__name__}"
        ) from error
    if not (isinstance(pair, Sequence) and len(pair) == 2):
        raise UserError(f"{path}: found {_kind(pair)}; expected a pair, the images and whether two are the same person")
    images, same = map(_items, pair)
    if images is None or same is None:
        raise UserError(f"{path}: found a pair of {' and '.join(map(_kind, pair))}; expected lists")
    if len(images) % 2 or len(images) != 2 * len(same):
        odd = ", an odd number," if len(images) % 2 else ""
        raise UserError(
            f"{path}: found {len(images)} images{odd} and {len(same)} answers; expected two images for each answer"
        )
    if not images:
        raise UserError(f"{path}: it holds no images")
    answers = [_answer(path, k, answer) for k, answer in enumerate(same)]
    return [_image(path, k, image) for k, image in enumerate(images)], np.asarray(answers)


_NUMBERS = {
    **{f"{kind}{size}": f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)},
    **{"b1": "b1", "bool": "b1", "bool_": "b1", "uint8": "u1", "f4": "f4", "f8": "f8"},
}
"""NumPy's numeric types, by the names used in pickles."""


class _Dtype(StandIn):
    """A NumPy dtype: its name (`u1`) and byte order; the rest of its state concerns types that are not supported."""

    def __init__(self, name: str):
        self.name, self.order = name, "<"

    def set_state(self, state: Any) -> None:
        self.order = ">" if state[1] in (">", b">") else "<"

    def numbers(self, raw: Any) -> list[Any] | None:
        """Decodes bytes of this type to numbers; returns None if the type is not numeric or the length does not fit."""
        if self.name not in _NUMBERS or not isinstance(raw, bytes) or len(raw) % (size := int(_NUMBERS[self.name][1])):
            return None
        return np.frombuffer(raw, np.dtype(f"{self.order if size > 1 else '|'}{_NUMBERS[self.name]}")).tolist()


class _Array(StandIn):
    """The state of a NumPy array."""

    dtype: Any = None
    shape: Any = ()
    raw: Any = b""

    def set_state(self, state: Any) -> None:
        _version, self.shape, self.dtype, _fortran, self.raw = state

    def bytes(self) -> bytes | None:
        """Returns the content of a byte array of shape [n] or, as by OpenCV, [n, 1]; None for any other array."""
        one_byte = isinstance(self.dtype, _Dtype) and _NUMBERS.get(self.dtype.name) == "u1"
        if not (one_byte and isinstance(self.raw, bytes)):
            return None
        return self.raw if self.shape in ((len(self.raw),), (len(self.raw), 1)) else None

    def items(self) -> list[Any] | None:
        """Returns the entries of an array of numbers or objects, of shape [n] or [n, 1]; None for any other array."""
        if not isinstance(self.dtype, _Dtype):
            return None
        objects = self.raw if self.dtype.name.startswith("O") and isinstance(self.raw, list) else None
        items = self.dtype.numbers(self.raw) if objects is None else objects
        return items if items is not None and self.shape in ((len(items),), (len(items), 1)) else None


class _Unpickler(Unpickler):
    def __init__(self, content: bytes, path: Path):
        super().__init__(content)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 and Python 2 use different module names.
        renamed = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        known = {
            ("numpy", "ndarray"): "ndarray",  # a string, which a pickle can neither call nor modify
            ("numpy", "dtype"): self._dtype,
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy.core.numeric", "_frombuffer"): self._frombuffer,
            ("_codecs", "encode"): self._bytes,  # how Python 3 pickles bytes for Python 2
            ("builtins", "bytes"): self._bytes,
            ("builtins", "bytearray"): self._bytes,
        }
        if (renamed, name) not in known:
            raise UserError(
                f"{self._path}: its pickle names {module}.{name}; only bytes, lists and NumPy arrays are read, "
                "so it was not run"
            )
        return known[renamed, name]

    def _dtype(self, name: str | bytes, *_: Any) -> _Dtype:
        return _Dtype(_text(name).lstrip("|<>="))

    def _frombuffer(self, raw: Any, dtype: Any, shape: Any, _order: Any) -> _Array:
        array = _Array()
        array.raw, array.dtype, array.shape = self._bytes(raw), dtype, shape
        return array

    def _scalar(self, dtype: _Dtype, raw: Any) -> Any:
        numbers = dtype.numbers(raw if isinstance(raw, bytes) else self._bytes(raw))
        if numbers is None or len(numbers) != 1:
            raise UserError(f"{self._path}: its pickle has a NumPy scalar of type {dtype.name}; expected bools")
        return numbers[0]

    def _bytes(self, content: Any = b"", encoding: str | bytes = "latin1") -> bytes:
        if isinstance(content, bytes):
            return content
        if isinstance(content, str) and _text(encoding) in ("latin1", "latin-1"):
            self.take(len(content))
            return content.encode("latin1")
        raise TypeError(f"{_kind(content)} where bytes were expected")  # bytes(10**12) would allocate a terabyte


def _text(value: Any) -> str:
    if not isinstance(value, str | bytes):
        raise TypeError(f"{_kind(value)} where a text was expected")
    return value.decode("ascii") if isinstance(value, bytes) else value


def _items(value: Any) -> Sequence[Any] | None:
    """Returns the entries of a list, tuple or array; None for anything else."""
    if isinstance(value, _Array):
        return value.items()
    return value if isinstance(value, list | tuple) else None


def _image(path: Path, number: int, value: Any) -> bytes:
    content = value.bytes() if isinstance(value, _Array) else value
    if not isinstance(content, bytes):
        raise UserError(f"{path}: image {number} is {_kind(value)}; expected the bytes of an image file")
    return content


def _answer(path: Path, number: int, value: Any) -> bool:
    if not isinstance(value, bool | int | float) or value not in (0, 1):
        raise UserError(f"{path}: answer {number} is {_kind(value)}; expected True or False")
    return bool(value)


def _kind(value: Any) -> str:
    if isinstance(value, _Array):
        name = value.dtype.name if isinstance(value.dtype, _Dtype) else "unknown type"
        return f"an array of {name} and shape {reprlib.repr(value.shape)}"
    shown = f" {value!r}" if value is None or isinstance(value, int | float) else ""  # lists may contain themselves
    return f"{type(value).__name__}{shown}"
