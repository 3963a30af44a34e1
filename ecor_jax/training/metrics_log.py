"""metrics.jsonl: one JSON object a line, whole lines only, no step twice."""

import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """Appends the metrics of `run` to a file that several runs of a workdir share."""

    def __init__(self, path: Path, run: str):
        self.path, self.run = path, run

    def __enter__(self) -> "MetricsLog":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a")
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def drop_after(self, step: int) -> None:
        """Forgets this run's lines after `step` (they will be written again) and a line cut short by a kill."""
        kept = [line for line in read_metrics(self.path) if line["run"] != self.run or line["step"] <= step]
        self._file.close()
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(self.path)
        self._file = self.path.open("a")

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line, on disk when this returns."""
        self._file.write(json.dumps({"run": self.run, "step": step} | values) + "\n")
        self._file.flush()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, oldest first; [] if there is none."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
