"""Reader for MXNet's RecordIO format: records of a `.rec` by byte offset, and the `.idx` with the offsets.

All numbers are little-endian. The format follows dmlc-core's src/recordio.cc and MXNet's python/mxnet/recordio.py:
- A record is one or more parts. A part is u32 MAGIC, u32 (3 bits of flag, 29 bits of length), its data, and zero
  padding to a multiple of 4 bytes. Flag 0 marks a complete record; 1, 2 and 3 mark the first, a middle and the last
  part of a record whose data contained MAGIC at a multiple of 4 bytes: it was split there and MAGIC removed.
- The data of a record is a header `IfQQ` (flag, label, id, id2); if flag > 0, that many f32 labels, which replace
  the header's label; then the bytes of an image file, or nothing.
- A line of the `.idx` is `key<TAB>byte offset of the record`.
"""

import io
import os
import re
import struct
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import open_regular, read_bytes

MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_PART, _HEADER = struct.Struct("<II"), struct.Struct("<IfQQ")
_READ_AHEAD = 16 << 10  # bytes: larger than most records of face crops, which then take a single read
_TWO_LABELS = _HEADER.size + 8


class BrokenRecord(Exception):
    """An error for a damaged record; the caller adds the file and key."""


class RecordFile:
    """The records of a `.rec`. Safe for many threads; a pickled copy reopens the file.

    Raises UserError if the file cannot be opened.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            if not path.is_file():
                raise UserError(f"{path} {'is not a file' if path.exists() else 'does not exist'}: expected a .rec")
            file = open_regular(path)
            self._descriptor, self.size = file.fileno(), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        weakref.finalize(self, file.close)

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordFile, (self.path,)

    def labels_and_size(self, start: int) -> tuple[tuple[float, ...], int]:
        """Returns the labels of the record at byte `start` and the size of its image, usually without reading it."""
        flag, length, data = self._part(start, _TWO_LABELS)
        if flag or (length > len(data) and _labels_end(data) > len(data)):
            labels, image = self.labels_and_image(start)
            return labels, len(image)
        labels, _ = _unpack(data)
        return labels, length - _labels_end(data)

    def labels_and_image(self, start: int) -> tuple[tuple[float, ...], bytes]:
        """Returns the labels and the image of the record at byte `start`. Raises BrokenRecord."""
        parts = []
        while True:
            flag, length, data = self._part(start, _READ_AHEAD)
            if flag not in ((2, 3) if parts else (0, 1)):
                expected = "2 or 3, of a further part" if parts else "0 or 1, of a first part"
                raise BrokenRecord(f"the part at byte {start} has the flag {flag}; expected {expected}")
            if len(data) < length:
                data += self._read(start + _PART.size + len(data), length - len(data))
            parts.append(data)
            if flag in (0, 3):
                return _unpack(_MAGIC_BYTES.join(parts))
            start += _PART.size + -(-length // 4) * 4

    def _part(self, start: int, ahead: int) -> tuple[int, int, bytes]:
        """Returns flag, length and the first `ahead` bytes of data of the part at byte `start`."""
        if self.size - start < _PART.size:
            raise BrokenRecord(
                f"{max(self.size - start, 0)} bytes are left at byte {start}; expected {_PART.size} or more"
            )
        read = self._read(start, min(_PART.size + ahead, self.size - start))
        magic, word = _PART.unpack_from(read)
        if magic != MAGIC:
            raise BrokenRecord(f"found {magic:#010x} at byte {start}; expected {MAGIC:#010x}, which starts a record")
        flag, length = word >> 29, word & ((1 << 29) - 1)
        if start + _PART.size + length > self.size:
            left = self.size - start - _PART.size
            raise BrokenRecord(f"{length} bytes of data were announced at byte {start}; found {left}, then the end")
        return flag, length, read[_PART.size : _PART.size + length]

    def _read(self, start: int, count: int) -> bytes:
        try:
            read = os.pread(self._descriptor, count, start)
        except OSError as error:
            raise BrokenRecord(f"byte {start}: {error.strerror or error}") from error
        if len(read) < count:  # the file was truncated after it was opened
            raise BrokenRecord(f"{count} bytes were expected at byte {start}; found {len(read)}")
        return read


def _labels_end(data: bytes) -> int:
    """Returns the offset of the image in a record's data."""
    return _HEADER.size + 4 * (_HEADER.unpack_from(data)[0] if len(data) >= _HEADER.size else 0)


def _unpack(data: bytes) -> tuple[tuple[float, ...], bytes]:
    if len(data) < _HEADER.size:
        raise BrokenRecord(f"found {len(data)} bytes of data; expected a header of {_HEADER.size}")
    flag, label, _, _ = _HEADER.unpack_from(data)
    end = _labels_end(data)
    if len(data) < end:
        rest = len(data) - _HEADER.size
        raise BrokenRecord(f"its header announces {flag} labels, {4 * flag} bytes; found {rest} bytes after it")
    labels = struct.unpack_from(f"<{flag}f", data, _HEADER.size) if flag else (label,)
    return labels, data[end:]


def read_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the keys of an `.idx`, int64 [records], ascending, and the byte offset of each record, int64 [records].

    Raises UserError if the file is missing or empty, a line is not two numbers, or a key is repeated.
    """
    try:
        content = read_bytes(path).rstrip()
    except UserError as error:
        raise UserError(f"{error}; expected the index of the .rec beside it") from error
    if not content:
        raise UserError(f"{path} is empty; expected lines key<TAB>position")
    if bad := re.search(rb"(?m)^(?!\d{1,18}\t\d{1,18}\r?$).*", content):
        line = content.count(b"\n", 0, bad.start()) + 1
        text = bad.group()[:80].decode("utf-8", "backslashreplace")
        raise UserError(f"{path}, line {line}: found {text!r}; expected two numbers, key<TAB>position")
    keys, starts = np.loadtxt(io.BytesIO(content), np.int64, delimiter="\t", comments=None, ndmin=2).T
    order = np.argsort(keys, kind="stable")
    keys, starts = keys[order], starts[order]
    if len(twice := np.flatnonzero(keys[1:] == keys[:-1])):
        raise UserError(f"{path} gives {len(twice)} keys more than once, as {keys[twice[0]]}")
    return keys, starts
