"""Reading and writing of metrics.jsonl: one JSON object a line, complete lines only, no step twice."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from absl import logging

from ecor_jax.atomic import new_file, writing
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_bytes
from ecor_jax.untrusted.json_text import parse_json


@dataclasses.dataclass(frozen=True)
class MetricsLog:
    """A writer of the metrics of `run` to a file that several runs of a workdir share.

    Every method raises UserError if the file cannot be written.
    """

    path: Path
    run: str

    def drop_after(self, step: int) -> list[dict[str, Any]]:
        """Removes this run's lines after `step`, which will be written again, and a line truncated by a kill.

        Returns the remaining lines of this run.
        """
        kept = [line for line in read_metrics(self.path) if line["run"] != self.run or line["step"] <= step]
        with new_file(self.path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        return [line for line in kept if line["run"] == self.run]

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends one line; the file is flushed and closed on return."""
        # JSON cannot represent numbers that are not finite.
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with writing(self.path), self.path.open("a") as file:
            file.write(json.dumps({"run": self.run, "step": step} | finite) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a metrics file, oldest first; [] without a file. Raises UserError for a damaged line.

    A last line without a line break, which a kill may have truncated, is skipped with a warning if it is damaged.
    """
    if not path.exists():
        return []
    *lines, last = read_bytes(path).decode(errors="replace").split("\n")
    values = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    try:
        return [*values, _parsed(path, len(lines) + 1, last)] if last else values
    except UserError:
        logging.warning("%s: its last line was cut short and is left out: %s", path, last[:80])
        return values


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parse_json(line, str(path))
    except UserError:
        value = None
    if not (isinstance(value, dict) and isinstance(value.get("run"), str) and type(value.get("step")) is int):
        raise UserError(f"{path}: line {number} is damaged; expected an object with run and step; remove that line")
    return value
