"""Preparing by processes of Apache Beam's direct runner; the extra `beam`.

It pays where decoding in one process's threads does not keep a machine of many cores busy. The direct runner holds all
that it writes in memory, several times.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecor_jax.data.prepare import example, good_record
from ecor_jax.data.records import BadImage, Source, raise_bad_images
from ecor_jax.errors import UserError


class OnBeam:
    """What TFDS writes by Beam: the examples of each split, and the pipeline's options.

    folder: for notes about bad images, which processes leave there. UserError if Apache Beam is not installed.
    """

    def __init__(self, sources: Mapping[str, Source], folder: Path, workers: int):
        try:
            import apache_beam as beam  # pyright: ignore[reportMissingImports]
            from apache_beam.options.pipeline_options import PipelineOptions  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise UserError("--beam_workers needs Apache Beam: pip install 'ecor-jax[beam]'") from error
        # Every process of Beam's says when it starts and ends.
        logging.getLogger("apache_beam").setLevel(logging.ERROR)
        self._sources = sources
        self._notes = {split: folder / f"bad of {split}" for split in sources}
        self.splits: dict[str, Any] = {}
        for split, source in sources.items():
            self._notes[split].mkdir()
            read = _Reader(source, self._notes[split])
            self.splits[split] = beam.Create(range(len(source))) | beam.Reshuffle() | beam.FlatMap(read)
        self.options = PipelineOptions(
            runner="DirectRunner",
            direct_running_mode="multi_processing",
            direct_num_workers=workers,
            default_sdk_harness_log_level="ERROR",
        )

    def bad(self) -> list[BadImage]:
        """The bad images that were left out, in order. UserError if a split has no others."""
        found = []
        for split, source in self._sources.items():
            bad = [BadImage(note.read_text("utf-8")) for note in sorted(self._notes[split].iterdir())]
            raise_bad_images(bad, len(source), source.origin, "skip")
            found += bad
        return found


class _Reader:
    """The example of an index as a list of a pair with its key; of a bad image none, but a note."""

    def __init__(self, source: Source, notes: Path):
        self._source, self._notes = source, notes

    def __call__(self, index: int) -> list[tuple[int, dict[str, Any]]]:
        record = good_record(self._source, index)
        if isinstance(record, BadImage):
            (self._notes / f"{index:012}").write_text(str(record), "utf-8")
            return []
        return [(index, example(record))]
