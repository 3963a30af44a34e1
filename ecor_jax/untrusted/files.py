"""Regular files, compressed streams and folders, read within bounds."""

import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from ecor_jax.errors import UserError

EXPANSION = 100
"""How many times its compressed size a stream may expand to; texts reach about 20, DEFLATE can do 1,032."""
SMALL = 64 << 20
"""Bytes that any stream may expand to, however small it is."""
LINKS = 50_000
"""Linked folders that a walk goes through: every class of a set may be one, but they may also fan out without end."""
_PIECE = 4096
"""Compressed bytes that are looked at at once: what a member leaves of them is copied."""


def plausible_size(compressed: int) -> int:
    """Bytes that `compressed` bytes may expand to; more is taken for a bomb."""
    return max(SMALL, EXPANSION * compressed)


def open_regular(path: Path) -> io.BufferedReader:
    """A file opened for reading. UserError if it is missing or no regular file: pipes and devices may never end."""
    try:
        # Opening a pipe would wait for its writer.
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
    """The content of a regular file. UserError if it cannot be read, or has more than `most` bytes."""
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise UserError(f"{path}: has {size:,} bytes; at most {most:,} are read")
            return file.read()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_head(path: Path, size: int) -> bytes:
    """The first bytes of a regular file. UserError if it cannot be read."""
    with open_regular(path) as file:
        try:
            return file.read(size)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path) -> str:
    """The content of a regular file, gunzipped if its name ends in .gz, as UTF-8. UserError if it is no such text."""
    content = read_bytes(path)
    return decode_text(gunzip(content, str(path)) if path.suffix.lower() == ".gz" else content, str(path))


def decode_text(content: bytes, where: str) -> str:
    """UTF-8, a byte order mark left out. UserError, naming `where`, for other bytes."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is no UTF-8 text (byte {error.start})") from error


def gunzip(content: bytes, where: str) -> bytes:
    """What gzip made `content` of, however many members. UserError if it is damaged, cut off or expands too far."""
    expanded, start, most = bytearray(), 0, plausible_size(len(content))
    # Zeros may pad the end.
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
    """The files below a folder by their paths there, with `/`; those of a folder in order, before its folders.

    Linked folders are followed, but never into a folder that they lie in. `unreadable` gets the folders that cannot be
    looked into. UserError for more than LINKS links.
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
    """Whether a name could be decoded; Python keeps the bytes of others as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
