"""The type of a run's config in annotations, and the names of its options."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

# Options have the type their config file gave them; ConfigDict's own annotations make a union of each.
if TYPE_CHECKING:
    Config = Any
else:
    Config = ConfigDict


def comma_list(text: str) -> tuple[str, ...]:
    """The items between the commas of an option, without the spaces around them; empty ones are left out."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def path_list(text: str) -> tuple[str, ...]:
    """The paths of an option that names one, or several with commas: a path may have a comma in its name."""
    paths = comma_list(text)
    several = not Path(text).exists() and any(Path(path).exists() or path.startswith("tfds:") for path in paths)
    return paths if several else (text,)


RENAMED = {
    "parallel.rematerialise": "parallel.remat",
    "parallel.shard_towers": "parallel.fsdp",
    "parallel.accumulate": "parallel.grad_accumulation",
    "parallel.patience": "parallel.peer_timeout",
}
"""Options of earlier versions, and their names now. Stored configs may have the old ones."""


def no_such_option(key: str, known: Iterable[str]) -> str:
    """What is said of an option that does not exist."""
    *parents, group, name = ("", *key.split("."))
    if now := RENAMED.get(f"{group}.{name}"):
        return f"--config.{key}: is called {'.'.join((*parents[1:], now))} now"
    return f"--config.{key}: no such option; there are: {', '.join(sorted(known))}"
