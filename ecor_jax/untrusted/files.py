"""Reads regular files, gzip streams and folder trees, with limits on size and number."""

import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from ecor_jax.errors import UserError

EXPANSION = 100
"""Maximum ratio of expanded to compressed size; text reaches about 20, DEFLATE can reach 1,032."""
SMALL = 64 << 20
"""Number of bytes to which any stream may expand, whatever its compressed size."""
LINKS = 50_000
"""Maximum number of linked folders in a walk: a data set may link each class, but links can also fan out endlessly."""
_PIECE = 4096
"""Number of compressed bytes decompressed at a time; few, because zlib copies what follows the end of a member."""


def plausible_size(compressed: int) -> int:
    """Returns the number of bytes to which `compressed` bytes may expand; more is treated as a decompression bomb."""
    return max(SMALL, EXPANSION * compressed)


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a file for reading. Raises UserError if it is missing or not a regular file, such as an endless pipe."""
    try:
        # O_NONBLOCK: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        what = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}.get(kind, "a device")
        raise UserError(f"{path}: is {what}; expected a file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Returns the content of a regular file. Raises UserError if it cannot be read or exceeds `most` bytes."""
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise UserError(f"{path}: has {size:,} bytes; at most {most:,} are read")
            return file.read()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_head(path: Path, size: int) -> bytes:
    """Returns the first `size` bytes of a regular file. Raises UserError if it cannot be read."""
    with open_regular(path) as file:
        try:
            return file.read(size)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path) -> str:
    """Returns the UTF-8 text of a regular file, gunzipped if its name ends in .gz. Raises UserError otherwise."""
    content = read_bytes(path)
    return decode_text(gunzip(content, str(path)) if path.suffix.lower() == ".gz" else content, str(path))


def decode_text(content: bytes, where: str) -> str:
    """Decodes UTF-8 and drops a byte order mark. Raises UserError, naming `where`, for other bytes."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is no UTF-8 text (byte {error.start})") from error


def gunzip(content: bytes, where: str) -> bytes:
    """Decompresses gzip data of one or more members. Raises UserError if it is damaged, truncated or too large."""
    expanded, start, most = bytearray(), 0, plausible_size(len(content))
    # Trailing zero bytes are padding.
    while start < len(content) and (content[start] or content[start:].strip(b"\0")):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while not stream.eof:
            piece = content[start : start + _PIECE]
            if not piece:
                raise UserError(f"{where}: is cut off within its compressed content")
            try:
                expanded += stream.decompress(piece, most - len(expanded) + 1)
            except zlib.error as error:
                raise UserError(f"{where}: is not compressed, or damaged ({error})") from error
            if len(expanded) > most:
                raise UserError(
                    f"{where}: expands to more than {most:,} bytes, which is no plausible content of its size"
                )
            start += len(piece) - len(stream.unused_data)
    return bytes(expanded)


def walk(folder: Path, unreadable: list[str]) -> Iterator[str]:
    """Yields the paths of all files below a folder, relative to it and with `/`; in each folder files come first.

    Entries are sorted by name. Linked folders are followed, except into a folder that contains the link. `unreadable`
    collects the folders that cannot be listed. Raises UserError if there are more than LINKS links.
    """
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    links = 0
    while waiting:
        below, around = waiting.pop()
        here = folder / below
        try:
            status = os.stat(here)
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            unreadable.append(below)
            continue
        if (status.st_dev, status.st_ino) in around:
            continue
        around |= {(status.st_dev, status.st_ino)}
        folders = []
        for entry in entries:
            name = f"{below}{entry.name}"
            if _is_folder(entry):
                links += entry.is_symlink()
                if links > LINKS:
                    raise UserError(f"{folder}: its folders are links more than {LINKS:,} times; expected a tree")
                folders.append((f"{name}/", around))
            else:
                yield name
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_utf8(name: str) -> bool:
    """Returns whether a file name was valid UTF-8; Python represents other bytes as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
