"""The temporary folder of a demo, which holds all that it keeps, and the environment variables that name it."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ecor_jax import stopping
from ecor_jax.atomic import temporary_folder

MAX_CACHE = 1 << 30
"""Size of the cache of embeddings from which on it is emptied."""


class Places(NamedTuple):
    """The folders of a demo. Those of `folder` are removed at the end."""

    folder: Path

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def examples(self) -> Path:
        return self.folder / "examples"

    def keep_small(self) -> None:
        """Empties the cache of embeddings if it has grown beyond MAX_CACHE."""
        if sum(file.stat().st_size for file in self.cache.rglob("*") if file.is_file()) > MAX_CACHE:
            shutil.rmtree(self.cache, ignore_errors=True)


@contextlib.contextmanager
def places() -> Iterator[Places]:
    """Yields new folders and sets the variables by which Gradio and the caches find them.

    They are removed at the end, also if a signal ends the process; what a killed process left is removed by the next
    demo.
    """
    with temporary_folder(Path(tempfile.gettempdir()) / "ecor_jax_demo") as folder:
        made = Places(folder.absolute())
        made.uploads.mkdir()
        variables = {
            "ECOR_CACHE": str(made.cache),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(made.uploads),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        before = stopping.before_end
        stopping.before_end = lambda number: _remove_and_end(made.folder)
        try:
            with _environment(variables):
                yield made
        finally:
            stopping.before_end = before


def _remove_and_end(folder: Path) -> None:
    for _ in range(20):  # a request at work may still write to it
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            stopping.end("stopped; nothing that was added is kept")
        time.sleep(0.05)
    stopping.end(f"stopped; {folder} could not be removed")


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
