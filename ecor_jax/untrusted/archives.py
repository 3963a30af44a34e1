"""Zip archives of others, read in place: nothing is unpacked, so no name can lead out of one."""

import re
import threading
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import open_regular, plausible_size

# LZMA and BZIP2 expand by thousands within one block, and zipfile cannot be told when to stop.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
"""Bits of a member's flags."""


class Archive:
    """A zip file; picklable, and safe to read from several threads.

    UserError if it is no zip, is broken, names a path outside itself, or names one twice.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        open_regular(path).close()
        try:
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
        except Exception as error:  # zipfile meets a damaged archive with BadZipFile and many others
            raise UserError(f"{path}: is a broken zip file, or cut off ({error})") from error
        self._members = {_name(member): member for member in members}
        self.names = tuple(map(_name, members))
        for name in self.names:
            if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
                raise UserError(f"{path}: names a path outside itself, {name!r}: it is not read")
        # Some programs write folders again for each of their files.
        names = Counter(name for name in self.names if not name.endswith("/"))
        if names and max(names.values()) > 1:
            raise UserError(f"{path}: names {names.most_common(1)[0][0]!r} twice; zip it again")
        if (total := sum(member.file_size for member in members)) > plausible_size(path.stat().st_size):
            raise UserError(f"{path}: expands to {total:,} bytes, which is no plausible content of its size")

    def check(self, name: str) -> None:
        """UserError for a member that is encrypted, or compressed in another way than zip's usual one."""
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise UserError(f"{self.path}: is encrypted ({name!r}); decrypt it first")
        if member.compress_type not in _METHODS:
            raise UserError(f"{self.path}: {name!r} is neither stored nor deflated; zip it again")

    def read(self, name: str, *, stored: bool = False) -> bytes:
        """The content of a member; `stored`: refuse one that is compressed. UserError if it cannot be read."""
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
        return self._read(name, member.file_size + 1)  # bounded, where its header lies

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a member. UserError if it cannot be read."""
        self.check(name)
        return self._read(name, size)

    def _read(self, name: str, most: int) -> bytes:
        try:
            # One reader at a time: ZipFile counts its open members without a lock. Decoding is not in here.
            with self._lock, self._archive.open(self._members[name]) as file:
                return file.read(most)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{self.path}: {name} cannot be read ({error})") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


def _name(member: zipfile.ZipInfo) -> str:
    """A member's path. zipfile takes names without zip's mark of UTF-8 for code page 437; macOS leaves it out."""
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def is_zip(path: Path) -> bool:
    """Whether a regular file looks like a zip, damaged or not."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return True
