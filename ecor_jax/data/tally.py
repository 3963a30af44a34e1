"""What became of the files of a set: found = used + skipped, each with its reason."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tqdm import tqdm

from ecor_jax.data.records import Source
from ecor_jax.errors import some_of

UNREADABLE = "cannot be read"


class Tally:
    """Counts what a command found, skipped and used of the sets it reads.

    found: files, or records of one file. used: those that no reason was given against. skipped: of the others how
    many, by reason; a file is counted once. lines: what is to be told of single files or classes, for the log and the
    page.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self.found = self.used = 0
        self.skipped: dict[str, int] = {}
        self.lines = list(lines)

    def opened(self, source: Source) -> None:
        """Counts what a reader found: its records as used, until they are skipped, and what is none of them."""
        passed_over = sum(map(len, source.skipped.values()))
        self.found += len(source) + passed_over
        self.used += len(source) + passed_over
        for reason, names in source.skipped.items():
            self.skip(reason, names, where=source.origin)

    def skip(self, reason: str, files: Sequence[str] | int, where: str = "", lines: Sequence[str] = ()) -> None:
        """Counts files that were found and are not used: their names, or how many.

        where: what they are of. lines: what is told of them; default a line with their number and ten names.
        """
        count = files if isinstance(files, int) else len(files)
        if not count:
            return
        self.used -= count
        self.skipped[reason] = self.skipped.get(reason, 0) + count
        named = "" if isinstance(files, int) else f": {some_of(files)}"
        self.lines += lines or [f"{where}{': ' * bool(where)}{count} {reason}{named}"]

    def log(self) -> None:
        """Says what was found, used and skipped: a warning for each of `lines`, and a line of all on stderr."""
        for line in self.lines:
            logging.warning("%s", line)
        tqdm.write(f"pictures: {self}", file=sys.stderr)

    def __str__(self) -> str:
        skipped = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        return f"{self.found:,} found, {self.used:,} used" + (f"; skipped: {skipped}" if skipped else "")

    def as_results(self) -> Mapping[str, Any]:
        """What results.json has as "data"."""
        return {"found": self.found, "used": self.used, "skipped": dict(self.skipped)}
