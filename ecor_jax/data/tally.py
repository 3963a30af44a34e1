"""`Tally`: counts the files that a command found, used and skipped, with the reasons; found = used + skipped."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tqdm import tqdm

from ecor_jax.data.records import Source
from ecor_jax.errors import some_of

UNREADABLE, OVERLAP = "cannot be read", "trained on"


class Tally:
    """Counts of the files of the image sets that a command reads.

    found: the number of files, or of records of a file. used: the files that were not skipped. skipped: the number of
    skipped files by reason; each file is counted once. trained_on: the number of used test pictures that the model was
    trained on; None if unknown. lines: messages about single files or classes, for the log and the report page.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self.found = self.used = 0
        self.skipped: dict[str, int] = {}
        self.trained_on: int | None = None
        self.lines = list(lines)

    def add_source(self, source: Source) -> None:
        """Counts the files that `source` found: its records as used, and its `skipped` files by reason."""
        passed_over = sum(map(len, source.skipped.values()))
        self.found += len(source) + passed_over
        self.used += len(source) + passed_over
        for reason, names in source.skipped.items():
            self.skip(reason, names, where=source.origin)

    def skip(self, reason: str, files: Sequence[str] | int, where: str = "", lines: Sequence[str] = ()) -> None:
        """Marks files that were found as skipped; `files` is their names or their number.

        where: the source of the files. lines: the messages; default one line with the number of files and ten names.
        """
        count = files if isinstance(files, int) else len(files)
        if not count:
            return
        self.used -= count
        self.skipped[reason] = self.skipped.get(reason, 0) + count
        named = "" if isinstance(files, int) else f": {some_of(files)}"
        self.lines += lines or [f"{where}{': ' * bool(where)}{count} {reason}{named}"]

    def log(self) -> None:
        """Logs each of `lines` as a warning and writes a summary to stderr."""
        for line in self.lines:
            logging.warning("%s", line)
        tqdm.write(f"pictures: {self}", file=sys.stderr)

    def __str__(self) -> str:
        skipped = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        seen = f", {self.trained_on:,} of them trained on" if self.trained_on else ""
        return f"{self.found:,} found, {self.used:,} used{seen}" + (f"; skipped: {skipped}" if skipped else "")

    def as_results(self) -> Mapping[str, Any]:
        """Returns the entry "data" of results.json."""
        known = {"trained_on": self.trained_on} if self.trained_on else {}
        return {"found": self.found, "used": self.used, "skipped": dict(self.skipped)} | known
