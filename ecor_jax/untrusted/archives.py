"""Reads members of untrusted zip archives in memory; nothing is extracted, so no member name can escape a directory."""

import re
import threading
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import open_regular, plausible_size

# LZMA and BZIP2 can expand a block thousands of times, and zipfile cannot limit the output.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
"""Bits of a member's general-purpose flags."""


class Archive:
    """A zip file; picklable, and safe to read from several threads.

    Raises UserError if it is not a zip file, is damaged, contains a path outside itself, or contains a file twice.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        open_regular(path).close()
        try:
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
        except Exception as error:  # zipfile raises BadZipFile and many others for a damaged archive
            raise UserError(f"{path}: is a broken zip file, or cut off ({error})") from error
        self._members = {_name(member): member for member in members}
        self.names = tuple(map(_name, members))
        for name in self.names:
            if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
                raise UserError(f"{path}: names a path outside itself, {name!r}: it is not read")
        # Some programs repeat a folder's entry for each of its files.
        names = Counter(name for name in self.names if not name.endswith("/"))
        if names and max(names.values()) > 1:
            raise UserError(f"{path}: names {names.most_common(1)[0][0]!r} twice; zip it again")
        if (total := sum(member.file_size for member in members)) > plausible_size(path.stat().st_size):
            raise UserError(f"{path}: expands to {total:,} bytes, which is no plausible content of its size")

    def check(self, name: str) -> None:
        """Raises UserError if a member is encrypted, or compressed by a method other than DEFLATE."""
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"{self.path}: is encrypted ({name!r}); decrypt it first")
        if member.compress_type not in _METHODS:
            raise UserError(f"{self.path}: {name!r} is neither stored nor deflated; zip it again")

    def read(self, name: str, *, stored: bool = False) -> bytes:
        """Returns the content of a member; `stored` rejects compressed ones. Raises UserError if it cannot be read."""
        self.check(name)
        member = self._members[name]
        if stored and member.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{self.path}: {name!r} is compressed; expected it stored")
        size = self.path.stat().st_size
        most = plausible_size(member.compress_size) if member.compress_type == zipfile.ZIP_DEFLATED else size
        if member.file_size > most or member.compress_size > size:
            raise UserError(
                f"{self.path}: {name!r} expands from {member.compress_size:,} to {member.file_size:,} bytes, "
                "which is no plausible content of its size"
            )
        return self._read(name, member.file_size + 1)  # bounded, in case the header's size is wrong

    def head(self, name: str, size: int) -> bytes:
        """Returns the first `size` bytes of a member. Raises UserError if it cannot be read."""
        self.check(name)
        return self._read(name, size)

    def _read(self, name: str, most: int) -> bytes:
        try:
            # Reads are serialised, because ZipFile counts its open members without a lock.
            with self._lock, self._archive.open(self._members[name]) as file:
                return file.read(most)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{self.path}: {name} cannot be read ({error})") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


def _name(member: zipfile.ZipInfo) -> str:
    """Returns a member's path. Names without the UTF-8 flag, which macOS omits, are decoded as UTF-8 if possible."""
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def is_zip(path: Path) -> bool:
    """Returns whether a regular file looks like a zip file, damaged or not."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return True
